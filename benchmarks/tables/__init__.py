"""Tables with categories and gaps: ``python -m benchmarks.tables --help``."""
