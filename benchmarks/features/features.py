"""The features that are compared: raw columns, PCA's components, codes and hidden layers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import DeepAutoencoder, DenoisingAutoencoder, SwapNoise

# Of 0.01, 0.1, 1 and 10, scikit-learn's default is the best for raw columns, on the sets that
# settings were chosen on.
C = 1.0
PARTS = ("code", "hidden", "all")
LINEAR_DECODER = {
    "init": "random",
    "early_stopping": False,
    "decoder_layer_sizes": (),
    "corruption": SwapNoise(0.2),
}


@dataclass(frozen=True)
class Contestant:
    """Takes a split, a seed and sizes of layers, and returns the accuracy of each row."""

    name: str
    accuracies: Callable


def judge(split, X, X_test):
    """Test accuracy of a logistic regression on these features, standardised."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=500, tol=1e-3))
    classifier.fit(X.astype(np.float32), split.y)
    return float(classifier.score(X_test.astype(np.float32), split.y_test))


def raw(split, seed, sizes):
    return {"raw columns": judge(split, split.X, split.X_test)}


def pca(split, seed, sizes):
    most = min(split.X.shape)
    reduction = PCA(min(sizes.get("n_components", split.n_components), most), random_state=seed)
    X = reduction.fit_transform(split.X)
    return {"PCA": judge(split, X, reduction.transform(split.X_test))}


def tree(split, seed, sizes):
    """A supervised contestant on the raw columns, which is not a linear classifier."""
    model = HistGradientBoostingClassifier(random_state=seed).fit(split.X, split.y)
    return {"gradient-boosted trees on raw columns": float(model.score(split.X_test, split.y_test))}


def autoencoder(name, kind, **params):
    """A contestant with one fit for three rows: codes, hidden layers and both."""

    def accuracies(split, seed, sizes):
        arguments = {"n_components": split.n_components, "random_state": seed} | params | sizes
        model = kind(**arguments).fit(split.X)
        return {f"{name}, {part}": _judge_part(model, part, split) for part in PARTS}

    return Contestant(name, accuracies)


def _judge_part(model, part, split):
    model.features = part
    return judge(split, model.transform(split.X), model.transform(split.X_test))


CONTESTANTS = (
    Contestant("raw columns", raw),
    Contestant("PCA", pca),
    autoencoder("DeepAutoencoder", DeepAutoencoder),
    autoencoder("DenoisingAutoencoder", DenoisingAutoencoder),
    autoencoder("denoising, start at PCA", DenoisingAutoencoder, init="pca"),
    autoencoder("denoising, linear decoder", DenoisingAutoencoder, **LINEAR_DECODER),
    Contestant("gradient-boosted trees on raw columns", tree),
)
