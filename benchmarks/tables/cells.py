"""Imputed categories: how many of the hidden ones are right."""

import numpy as np
from sklearn.impute import KNNImputer

from benchmarks.tables.sets import categorical
from skae import DenoisingAutoencoder, MaskingNoise

WIDTH = 64
STEPS = 3_000  # of training, in about
BATCH_SIZE = 128


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


CONTESTANTS = {
    "DenoisingAutoencoder": autoencoder,
    "the most frequent category": most_frequent,
    "KNNImputer after one-hot": neighbours,
}
