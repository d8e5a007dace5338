"""Formats: one declarative file for each broker's format."""
