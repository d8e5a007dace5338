"""The same services as they are usually written; they run in an environment of their own (.venv-peers)."""
