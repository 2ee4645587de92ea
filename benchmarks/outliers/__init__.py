"""Outlier detectors on ADBench's sets: ``python -m benchmarks.outliers --help``."""
