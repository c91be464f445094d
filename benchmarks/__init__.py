"""Measures what docs/measurements.md quotes: ``python -m benchmarks [NAME...]``."""
