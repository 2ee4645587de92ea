"""The weights from which training starts: drawn at random, or those of PCA."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from skae._engine.spec import ProgramSpec
from skae._network.layers import Layer, Shortcut
from skae._network.spec import NetworkSpec
from skae._rows.readers import make_reader
from skae._rows.rows import Rows
from skae._training.plan import Plan
from skae._training.seeds import Stream, generator
from skae._typing import Array, Floats

# PCA of this many random rows for each column has an error within 1 % of PCA's of all rows.
ROWS_PER_COLUMN = 10
MIN_ROWS = 2000
MAX_VALUES = 1 << 25  # as many as the buffer that shuffles a source
# Components with a smaller share of the largest variance are rounding errors.
SMALLEST_SHARE = 1e-6


def starting_weights(spec: ProgramSpec, rows: Rows, plan: Plan) -> list[Floats]:
    """Return the weights of a new network, before its first step."""
    weights = initial_weights(spec.network, plan.seed)
    return _started_at_pca(spec, rows, plan, weights) if plan.init == "pca" else weights


def initial_weights(network: NetworkSpec, seed: int) -> list[Floats]:
    """Draw the weights of all layers; layers without weights, such as dropout, change no others."""
    trained = [layer for layer in network.layers if layer.shapes]
    return [
        array
        for place, layer in enumerate(trained)
        for array in layer.initial_weights(generator(seed, Stream.WEIGHTS, place))
    ]


class Sample(NamedTuple):
    """Random rows as the network sees them: shape (n_rows, n_features), in float64.

    ``weight`` is the weight of each row, with a mean of one.
    """

    inputs: Array
    targets: Array
    weight: Array


class Components(NamedTuple):
    """Principal components: ``axes`` of shape (n, n_features), and the standard deviations."""

    mean: Array
    axes: Array
    deviations: Array


def _started_at_pca(
    spec: ProgramSpec, rows: Rows, plan: Plan, weights: Sequence[Floats]
) -> list[Floats]:
    """Set the linear paths so that the network is PCA; its other layers add nothing yet.

    Codes have a variance of one.  If PCA has fewer components than the code, the other codes start
    at random, and the decoder does not use them yet.
    """
    network = spec.network
    sample = _sample(rows, plan, network.n_components)
    pca = _components(sample, network.n_components, plan.seed)
    own = network.by_layer(weights)
    n, last = len(pca.axes), len(network.layers) - 1
    code = network.n_encoder_layers - 1
    kernel, bias = _linear_part(network.layers[code], own[code])
    kernel[:, :n] = pca.axes.T / pca.deviations
    bias[:n] = -(sample.weight @ sample.inputs / len(sample.inputs)) @ kernel[:, :n]
    codes = sample.inputs @ kernel + bias
    kernel, bias = _linear_part(network.layers[last], own[last])
    kernel[:] = 0
    kernel[:n] = pca.axes * pca.deviations[:, None]
    bias[:] = pca.mean
    if network.activations[-1] == "sigmoid":
        kernel[:n], bias[:] = _logistic(codes[:, :n], sample)
    return [array.astype(np.float32) for arrays in own for array in arrays]


def _linear_part(layer: Layer, weights: list[Any]) -> tuple[Array, Array]:
    """Convert kernel and bias of a layer's linear path to float64 in place, and return them."""
    places = (-3, -1) if isinstance(layer, Shortcut) else (0, 1)
    for place in places:
        weights[place] = weights[place].astype(np.float64)
    return weights[places[0]], weights[places[1]]


def _sample(rows: Rows, plan: Plan, n_components: int) -> Sample:
    """Read random rows; those of a source come from random blocks."""
    n_features = rows.inputs.shape[1]
    wanted = min(max(MIN_ROWS, ROWS_PER_COLUMN * n_features), MAX_VALUES // n_features)
    n_rows = min(len(rows.index), max(wanted, 2 * n_components))
    buffers: list[Any] = [np.empty((n_rows, n_features), np.float32) for _ in rows.matrices]
    buffers.append(np.empty(n_rows, np.float32))
    reader = make_reader(rows, n_rows)
    part = next(iter(reader.shuffled(generator(plan.seed, Stream.START))))
    n_read = reader.take(part, buffers)
    inputs, *others, weight = (buffer[:n_read].astype(np.float64) for buffer in buffers)
    seen = [_conditioned(matrix, plan) for matrix in (inputs, *others)]
    return Sample(seen[0], seen[-1], weight / weight.mean())


def _conditioned(rows: Array, plan: Plan) -> Array:
    if plan.conditioning is None:
        return rows
    shift, scale = plan.conditioning.map
    return (rows - shift) / scale


def _components(sample: Sample, n_components: int, seed: int) -> Components:
    """Compute the principal components of the rows to reconstruct, with the weights of the rows."""
    from sklearn.decomposition import PCA

    mean = sample.weight @ sample.targets / len(sample.targets)
    centred = np.sqrt(sample.weight)[:, None] * (sample.targets - mean)
    if np.ptp(sample.weight) > 0:
        centred = np.concatenate([centred, -centred])  # PCA subtracts the mean, which is then zero
    n = min(n_components, *sample.targets.shape)
    state = int(generator(seed, Stream.START, 1).integers(1 << 31))
    with np.errstate(divide="ignore", invalid="ignore"):  # a single row, or no variance
        pca = PCA(n, random_state=state).fit(centred)
    variances = pca.explained_variance_
    is_real = variances > max(SMALLEST_SHARE * variances[0], np.finfo(np.float32).tiny)
    return Components(mean, pca.components_[is_real], np.sqrt(variances[is_real]))


def _logistic(codes: Array, sample: Sample) -> tuple[Array, Array]:
    """Fit a logistic regression of each column on the codes, by the cross-entropy.

    A sigmoid of the linear path can so be no worse than PCA with its values clipped to [0, 1].
    """
    n_rows, n_codes = codes.shape
    n_features = sample.targets.shape[1]
    mean = np.clip(sample.weight @ sample.targets / n_rows, 1e-3, 1 - 1e-3)
    weight = sample.weight[:, None] / n_rows

    def loss(flat: Array) -> tuple[float, Array]:
        coefficients = flat.reshape(n_codes + 1, n_features)
        z = codes @ coefficients[:-1] + coefficients[-1]
        value = np.sum(weight * (np.logaddexp(0, z) - z * sample.targets))
        slope = weight * (expit(z) - sample.targets)
        return value, np.concatenate([codes.T @ slope, slope.sum(axis=0)[None]]).ravel()

    start = np.concatenate([np.zeros((n_codes, n_features)), logit(mean)[None]])
    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 50})
    coefficients = found.x.reshape(n_codes + 1, n_features)
    return coefficients[:-1], coefficients[-1]
