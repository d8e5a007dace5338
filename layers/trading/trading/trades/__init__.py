"""Trades: the ledger, and the positions, profit and imports based on it."""
