"""The weights from which training starts: drawn at random, or those of PCA."""

import contextlib
import functools
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from skae._engine.forward.layers import INFERENCE, logits
from skae._engine.spec import ProgramSpec
from skae._network.layers import Layer, Shortcut
from skae._network.spec import NetworkSpec
from skae._network.tables import Probabilities
from skae._network.tying import tie
from skae._rows.finite import fill_gaps, means_of_known
from skae._rows.rows import Rows
from skae._training.components import (
    ROWS_PER_COLUMN,
    Components,
    Sample,
    components,
    draw_sample,
)
from skae._training.plan import Plan
from skae._training.seeds import Stream, generator
from skae._typing import Array, Floats

# A learning rate that suits weights of about one would destroy the solution of PCA for rows in
# larger units.  Training scales the rows, but not beyond 1e30, and not for outputs with bounds.
LARGEST_DEVIATION = 1e4
LOGISTIC_STEPS, MIN_LOGISTIC_ROWS = 30, 2000
# A tied linear path of zeros could not learn: its codes are zero, and their slopes are, too.
SMALLEST_GAIN = 1e-2


_one_blas_thread = threading.RLock()


@functools.cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


@contextlib.contextmanager
def _on_one_blas_thread() -> Iterator[None]:
    """Let NumPy's products use one thread: on some processors, more threads change their bits.

    The number of threads belongs to the process, so starts in several threads take turns.
    """
    with _one_blas_thread, _blas().limit(limits=1):
        yield


def starting_weights(spec: ProgramSpec, rows: Rows, plan: Plan) -> list[Floats]:
    """Return the weights of a new network, before its first step."""
    network = spec.network
    weights = initial_weights(network, plan.seed)
    if plan.init == "pca" or network.has_gaps:
        dense = _is_logistic(network) or network.has_gaps
        sample = draw_sample(rows, plan, network.n_components, dense=dense)
        return _suited_to_rows(spec, sample, plan, weights)
    return tie(network, weights) if spec.tied else weights


def _is_logistic(network: NetworkSpec) -> bool:
    return network.activations[-1] == "sigmoid" or network.table is not None


def _suited_to_rows(
    spec: ProgramSpec, sample: Sample, plan: Plan, weights: list[Floats]
) -> list[Floats]:
    """Return the weights of PCA, or those given, and let unknown values start as means."""
    if plan.init == "pca":
        with _on_one_blas_thread():
            weights = _started_at_pca(spec, sample, plan, weights)
    if spec.network.has_gaps:
        _close_gaps(spec.network, sample, weights)
    return weights


def initial_weights(network: NetworkSpec, seed: int) -> list[Floats]:
    """Draw the weights of all layers; layers without weights, such as dropout, change no others."""
    trained = [layer for layer in network.layers if layer.shapes]
    return [
        array
        for place, layer in enumerate(trained)
        for array in layer.initial_weights(generator(seed, Stream.WEIGHTS, place))
    ]


def _started_at_pca(
    spec: ProgramSpec, sample: Sample, plan: Plan, weights: Sequence[Floats]
) -> list[Floats]:
    """Set the linear paths so that the network is PCA; its other layers add nothing yet.

    Codes have a variance of one.  If PCA has fewer components than the code, the other codes start
    at random, and the decoder does not use them yet.
    """
    network = spec.network
    is_logistic = _is_logistic(network)
    if network.has_gaps:
        sample = _filled(sample)
    # With tied weights, the kernel of the decoder would have to be divided by the weights of the
    # columns, and that of the encoder multiplied by them.  So this start ignores these weights.
    of_columns = None if spec.tied else plan.column_weights
    of_features = None if of_columns is None else network.by_feature(of_columns)
    pca = components(sample, network.n_components, plan.seed, of_features)
    if not pca.deviations.max(initial=0) < LARGEST_DEVIATION:
        return tie(network, weights) if spec.tied else list(weights)
    if spec.tied:
        return _tied_at_pca(network, sample, pca, weights)
    own = network.by_layer(weights)
    n, last = len(pca.axes), network.output_place
    code = network.n_encoder_layers - 1
    kernel, bias = _linear_part(network.layers[code], own[code])
    kernel = kernel[: network.n_features]  # without the weights of `Gaps`
    kernel[:, :n] = pca.projections.T / pca.deviations
    bias[:n] = -sample.input_mean() @ kernel[:, :n]
    codes = sample.inputs @ kernel + bias if is_logistic else None
    kernel, bias = _linear_part(network.layers[last], own[last])
    kernel[:] = 0
    kernel[:n] = pca.axes * pca.deviations[:, None]
    bias[:] = pca.mean
    if codes is not None:
        first = 0 if network.table is None else network.table.n_numbers
        kernel[:n, first:], bias[first:] = _logistic(
            codes[:, :n], _columns(sample, first), network.table
        )
    return [array.astype(np.float32) for arrays in own for array in arrays]


def _tied_at_pca(
    network: NetworkSpec, sample: Sample, pca: Components, weights: Sequence[Floats]
) -> list[Floats]:
    """Set the linear paths so that the network is PCA, although its weights are tied.

    Codes have the variances of PCA's.  If PCA has fewer components than the code, the other codes
    start at a hundredth of their random weights: they change little, but can learn.
    """
    own, n = network.by_layer(weights), len(pca.axes)
    code, last = network.n_encoder_layers - 1, len(network.layers) - 1
    kernel, bias = _linear_part(network.layers[code], own[code])
    centre = sample.input_mean()
    gains, level = np.ones(n), pca.mean
    if network.activations[-1] == "sigmoid":
        gains, level = _tied_logistic((sample.inputs - centre) @ pca.axes.T, pca.axes, sample)
    kernel *= 0.01
    kernel[:, :n] = pca.axes.T * np.sqrt(gains)
    bias[:] = -centre @ kernel
    tied = tie(network, [array.astype(np.float32) for arrays in own for array in arrays])
    # The decoder's hidden layers start as the encoder's end: with zeros.  So they add a constant,
    # which is not zero for activations such as the sigmoid.
    zero_code = np.zeros((1, network.n_components), np.float32)
    constant = logits(network.layers[last], network.by_layer(tied)[last], zero_code, INFERENCE)
    tied[-1] = (level - constant.numpy()[0]).astype(np.float32)
    return tied


