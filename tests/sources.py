"""Helpers for tests with rows that are read in blocks."""

from skae._rows.sources import ReadLimits, Source


class CallingRows:
    """Rows that call a function whenever they are read."""

    def __init__(self, array, call):
        self.array, self.call = array, call
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, rows):
        self.call()
        return self.array[rows]


def limit_reads(monkeypatch, **limits):
    """Give these `ReadLimits` to every source that an estimator makes."""
    monkeypatch.setattr(Source, "default_limits", ReadLimits(**limits))
