"""The study behind the defaults: ``python -m benchmarks.defaults``.

Every setting is fitted to several data sets with several seeds, and judged on rows that it has
not seen; the table is the one in docs/performance.md.  Small sets are judged by their mean
squared error over that of PCA with as many components, MNIST by its binary cross-entropy.
"""

import argparse
import statistics

import numpy as np
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from benchmarks.data import Mnist, errors, mnist_file
from benchmarks.outliers import sets as outlier_sets
from skae import DeepAutoencoder

ADAM = {"optimizer": "adam", "batch_size": 128}
SETTINGS = {
    "Adam, batch 128": ADAM,
    "Adam, batch auto": ADAM | {"batch_size": "auto"},
    "Muon, batch 128": {"batch_size": 128},
    "Muon, batch auto (the default)": {},
    "default, random start": {"init": "random"},
    "default, no rows set aside": {"early_stopping": False},
    "default, random start, no rows set aside": {"init": "random", "early_stopping": False},
    "default, 100 epochs": {"epochs": 100},
    "default, ReLU": {"activation": "relu"},
    "default, weight decay 0.05": {"optimizer__weight_decay": 0.05},
    "default, weight decay 0.4": {"optimizer__weight_decay": 0.4},
    "default, 3 iterations": {"optimizer__ns_steps": 3},
    "default, 5 iterations": {"optimizer__ns_steps": 5},
    "default, half the rate": {"learning_rate": 0.01},
    "default, twice the rate": {"learning_rate": 0.04},
    "default, cosine": {"learning_rate_schedule": "cosine"},
    "default, ReLU code": {"code_activation": "relu"},
}
MNIST_EPOCHS = (2, 8)


def small_sets():
    """Name, rows and components: images, tables, a manifold, and more features than rows."""
    tables = {
        "breast cancer": (datasets.load_breast_cancer().data, 5),
        "wine": (datasets.load_wine().data, 4),
        "diabetes": (datasets.load_diabetes().data, 4),
        "iris": (datasets.load_iris().data, 2),
        "swiss roll": (datasets.make_swiss_roll(2000, random_state=0)[0], 2),
    }
    rng = np.random.default_rng(0)
    wide = rng.random((300, 10)) @ rng.random((10, 400)) + 0.1 * rng.standard_normal((300, 400))
    yield "digits", datasets.load_digits().data / 16, 8, MinMaxScaler(clip=True)
    for name, (X, n_components) in tables.items():
        yield name, X, n_components, StandardScaler()
    yield "wide (300 x 400)", wide, 10, StandardScaler()
    yield "daily profiles (250 x 48)", daily_profiles(), 8, StandardScaler()
    yield "genes (60 x 2,000)", genes(), 8, StandardScaler()


def daily_profiles():
    """Loads of 250 days in half-hours: a daily and a half-daily wave, a peak at 18 h, and noise."""
    rng, time = np.random.default_rng(1), np.arange(48) * np.pi / 24
    level, phase = rng.uniform(0.5, 2, (250, 1)), rng.normal(0, 0.4, (250, 2))
    day, half_day, peak = rng.uniform(0.2, 1, (3, 250, 1))
    X = level + day * np.sin(time - phase[:, :1]) + half_day * np.sin(2 * time - phase[:, 1:])
    return X + peak * np.exp(-((np.arange(48) - 36) ** 2) / 18) + rng.normal(0, 0.05, X.shape)


def genes():
    """60 samples of 8 classes with 2,000 columns, some of them correlated, like NCI60's."""
    rng = np.random.default_rng(2)
    classes, centres = rng.integers(0, 8, 60), rng.normal(size=(8, 2000))
    factors = 0.2 * rng.normal(size=(60, 20)) @ rng.normal(size=(20, 2000))
    return centres[classes] + factors + rng.normal(size=(60, 2000))


def inlier_sets():
    """The normal rows of ADBench's sets that have 500 to 12,000 rows, with half as many codes."""
    for name in outlier_sets.names():
        X, y = outlier_sets.read(name)
        if 500 <= len(X) <= 12_000:
            yield f"{name} {X.shape[1]}", X[y == 0], -(-X.shape[1] // 2), StandardScaler()


def ratios_to_pca(sets, params, seeds):
    for _, X, n_components, scaler in sets:
        ratios = []
        for seed in seeds:
            X_train, X_test = train_test_split(X, test_size=0.3, random_state=seed)
            X_train, X_test = scaler.fit_transform(X_train), scaler.transform(X_test)
            pca = PCA(n_components).fit(X_train)
            reference = np.mean((pca.inverse_transform(pca.transform(X_test)) - X_test) ** 2)
            network = DeepAutoencoder(n_components, random_state=seed, **params).fit(X_train)
            ratios.append(-network.score(X_test) / reference)
        yield ratios


def mnist_figures(params, seeds):
    X, X_test = Mnist(60_000, 10_000).load()
    for epochs in MNIST_EPOCHS:
        networks = (
            DeepAutoencoder(epochs=epochs, random_state=seed, **params).fit(X) for seed in seeds
        )
        yield [errors(X_test, network.reconstruct(X_test))["bce"] for network in networks]


TABLES = {"small": small_sets, "inliers": inlier_sets}


def available():
    """The tables whose data are there; ADBench's sets and MNIST lie in the folder SKAE_DATA."""
    found = {"small": True, "inliers": outlier_sets.folder(), "mnist": mnist_file()}
    return [name for name, there in found.items() if there]


def main(arguments=None):
    parser = argparse.ArgumentParser("python -m benchmarks.defaults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="how many (default: 5)")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--tables", nargs="+", choices=available(), default=available())
    options = parser.parse_args(arguments)
    for table in options.tables:
        print_table(table, options.settings, range(options.seeds))


def print_table(table, settings, seeds):
    """Print a line for each setting, as soon as it is measured, and a column for each set."""
    is_mnist = table == "mnist"
    names = [f"MNIST, {epochs} epochs" for epochs in MNIST_EPOCHS]
    if not is_mnist:
        names = [name for name, *_ in TABLES[table]()]
    print("| setting |", " | ".join(names), "|")
    print("|---|" + "---|" * len(names))
    for setting in settings:
        params = SETTINGS[setting]
        if is_mnist:
            cells = [_cell(figures, 4) for figures in mnist_figures(params, seeds)]
        else:
            sets = TABLES[table]()
            cells = [_cell(figures, 3) for figures in ratios_to_pca(sets, params, seeds)]
        print(f"| {setting} |", " | ".join(cells), "|", flush=True)
    print()


def _cell(figures, digits):
    spread = statistics.stdev(figures) if len(figures) > 1 else 0
    return f"{statistics.mean(figures):.{digits}f} ± {spread:.{digits}f}"


if __name__ == "__main__":
    main()
