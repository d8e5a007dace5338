"""Prices: ticks, alert rules, and the five-minute averages and alerts in the database."""
