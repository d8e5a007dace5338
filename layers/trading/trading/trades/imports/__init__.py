"""Imports: broker files of trades, which are parsed exactly, recorded once, compared with the ledger or voided."""
