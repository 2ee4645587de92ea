"""Detectors by name: functions of rows to train on, rows to score and a seed.

Each returns a number for each row to score; higher is more unusual.
"""

import importlib.util
import warnings

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.svm import OneClassSVM

EPOCHS = 20  # the same for the networks of skae and of PyOD


def skae(train, test, seed):
    from skae import AutoencoderOutlierDetector

    return -AutoencoderOutlierDetector(random_state=seed).fit(train).score_samples(test)


def skae_contaminated(train, test, seed):
    """The detector of somebody who expects outliers among the rows that train."""
    from skae import AutoencoderOutlierDetector

    detector = AutoencoderOutlierDetector(contamination=0.1, random_state=seed)
    return -detector.fit(train).score_samples(test)


def skae_trimmed(train, test, seed):
    from skae import AutoencoderOutlierDetector

    detector = AutoencoderOutlierDetector(contamination=0.1, trim=0.1, random_state=seed)
    return -detector.fit(train).score_samples(test)


def isolation_forest(train, test, seed):
    return -IsolationForest(random_state=seed).fit(train).score_samples(test)


def local_outlier_factor(train, test, seed):
    return -LocalOutlierFactor(novelty=True).fit(train).score_samples(test)


def nearest_neighbours(train, test, seed):
    return NearestNeighbors(n_neighbors=5).fit(train).kneighbors(test)[0][:, -1]


def pca(train, test, seed):
    model = PCA(0.9, svd_solver="full").fit(train)
    return ((test - model.inverse_transform(model.transform(test))) ** 2).sum(1)


def one_class_svm(train, test, seed):
    return -OneClassSVM().fit(train).score_samples(test)


def ecod(train, test, seed):
    from pyod.models.ecod import ECOD

    return ECOD().fit(train).decision_function(test)


def pyod_autoencoder(train, test, seed):
    from pyod.models.auto_encoder import AutoEncoder

    return _pyod(AutoEncoder, train, test, seed)


def pyod_vae(train, test, seed):
    from pyod.models.vae import VAE

    return _pyod(VAE, train, test, seed)


def _pyod(kind, train, test, seed):
    """PyOD's defaults, with a batch of at most the number of rows: it drops the last batch."""
    batch = max(2, min(32, len(train)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector = kind(
            epoch_num=EPOCHS, batch_size=batch, random_state=seed, device="cpu", verbose=0
        )
        return np.nan_to_num(detector.fit(train).decision_function(test), nan=np.inf, posinf=1e300)


OURS = {
    "skae": skae,
    "skae, contamination=0.1": skae_contaminated,
    "skae, contamination=trim=0.1": skae_trimmed,
}
RIVALS = {
    "IsolationForest": isolation_forest,
    "LOF (novelty)": local_outlier_factor,
    "kNN(5)": nearest_neighbours,
    "PCA reconstruction": pca,
    "OneClassSVM": one_class_svm,
}
PYOD = {"ECOD": ecod, "PyOD AutoEncoder": pyod_autoencoder, "PyOD VAE": pyod_vae}


def available():
    """Every contestant that can run here, ours first."""
    installed = importlib.util.find_spec("pyod") is not None
    return OURS | RIVALS | (PYOD if installed else {})
