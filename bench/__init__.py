"""Benchmarks of the crawler's parts; `python -m bench.frontier --help`."""
