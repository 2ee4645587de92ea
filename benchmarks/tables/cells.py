"""Imputed categories: how many of the hidden ones are right."""

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import KNNImputer

from benchmarks.tables.sets import categorical
from skae import AutoencoderImputer, DenoisingAutoencoder, MaskingNoise

WIDTH = 64
STEPS = 3_000  # of training, in about
BATCH_SIZE = 128
TREES, ROUNDS = 100, 5  # of a forest for each column


def imputer(X, seed):
    """The frame that the imputer with its defaults fills."""
    return AutoencoderImputer(random_state=seed).fit_transform(X)


def autoencoder(X, seed):
    """The frame that a denoiser restores, which learned to restore hidden cells."""
    steps_of_an_epoch = -(-len(X) // BATCH_SIZE)
    model = DenoisingAutoencoder(
        WIDTH,
        hidden_layer_sizes=(WIDTH,),
        activation="silu",
        code_activation="silu",
        corruption=MaskingNoise(0.8, fill_value=np.nan, vary=True),
        missing_values="mask",
        optimizer="adam",
        batch_size=BATCH_SIZE,
        epochs=-(-STEPS // steps_of_an_epoch),
        early_stopping=False,
        random_state=seed,
    )
    return model.fit(X).reconstruct(X)


def most_frequent(X, seed):
    return X.fillna({name: X[name].mode()[0] for name in categorical(X)})


def neighbours(X, seed):
    """`KNNImputer` on scaled numbers and one-hot columns; the largest of these wins."""
    names = categorical(X)
    numbers = X.drop(columns=names)
    numbers = (numbers - numbers.mean()) / numbers.std(ddof=0)
    blocks = [_one_hot(X[name]) for name in names]
    filled = KNNImputer().fit_transform(np.column_stack([*blocks, numbers.to_numpy(float)]))
    restored = X.copy()
    start = 0
    for name, block in zip(names, blocks, strict=True):
        chosen = filled[:, start : start + block.shape[1]].argmax(axis=1)
        restored[name] = X[name].cat.categories[chosen]
        start += block.shape[1]
    return restored


def _one_hot(column):
    codes = column.cat.codes.to_numpy()
    block = (codes[:, np.newaxis] == np.arange(len(column.cat.categories))).astype(float)
    block[codes < 0] = np.nan
    return block


def forests(X, seed):
    """MissForest: a forest predicts each column from the others, in several rounds.

    D. J. Stekhoven and P. Buehlmann, "MissForest: non-parametric missing value imputation for
    mixed-type data", Bioinformatics 28, 2012.
    """
    filled = most_frequent(X, seed)
    filled = filled.fillna(filled.mean(numeric_only=True))
    gaps = X.isna().sum().sort_values()
    for _ in range(ROUNDS):
        for name in gaps.index[gaps > 0]:
            _predict(X[name], filled, seed)
    return filled


def _predict(column, filled, seed):
    """Replace the gaps of a column by the predictions of a forest."""
    name, known = column.name, column.notna()
    kind = RandomForestClassifier if name in categorical(filled) else RandomForestRegressor
    inputs = pd.get_dummies(filled.drop(columns=name)).to_numpy(np.float32)
    forest = kind(TREES, random_state=seed).fit(inputs[known], column[known])
    filled.loc[~known, name] = forest.predict(inputs[~known])


def accuracy(found, seed, contestant, *, rate, most_rows):
    """Share of the hidden categories that are restored."""
    X, hidden = found.gaps(seed, rate, most_rows)
    restored = CONTESTANTS[contestant](X.mask(hidden), seed)
    right = [
        (restored[name].astype(object) == X[name].astype(object)).to_numpy()[hidden[:, place]]
        for place, name in enumerate(X.columns)
        if name in categorical(X)
    ]
    return float(np.concatenate(right).mean())


OURS = "AutoencoderImputer"
CONTESTANTS = {
    "DenoisingAutoencoder": autoencoder,
    OURS: imputer,
    "the most frequent category": most_frequent,
    "KNNImputer after one-hot": neighbours,
    "MissForest": forests,
}
