"""Features for a classifier: ``python -m benchmarks.features``.

The tables are those of docs/guide/features.md.
"""
