"""Measurements against real peers: ``python -m benchmarks`` runs them all and prints one table."""
