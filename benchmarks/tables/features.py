"""Features of a frame for a logistic regression, and their test accuracies."""

from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.tables.encoding import one_hot
from skae import DeepAutoencoder, DenoisingAutoencoder, SwapNoise

PARTS = ("code", "all")


def judge(features, y, test_features, y_test):
    """Test accuracy of a logistic regression on these features, standardised."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, tol=1e-3))
    return float(classifier.fit(features, y).score(test_features, y_test))


def raw(found, seed):
    return {"one-hot and scaled columns": _of_transformer(one_hot(), found.split(seed))}


def pca(found, seed):
    X, X_test, y, y_test = found.split(seed)
    encoded = one_hot().fit(X)
    most = min(found.n_components, encoded.transform(X[:1]).shape[1])
    reduction = make_pipeline(encoded, PCA(most, random_state=seed))
    return {"PCA of these": _of_transformer(reduction, (X, X_test, y, y_test))}


def _of_transformer(transformer, split):
    X, X_test, y, y_test = split
    features = transformer.fit_transform(X)
    return judge(features, y, transformer.transform(X_test), y_test)


def trees(found, seed):
    """A supervised contestant on the frame, which is not a linear classifier."""
    X, X_test, y, y_test = found.split(seed)
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed)
    return {"gradient-boosted trees on the frame": float(model.fit(X, y).score(X_test, y_test))}


def autoencoder(kind, **params):
    """A contestant with one fit to the frame for all parts of the features."""

    def accuracies(found, seed):
        X, X_test, y, y_test = found.split(seed)
        model = kind(
            found.n_components, missing_values="mask", random_state=seed, **params
        ).fit(X)  # fmt: skip
        return {
            f"{kind.__name__}, {part}": judge(
                *(_part(model, part, X), y, _part(model, part, X_test), y_test)
            )
            for part in PARTS
        }

    return accuracies


def _part(model, part, X):
    model.features = part
    return model.transform(X)


CONTESTANTS = {
    "DeepAutoencoder": autoencoder(DeepAutoencoder),
    "DenoisingAutoencoder": autoencoder(DenoisingAutoencoder, corruption=SwapNoise()),
    "one-hot": raw,
    "PCA": pca,
    "trees": trees,
}
