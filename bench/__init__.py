"""Benchmarks: what the platform costs beside the bare engine, in one run on one machine."""
