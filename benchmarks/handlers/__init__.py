"""The measured parts of this system, as handlers that a worker can call."""
