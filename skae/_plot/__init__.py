"""The displays: plots of reconstructions, codes, losses and errors, drawn with matplotlib.

May import the ground floor, the files skae/_*.py.  Displays call public methods of estimators
and never import them.
"""

from skae._plot.latent_space import LatentSpaceDisplay
from skae._plot.loss_curve import LossCurveDisplay
from skae._plot.outliers import OutlierDisplay
from skae._plot.reconstruction import ReconstructionDisplay
from skae._plot.reconstruction_error import ReconstructionErrorDisplay

__all__ = [
    "LatentSpaceDisplay",
    "LossCurveDisplay",
    "OutlierDisplay",
    "ReconstructionDisplay",
    "ReconstructionErrorDisplay",
]
