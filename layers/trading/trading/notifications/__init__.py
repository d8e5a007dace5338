"""Notifications: the events that announce trades and alerts, and the transactional outbox that delivers them."""