def _linear_part(layer: Layer, weights: list[Any]) -> tuple[Array, Array]:
    """Convert kernel and bias of a layer's linear path to float64 in place, and return them."""
    places = (-3, -1) if isinstance(layer, Shortcut) else (0, 1)
    for place in places:
        weights[place] = weights[place].astype(np.float64)
    return weights[places[0]], weights[places[1]]


def _filled(sample: Sample) -> Sample:
    """Replace unknown values by the means of their columns."""
    inputs = fill_gaps(sample.inputs, sample.weight)
    if sample.targets is sample.inputs:
        return sample._replace(inputs=inputs, targets=inputs)
    return sample._replace(inputs=inputs, targets=fill_gaps(sample.targets, sample.weight))


def _close_gaps(network: NetworkSpec, sample: Sample, weights: Sequence[Floats]) -> None:
    """Let unknown values start as the means of their columns.

    A column without any value gets an output of zero.  Training never compares it, so it stays so.
    """
    own, n = network.by_layer(weights), network.n_features
    last = network.output_place
    means, never = means_of_known(sample.inputs, sample.weight), np.isnan(sample.targets).all(0)
    is_linear = isinstance(network.layers[1], Shortcut)
    for place in (0, -3) if is_linear else (0,):
        kernel = own[1][place]
        told = len(kernel) - n
        kernel[n:] = means[:told, None] * kernel[:told]
    n_arrays = 3 if isinstance(network.layers[last], Shortcut) else 2
    for array in own[last][-n_arrays:]:
        array[..., never] = 0


def _columns(sample: Sample, first: int) -> Sample:
    """Return a sample with those targets only that start at column ``first``."""
    return sample._replace(targets=sample.targets[:, first:]) if first else sample


def _logistic(
    codes: Array, sample: Sample, table: Probabilities | None = None
) -> tuple[Array, Array]:
    """Fit a logistic regression of each column on the codes, by the cross-entropy.

    A sigmoid of the linear path can so be no worse than PCA with its values clipped to [0, 1].
    Each step minimises a bound of the cross-entropy, as the slope of a sigmoid is at most 1/4: D.
    Boehning, "Multinomial logistic regression algorithm", 1992.  For the categories of a ``table``,
    whose numbers are left out, the bound is 1/2.
    """
    n_rows = max(MIN_LOGISTIC_ROWS, ROWS_PER_COLUMN * (codes.shape[1] + 1))
    sample = Sample(*(array[:n_rows] for array in sample[:3]))
    codes = np.column_stack([codes[:n_rows], np.ones(len(sample.weight))]).astype(np.float32)
    bound = 4 if table is None else 2
    curvature = (codes.T * sample.weight) @ codes / (bound * len(codes))
    inverse = np.linalg.pinv(curvature, hermitian=True)
    coefficients = np.zeros((codes.shape[1], sample.targets.shape[1]), np.float32)
    coefficients[-1] = _mean_logits(sample, table)
    for _ in range(LOGISTIC_STEPS):
        coefficients -= inverse @ (codes.T @ _slopes(codes @ coefficients, sample, table))
    return coefficients[:-1], coefficients[-1]


def _tied_logistic(scores: Array, axes: Array, sample: Sample) -> tuple[Array, Array]:
    """Fit ``scores * gains @ axes + bias`` to the logits of the rows, by the cross-entropy.

    The root of a gain belongs to the encoder, and the same root to the decoder.  So gains are
    positive.  Sigmoids have slopes of 1/4 and less, which a gain of 4 makes up for.
    """
    n_codes = len(axes)

    def loss(flat: Array) -> tuple[float, Array]:
        z = scores * flat[:n_codes] @ axes + flat[n_codes:]
        value = sample.weight @ np.sum(np.logaddexp(0, z) - z * sample.targets, axis=1) / len(z)
        slope = _slopes(z, sample)
        return value, np.concatenate([np.sum(scores * (slope @ axes.T), axis=0), slope.sum(axis=0)])

    start = np.concatenate([np.full(n_codes, 4.0), _mean_logits(sample)])
    bounds = [*[(SMALLEST_GAIN, None)] * n_codes, *[(None, None)] * axes.shape[1]]
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 50}
    )
    return found.x[:n_codes], found.x[n_codes:]


def _mean_logits(sample: Sample, table: Probabilities | None = None) -> Array:
    """Return logits that give the mean of each column, the shares of categories included."""
    means = sample.mean()
    z = logit(np.clip(means, 1e-3, 1 - 1e-3))
    if table is not None:
        n = table.n_booleans
        z[n:] = np.log(np.maximum(means[n:], 0.5 / len(sample.weight)))
    return z


def _slopes(z: Array, sample: Sample, table: Probabilities | None = None) -> Array:
    """Return the gradient of the mean cross-entropy of rows with logits ``z``."""
    if table is None:
        slopes = expit(z) - sample.targets
    else:
        slopes = table.slopes(z, sample.targets, table.n_numbers)
    return sample.weight[:, None] / len(z) * slopes
