"""Backtests: a moving-average crossover strategy simulated on a stored price history, and its report."""
