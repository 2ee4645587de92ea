"""Displays: what a network makes of its rows, and how its training went."""

from skae._plot._latent_space import LatentSpaceDisplay
from skae._plot._loss_curve import LossCurveDisplay
from skae._plot._reconstruction import ReconstructionDisplay
from skae._plot._reconstruction_error import ReconstructionErrorDisplay

__all__ = [
    "LatentSpaceDisplay",
    "LossCurveDisplay",
    "ReconstructionDisplay",
    "ReconstructionErrorDisplay",
]
