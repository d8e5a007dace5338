"""Trades: the ledger that records them and finds them again."""
