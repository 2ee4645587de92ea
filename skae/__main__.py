"""The demonstration: ``python -m skae`` trains two autoencoders on MNIST and compares them."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

from skae import DeepAutoencoder, DenoisingAutoencoder, GaussianNoise, ReconstructionDisplay
from skae._checks import MAX_SEED
from skae._typing import Array
from skae.datasets import load_mnist

N_COMPONENTS = 32
NOISE_SCALE = 0.5
ABOUT = """
Train a deep and a denoising autoencoder, 784-128-64-32-64-128-784, on MNIST's handwritten
digits; compare them with PCA with the same number of components; save two figures.  This takes
about a minute on two cores.
"""
DATA = """
mnist.npz as Keras distributes it, or the folder that holds it (default: the file that the
environment variable SKAE_DATA names; else scikit-learn's or Keras' copy; else the 7,000 images
that come with skae)
"""
LEGEND = f"""
BCE       binary cross-entropy of the reconstructed test images.  PCA's images
          are clipped to [0, 1] first, because BCE is undefined elsewhere.
MSE       mean squared error of the same images.
denoised  mean squared error between the clean test images and the
          reconstructions of noisy ones (normal noise of scale {NOISE_SCALE},
          clipped to [0, 1]).
accuracy  of a logistic regression on the codes, on the test images.
seconds   to fit; those of the first network include loading TensorFlow.
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the demonstration with the options of the command line."""
    parser = make_parser()
    options = parser.parse_args(argv)
    try:
        mnist = load_mnist(options.data, download=options.download)
        options.output.mkdir(parents=True, exist_ok=True)  # fail before a minute of work
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print_data(mnist)
    epochs = options.epochs or default_epochs(mnist)
    noise = GaussianNoise(NOISE_SCALE, clip=(0, 1), random_state=options.seed)
    noisy = noise.fit_transform(mnist.X_test)
    deep, denoiser = networks = [
        kind(N_COMPONENTS, epochs=epochs, random_state=options.seed, verbose=1)
        for kind in (DeepAutoencoder, DenoisingAutoencoder)
    ]
    pca = PCA(N_COMPONENTS, random_state=options.seed)
    rows = [(type(e).__name__, *measure(e, mnist, noisy)) for e in (pca, *networks)]
    print_summaries(networks)
    print_table(rows, noisy, mnist)
    folder = options.output.resolve()
    save_figure(folder / "reconstruction.png", 3.58, deep, mnist)
    save_figure(folder / "denoising.png", 4.93, denoiser, mnist, X_corrupted=noisy)
    print(f"Figures reconstruction.png and denoising.png are in {folder}")


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m skae", description=ABOUT)
    parser.add_argument("--data", metavar="PATH", help=DATA)
    parser.add_argument(
        "--download",
        action="store_true",
        help="download MNIST, 11 MB, if no copy is found on this machine",
    )
    parser.add_argument(
        "--epochs",
        type=positive,
        metavar="N",
        help="passes over the images for each network (default: 15, or 40 for the 7,000 images "
        "that come with skae)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        default=Path("skae-figures"),
        help="folder for the figures, made if it is missing (default: ./skae-figures)",
    )
    parser.add_argument(
        "--seed", type=natural, metavar="N", default=0, help="random seed (default: 0)"
    )
    return parser


def positive(text: str) -> int:
    if not text.isdecimal() or (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer; got {text!r}")
    return number


def natural(text: str) -> int:
    if not text.isdecimal() or (number := int(text)) > MAX_SEED:
        raise argparse.ArgumentTypeError(f"must be an integer from 0 to {MAX_SEED}; got {text!r}")
    return number


def default_epochs(mnist: Bunch) -> int:
    """Return more epochs for the sample: it is ten times smaller, and an epoch has fewer steps."""
    return 15 if len(mnist.X_train) > 20_000 else 40


def print_data(mnist: Bunch) -> None:
    print(f"MNIST from {mnist.source}")
    if len(mnist.X_train) < 60_000:
        print("For all 60,000 + 10,000 images, give --download or --data, or set SKAE_DATA.")


def measure(estimator: Any, mnist: Bunch, noisy: Array) -> tuple[float, ...]:
    """Fit an estimator and return the numbers for its line in the table."""
    print(f"\n{estimator}", flush=True)
    start = time.perf_counter()
    estimator.fit(mnist.X_train)
    seconds = time.perf_counter() - start
    restored, denoised = (reconstruct(estimator, X) for X in (mnist.X_test, noisy))
    return (
        binary_crossentropy(mnist.X_test, restored),
        mean_squared_error(mnist.X_test, restored),
        mean_squared_error(mnist.X_test, denoised),
        accuracy(estimator, mnist),
        seconds,
    )


def reconstruct(estimator: Any, X: Array) -> Array:
    return np.clip(estimator.inverse_transform(estimator.transform(X)), 0, 1)


def binary_crossentropy(X: Array, restored: Array) -> float:
    p = np.clip(restored, 1e-7, 1 - 1e-7)  # as Keras does
    return -np.mean(X * np.log(p) + (1 - X) * np.log1p(-p), dtype=np.float64)


def mean_squared_error(X: Array, restored: Array) -> float:
    return np.mean((X - restored) ** 2, dtype=np.float64)


def accuracy(estimator: Any, mnist: Bunch) -> float:
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier.fit(estimator.transform(mnist.X_train), mnist.y_train)
    return classifier.score(estimator.transform(mnist.X_test), mnist.y_test)


def print_summaries(networks: Sequence[DeepAutoencoder | DenoisingAutoencoder]) -> None:
    for network in networks:
        print(f"\nThe Keras model of the {type(network).__name__}:", flush=True)
        network.autoencoder_.summary()


def print_table(rows: Sequence[tuple[Any, ...]], noisy: Array, mnist: Bunch) -> None:
    names = ("BCE", "MSE", "denoised", "accuracy", "seconds")
    print(f"\n{f'{N_COMPONENTS} components':22}" + "".join(f"{name:>10}" for name in names))
    for name, bce, mse, denoised, score, seconds in rows:
        print(f"{name:22}{bce:10.4f}{mse:10.4f}{denoised:10.4f}{score:10.2%}{seconds:10.1f}")
    noise = mean_squared_error(mnist.X_test, noisy)
    print(f"{'the noisy images':22}{'':20}{noise:10.4f}\n{LEGEND}")


def save_figure(
    file: Path, height: float, estimator: Any, mnist: Bunch, X_corrupted: Array | None = None
) -> None:
    """Draw the first test image of each digit; without pyplot, no window opens."""
    figure = Figure(figsize=(10.6, height))
    ReconstructionDisplay.from_estimator(
        estimator,
        mnist.X_test,
        X_corrupted=X_corrupted,
        rows=np.unique(mnist.y_test, return_index=True)[1],
        image_shape=mnist.image_shape,
        ax=figure.add_axes((0, 0, 1, 1)),
    )
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
