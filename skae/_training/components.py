"""A sample of the rows to train on, and its principal components."""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import ArpackError

from skae._rows.readers import csr_rows, make_reader
from skae._rows.rows import FEW, Rows, count_nonzero
from skae._training.plan import Plan
from skae._training.seeds import Stream, generator
from skae._typing import Array, Matrix

# PCA of this many random rows for each column has an error within 1 % of PCA's of all rows, but not
# if a column has few, extreme values.  So data sets of up to MIN_ROWS are taken whole.
ROWS_PER_COLUMN = 10
MIN_ROWS = 10_000
MAX_VALUES = 1 << 25  # as many as the buffer that shuffles a source
# PCA of a sample of more values than these uses the zeros, if most values are zero: on 3,600 texts
# and 4,600 words it takes a tenth of the time and a hundredth of the memory.
MANY_VALUES = 1 << 22
# Components with a smaller share of the largest variance are rounding errors.
SMALLEST_SHARE = 1e-6
# A column's axes are divided by the root of its weight, which must not enlarge rounding errors.
SMALLEST_ROOT = 1e-6


class Sample(NamedTuple):
    """Random rows: the network sees ``inputs - shift``, and has to return ``targets - shift``.

    Both are matrices of shape (n_rows, n_features), in float32.  If most values are zero, they are
    one CSR array in float64, and all rows have the same weight.  Otherwise they are arrays, and
    ``shift`` is zero.  ``weight`` is the weight of each row, with a mean of one.
    """

    inputs: Matrix
    targets: Matrix
    weight: Array
    shift: Array | float = 0.0

    def mean(self) -> Array:
        """Return the mean of the targets, in float64."""
        if sparse.issparse(self.targets):
            return self.input_mean()
        sums = np.einsum("i,ij->j", self.weight, self.targets, dtype=np.float64)
        return sums / len(self.weight)

    def input_mean(self) -> Array:
        """Return the mean of the inputs."""
        mean: Array = self.weight @ self.inputs / len(self.weight) - self.shift
        return mean


class Components(NamedTuple):
    """Principal components: ``axes`` of shape (n, n_features), and the standard deviations.

    The scores of centred rows are their products with ``projections``, which have the shape of the
    axes; rows are sums of scores times axes.  Without weights of columns, both are the same.
    """

    mean: Array
    axes: Array
    deviations: Array
    projections: Array


