"""The benchmark suite compares skae with its alternatives: ``python -m benchmarks``."""
