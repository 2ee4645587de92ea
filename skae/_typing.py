"""Names of the types that stand in many signatures."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float32]
Matrix = Any  # an array, a sparse matrix or a `Source`: none of their own types covers the others
Tensor = Any  # TensorFlow has no types
Rng = np.random.Generator
History = dict[str, list[float]]  # of each epoch: losses, learning rate, metrics
Activation = str | Callable[..., Any]
Layers = Sequence[tuple[Array, Array, Callable[[Array], Array]]]
