"""Deep autoencoders that are scikit-learn estimators.

Importing skae loads neither TensorFlow nor matplotlib: the first is imported by the first ``fit``,
the second by the first figure.
"""

from skae import datasets
from skae._corruption.gaussian import GaussianNoise
from skae._corruption.masking import MaskingNoise
from skae._corruption.salt_and_pepper import SaltAndPepperNoise
from skae._corruption.swap import SwapNoise
from skae._engine.cache import clear_programs, limit_programs, set_jit_compile
from skae._engine.distributed.rendezvous import wait_for_workers
from skae._estimators.deep import DeepAutoencoder
from skae._estimators.denoising import DenoisingAutoencoder
from skae._imputation.imputer import AutoencoderImputer
from skae._outliers.detector import AutoencoderOutlierDetector
from skae._plot import (
    LatentSpaceDisplay,
    LossCurveDisplay,
    OutlierDisplay,
    ReconstructionDisplay,
    ReconstructionErrorDisplay,
)
from skae._version import __version__ as __version__

__all__ = [
    "DeepAutoencoder",
    "DenoisingAutoencoder",
    "AutoencoderOutlierDetector",
    "AutoencoderImputer",
    "GaussianNoise",
    "MaskingNoise",
    "SwapNoise",
    "SaltAndPepperNoise",
    "ReconstructionDisplay",
    "LossCurveDisplay",
    "LatentSpaceDisplay",
    "ReconstructionErrorDisplay",
    "OutlierDisplay",
    "clear_programs",
    "limit_programs",
    "set_jit_compile",
    "wait_for_workers",
    "datasets",
]

# Pickles, skops files and reprs name the public path, so that files can move between versions.
for _name in __all__[:-1]:
    globals()[_name].__module__ = __name__
del _name
