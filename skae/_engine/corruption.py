"""Corruptions that an accelerator computes."""

import functools

import numpy as np

from skae._corruption.base import Corruption
from skae._corruption.cells import Groups, number_units, rates
from skae._corruption.gaussian import GaussianNoise
from skae._corruption.masking import MaskingNoise
from skae._corruption.salt_and_pepper import SaltAndPepperNoise
from skae._corruption.swap import SwapNoise
from skae._engine.tensorflow import tf
from skae._typing import Array, Tensor


@functools.singledispatch
def corrupt_on_device(corruption: Corruption, clean: Tensor, seed: Array, n_rows: Array) -> Tensor:
    """Corrupt mini-batches on their device; dispatches on the class of the corruption.

    Parameters
    ----------
    corruption : Corruption
        A corruption of a registered class.
    clean : tensor of shape (n_steps, batch_size, n_features)
        The clean rows.
    seed : ndarray of shape (2,)
        Two integers that determine all random numbers.
    n_rows : ndarray of shape (n_steps,)
        How many rows of each mini-batch are not padding.  The padding is at the end.

    Returns
    -------
    corrupted : tensor of shape (n_steps, batch_size, n_features)
        The corrupted rows.
    """
    raise NotImplementedError(f"There is no TensorFlow form of {type(corruption).__name__}.")


@corrupt_on_device.register
def _(corruption: GaussianNoise, clean: Tensor, seed: Array, n_rows: Array) -> Tensor:
    scale = np.asarray(corruption.scale, np.float32)
    noisy = clean + scale * tf.random.stateless_normal(clean.shape, seed)
    return noisy if corruption.clip is None else tf.clip_by_value(noisy, *corruption.clip)


@corrupt_on_device.register
def _(corruption: MaskingNoise, clean: Tensor, seed: Array, n_rows: Array) -> Tensor:
    shares = rates(corruption.fraction)
    if corruption.vary:
        shape, own = (*clean.shape[:-1], 1), tf.random.fold_in(seed, 1)
        shares = shares * tf.random.stateless_uniform(shape, own)
    replaced = _draw(corruption.groups, clean, seed) < shares
    return tf.where(replaced, np.float32(corruption.fill_value), clean)


@corrupt_on_device.register
def _(corruption: SwapNoise, clean: Tensor, seed: Array, n_rows: Array) -> Tensor:
    replaced = _draw(corruption.groups, clean, seed) < rates(corruption.fraction)
    places = _draw(corruption.groups, clean, tf.random.fold_in(seed, 1))
    return tf.where(replaced, _take_from_others(clean, places, n_rows), clean)


@corrupt_on_device.register
def _(corruption: SaltAndPepperNoise, clean: Tensor, seed: Array, n_rows: Array) -> Tensor:
    replaced = _draw(None, clean, seed) < rates(corruption.fraction)
    is_salt = _draw(None, clean, tf.random.fold_in(seed, 1)) < np.float32(corruption.salt_vs_pepper)
    low, high = (np.asarray(value, np.float32) for value in (corruption.low, corruption.high))
    return tf.where(replaced, tf.where(is_salt, high, low), clean)


def _draw(groups: Groups, clean: Tensor, seed: Array | Tensor) -> Tensor:
    """Draw numbers from [0, 1) in the shape of ``clean``.  The columns of a group share them."""
    if groups is None:
        return tf.random.stateless_uniform(clean.shape, seed)
    units = number_units(groups, clean.shape[-1])
    drawn = tf.random.stateless_uniform((*clean.shape[:-1], units.max() + 1), seed)
    return tf.gather(drawn, units, axis=-1)


def _take_from_others(clean: Tensor, places: Tensor, n_rows: Array) -> Tensor:
    """Return the values of other rows in the same columns.

    The places, in [0, 1), choose among the other rows of the mini-batch, as `SwapNoise` does by
    distances.  Row numbers are computed in float32, which holds them exactly, because TensorFlow
    computes int32 on the host.
    """
    n_steps, batch_size, n_features = clean.shape
    counts = n_rows.reshape(-1, 1, 1).astype(np.float32)
    distances = 1 + tf.floor(places * np.maximum(counts - 1, 0))
    rows = np.arange(batch_size, dtype=np.float32)[:, None]
    donors = tf.math.floormod(rows + distances, np.maximum(counts, 1))
    firsts = np.arange(n_steps)[:, None, None] * batch_size * n_features + np.arange(n_features)
    values = tf.reshape(clean, [-1])
    return tf.gather(values, tf.cast(donors, tf.int64) * n_features + firsts)
