"""Imputers on six sets: ``python -m benchmarks.imputation --help``."""
