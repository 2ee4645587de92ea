"""Sources of rows that do something when they are read."""


class CallingRows:
    """Rows that call a function at each read."""

    def __init__(self, array, call):
        self.array, self.call = array, call
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, rows):
        self.call()
        return self.array[rows]
