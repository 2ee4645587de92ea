"""Deep autoencoders that are scikit-learn estimators.

Importing skae loads neither TensorFlow nor matplotlib: the first comes with the first ``fit``,
the second with the first figure.
"""

from skae import datasets
from skae._autoencoder import DeepAutoencoder, DenoisingAutoencoder
from skae._cache import clear_programs, limit_programs
from skae._noise import GaussianNoise
from skae._plot import (
    LatentSpaceDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
    ReconstructionErrorDisplay,
)
from skae._rendezvous import wait_for_workers

__version__ = "0.1.0"
__all__ = [
    "DeepAutoencoder",
    "DenoisingAutoencoder",
    "GaussianNoise",
    "ReconstructionDisplay",
    "LossCurveDisplay",
    "LatentSpaceDisplay",
    "ReconstructionErrorDisplay",
    "clear_programs",
    "limit_programs",
    "wait_for_workers",
    "datasets",
]
