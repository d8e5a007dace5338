"""The backtest: a moving-average crossover traded on a stored price history, and its report."""
