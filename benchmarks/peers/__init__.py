"""Typical implementations of the same services, for comparison; they run in a separate environment (.venv-peers)."""
