"""Prices: ticks, the alert rule, and the five-minute averages and alerts that the database keeps."""
