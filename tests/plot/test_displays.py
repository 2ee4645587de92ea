"""Promises that every display keeps."""

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from sklearn.exceptions import NotFittedError

from skae import (
    DeepAutoencoder,
    LatentSpaceDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
    ReconstructionErrorDisplay,
)

DRAW = {
    "reconstruction": lambda e, X, ax: ReconstructionDisplay.from_estimator(e, X, rows=2, ax=ax),
    "loss": lambda e, X, ax: LossCurveDisplay.from_estimator(e, ax=ax),
    "codes": lambda e, X, ax: LatentSpaceDisplay.from_estimator(e, X, ax=ax),
    "errors": lambda e, X, ax: ReconstructionErrorDisplay.from_estimator(e, X, ax=ax),
}


@pytest.fixture(scope="module")
def fitted(make_autoencoder, X):
    return make_autoencoder().fit(X)


@pytest.fixture(params=DRAW)
def draw(request):
    return DRAW[request.param]


def test_unfitted_estimator_is_refused(draw, X):
    with pytest.raises(NotFittedError):
        draw(DeepAutoencoder(), X, None)
    assert not plt.get_fignums()


def test_given_axes_are_used(draw, fitted, X):
    """A display on given axes opens no figure and changes no setting of matplotlib."""
    before = mpl.rcParams.copy()
    ax = Figure().subplots()
    display = draw(fitted, X, ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert not plt.get_fignums()
    assert mpl.rcParams == before


def test_current_axes_stay_current(draw, fitted, X):
    _, (current, other) = plt.subplots(1, 2)
    plt.sca(current)
    draw(fitted, X, other)
    assert plt.gca() is current


def test_one_figure_without_axes(draw, fitted, X):
    """A display without axes makes one figure and changes no setting of matplotlib."""
    before = mpl.rcParams.copy()
    display = draw(fitted, X, None)
    assert plt.get_fignums() == [display.figure_.number]
    assert mpl.rcParams == before


@pytest.mark.parametrize("backend", ["svg", "pdf", "template"])
def test_every_backend_draws(draw, fitted, X, backend):
    plt.switch_backend(backend)
    draw(fitted, X, None).figure_.canvas.draw()


def test_plot_draws_again_on_other_axes(draw, fitted, X):
    display = draw(fitted, X, None)
    ax = Figure().subplots()
    assert display.plot(ax=ax) is display
    assert display.ax_ is ax


@pytest.mark.parametrize("display", [LatentSpaceDisplay, ReconstructionErrorDisplay])
def test_wrong_number_of_labels_is_refused(display, fitted, X):
    with pytest.raises(ValueError, match=r"label for each of the 300 rows; got shape \(2,\)"):
        display.from_estimator(fitted, X, np.zeros(2))


def test_import_loads_no_matplotlib():
    program = "import sys, skae; print('matplotlib' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "False"
