"""The benchmark suite: skae beside what a user would pick instead.  ``python -m benchmarks``."""
