"""Formats: a small file for each broker that says what its files look like."""
