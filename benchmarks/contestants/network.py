"""The network of the Keras recipe, for every contestant."""

from itertools import pairwise

HIDDEN = (128, 64)
CODE = 32
BATCH = 256
# skae's parameters for a plain chain of layers that is trained on all rows, as Keras does it.
PLAIN = {"init": "random", "early_stopping": False}


def widths(n_features):
    """Layer widths from the input to the output: 784-128-64-32-64-128-784 on MNIST."""
    return (n_features, *HIDDEN, CODE, *HIDDEN[::-1], n_features)


def shapes(n_features):
    return list(pairwise(widths(n_features)))