def draw_sample(rows: Rows, plan: Plan, n_components: int, *, dense: bool) -> Sample:
    """Read random rows; those of a source come from random blocks.

    Parameters
    ----------
    rows : Rows
        The rows to train on.
    plan : Plan
        Gives the seed, and the shift and scale of the rows.
    n_components : int
        Number of components to compute.
    dense : bool
        Whether the result must have arrays.

    Returns
    -------
    sample : Sample
        The rows.
    """
    n_features = rows.inputs.shape[1]
    wanted = min(max(MIN_ROWS, ROWS_PER_COLUMN * n_features), MAX_VALUES // n_features)
    n_rows = min(len(rows.index), max(wanted, 2 * n_components))
    reader = make_reader(rows, n_rows)
    part = next(iter(reader.shuffled(generator(plan.seed, Stream.START))))
    may_be_sparse = not dense and rows.targets is None and n_components < min(n_rows, n_features)
    if may_be_sparse and sparse.issparse(rows.inputs):
        index = np.asarray(rows.index)[part]
        X, weight = csr_rows(rows.inputs, index), rows.weights(index)
        if _is_mostly_zero(X, weight):
            return _sparse_sample(X, plan)
    buffers: list[Any] = [np.empty((n_rows, n_features), np.float32) for _ in rows.matrices]
    buffers.append(np.empty(n_rows, np.float32))
    n_read = reader.take(part, buffers)
    inputs, *others, weight = (buffer[:n_read] for buffer in buffers)
    if may_be_sparse and _is_mostly_zero(inputs, weight):
        return _sparse_sample(sparse.csr_array(inputs), plan)
    if plan.conditioning is not None:
        shift, scale = plan.conditioning.map
        for matrix in (inputs, *others):
            matrix[...] = (matrix - shift) / scale
    return Sample(inputs, [inputs, *others][-1], weight / weight.mean())


def _is_mostly_zero(X: Matrix, weight: Array) -> bool:
    """Return whether PCA should use the zeros; arrays and CSR matrices give the same answer."""
    n_values = X.shape[0] * X.shape[1]
    is_plain = n_values > MANY_VALUES and np.ptp(weight) == 0
    return bool(is_plain and count_nonzero(X) < FEW * n_values)


def _sparse_sample(X: Matrix, plan: Plan) -> Sample:
    """Return a sample of CSR rows of the same weight."""
    X.sum_duplicates()
    X.eliminate_zeros()
    shift, scale = (0.0, 1.0) if plan.conditioning is None else plan.conditioning.map
    X = sparse.csr_array(X).astype(np.float64) / scale
    return Sample(X, X, np.ones(X.shape[0]), shift / scale)


def components(
    sample: Sample, n_components: int, seed: int, column_weights: Array | None = None
) -> Components:
    """Compute the principal components of the rows to reconstruct, with the weights of the rows.

    Those with weights of columns are the components of columns times the roots of these weights:
    no linear network has a lower weighted squared error.  Columns that hardly count have axes of
    zero, so that they are reconstructed as their means.
    """
    roots = None if column_weights is None else np.sqrt(column_weights)
    pca = _plain_components(sample if roots is None else _times(sample, roots), n_components, seed)
    if roots is None:
        return pca
    divisors = np.where(roots > SMALLEST_ROOT, roots, np.inf)
    return Components(sample.mean(), pca.axes / divisors, pca.deviations, pca.axes * roots)


def _times(sample: Sample, factors: Array) -> Sample:
    """Return a sample whose targets are multiplied by a factor for each column."""
    if sparse.issparse(sample.targets):
        targets = (sample.targets @ sparse.diags_array(factors)).tocsr()
        return sample._replace(inputs=targets, targets=targets, shift=sample.shift * factors)
    return sample._replace(targets=sample.targets * factors)


def _plain_components(sample: Sample, n_components: int, seed: int) -> Components:
    n = min(n_components, *sample.targets.shape)
    state = int(generator(seed, Stream.START, 1).integers(1 << 31))
    # a single row, no variance, or values whose squares overflow: then the first loss does, too
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        pca = _sparse_pca(sample, n, state)
        pca = _dense_pca(sample, n, state) if pca is None else pca
    variances = pca.explained_variance_
    is_real = variances > max(SMALLEST_SHARE * variances[0], np.finfo(np.float32).tiny)
    axes = pca.components_[is_real]
    return Components(sample.mean(), axes, np.sqrt(variances[is_real]), axes)


def _sparse_pca(sample: Sample, n_components: int, random_state: int) -> Any:
    """Fit scikit-learn's PCA without a dense copy; return None for dense or constant rows."""
    from sklearn.decomposition import PCA

    if not sparse.issparse(sample.targets):
        return None
    try:
        pca = PCA(n_components, svd_solver="arpack", random_state=random_state)
        return pca.fit(sample.targets)
    except ArpackError:
        return None


def _dense_pca(sample: Sample, n_components: int, random_state: int) -> Any:
    """Fit scikit-learn's PCA to weighted rows."""
    from sklearn.decomposition import PCA

    dense = sample.targets.toarray() if sparse.issparse(sample.targets) else sample.targets
    # float64: variances of rounding errors must stay small
    centred = dense - (sample.mean() + sample.shift)
    centred *= np.sqrt(sample.weight)[:, None]
    if np.ptp(sample.weight) > 0:
        centred = np.concatenate([centred, -centred])  # PCA subtracts the mean, which is then zero
    return PCA(n_components, random_state=random_state).fit(centred)
