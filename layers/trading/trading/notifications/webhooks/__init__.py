"""Webhooks: who is sent which events, and what became of each delivery; nothing of it needs the database."""
