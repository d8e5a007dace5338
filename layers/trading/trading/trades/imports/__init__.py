"""Imports: brokers' files of trades, read exactly, recorded once, compared with the ledger and taken back."""
