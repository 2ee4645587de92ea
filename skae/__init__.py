"""Deep autoencoders that are scikit-learn estimators.

Importing skae loads neither TensorFlow nor matplotlib: the first comes with the first ``fit``.
"""

from skae._autoencoder import DeepAutoencoder, DenoisingAutoencoder
from skae._noise import GaussianNoise

__version__ = "0.1.0"
__all__ = ["DeepAutoencoder", "DenoisingAutoencoder", "GaussianNoise"]
