"""Notifications: events, the transactional outbox that delivers them, and webhooks."""
