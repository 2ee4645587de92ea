"""Write the pickle of this release: ``python tests/pickles/write.py`` writes ``VERSION.pickle``.

Run it once for each release, with the oldest versions that skae supports, which ``nox -s oldest``
installs: an older NumPy may not load the arrays of a newer one, but a newer NumPy loads those of an
older one, in this protocol without a warning.  `tests/interop/test_versions.py` loads all of these
files in every later version.  Until the changelog has the date of the release, the file may be
written again; afterwards it must not change.
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
    """Yield fitted estimators with different kinds of state."""
    yield skae.DeepAutoencoder(**SIZES, early_stopping=True, metrics="mse").fit(X)
    yield skae.DenoisingAutoencoder(**SIZES, noise_scale=0.1).partial_fit(X).partial_fit(X)
    yield skae.DeepAutoencoder(
        **SIZES,
        optimizer=keras.optimizers.Adam(0.01, beta_1=0.8),
        loss=keras.losses.MeanSquaredError,
        learning_rate_schedule=keras.optimizers.schedules.CosineDecay(0.01, 30),
    ).fit(X)
    corruption = skae.MaskingNoise(0.2)
    yield skae.DenoisingAutoencoder(**SIZES, corruption=corruption, dropout=0.1, alpha=1e-4).fit(X)


def is_released(version):
    return f"## [{version}] - unreleased" not in CHANGELOG.read_text(encoding="utf-8")


def main():
    file = Path(__file__).with_name(f"{skae.__version__}.pickle")
    if file.exists() and is_released(skae.__version__):
        sys.exit(f"{file} is the pickle of a release, which must not change.")
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
