"""Prices: ticks, alert rules, and the five-minute averages and alerts that the database keeps."""
