"""Benchmarks that compare the system with a floor and a peer in the same run."""
