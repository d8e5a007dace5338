"""Webhooks: subscriptions to events and their deliveries, stored in DynamoDB and independent of the database."""
