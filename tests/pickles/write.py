"""Keep what a release pickles: ``python tests/pickles/write.py`` writes ``VERSION.pickle`` here.

Run it once for each release, with the oldest versions that skae supports, which ``nox -s oldest``
installs: NumPy 1 does not know the arrays in a pickle of NumPy 2, and NumPy 2 does those of
NumPy 1, in this protocol without a warning.  `tests/test_versions.py` loads all of these files for
ever.  Until the changelog has the release's date it may be written anew, and afterwards no more.
"""

import pickle
import sys
from pathlib import Path

import keras
import numpy as np

import skae

CHANGELOG = Path(__file__).parents[2] / "CHANGELOG.md"
X = np.random.default_rng(0).uniform(size=(40, 8))
SIZES = {"n_components": 2, "hidden_layer_sizes": (4,), "epochs": 2, "random_state": 0}


def estimators():
    """Fitted estimators whose states differ in kind."""
    yield skae.DeepAutoencoder(**SIZES, early_stopping=True, metrics="mse").fit(X)
    yield skae.DenoisingAutoencoder(**SIZES, noise_scale=0.1).partial_fit(X).partial_fit(X)
    yield skae.DeepAutoencoder(
        **SIZES,
        optimizer=keras.optimizers.Adam(0.01, beta_1=0.8),
        loss=keras.losses.MeanSquaredError,
        learning_rate_schedule=keras.optimizers.schedules.CosineDecay(0.01, 30),
    ).fit(X)


def is_released(version):
    return f"## [{version}] - unreleased" not in CHANGELOG.read_text(encoding="utf-8")


def main():
    file = Path(__file__).with_name(f"{skae.__version__}.pickle")
    if file.exists() and is_released(skae.__version__):
        sys.exit(f"{file} is of a release, and stays as it is.")
    kept = {
        "X": X,
        "noise": skae.GaussianNoise(0.1, random_state=0).fit(X),
        "estimators": [
            (estimator, estimator.transform(X), estimator.reconstruct(X))
            for estimator in estimators()
        ],
    }
    file.write_bytes(pickle.dumps(kept, protocol=4))
    print(f"{file}: {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
