"""Parts of a fit: equal rows, scaling, folds and reference points.  They need no network."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skae._outliers.fitting import Settings, _centres, _draw_folds
from skae._outliers.scaling import Scaling, merge_equal_rows, take_rows
from skae._rows.sources import ReadLimits, Source


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.csr_array])
def test_equal_rows_are_merged(dtype, container):
    X = np.array([[0, 1], [2, 0], [0, 1], [0, 0], [2, 0], [5, 5]], dtype)
    merged, weight = merge_equal_rows(container(X), np.array([1.0, 2, 3, 4, 5, 0]))
    dense = merged.toarray() if sparse.issparse(merged) else merged
    found = {tuple(row): each for row, each in zip(dense.tolist(), weight, strict=True)}
    assert found == {(0, 1): 4, (2, 0): 7, (0, 0): 4}
    assert merged.dtype == dtype


def test_zeros_of_both_signs_are_equal():
    merged, weight = merge_equal_rows(np.array([[0.0, 1], [-0.0, 1]]), np.ones(2))
    assert len(merged) == 1
    assert weight.tolist() == [2]


def test_constant_column_keeps_its_unit():
    X = np.column_stack([np.full(10, 7.0), np.arange(10.0)])
    scaling = Scaling.of(X, np.ones(10))
    Z = scaling(X, np.float64)
    assert_allclose(Z[:, 0], 0, atol=1e-12)
    assert_allclose(Z[:, 1].std(), 1)
    assert_allclose(scaling.undo(Z), X)


def test_rows_of_source_are_taken():
    X = np.arange(60.0).reshape(20, 3)
    source = Source(X.view(np.memmap), "X", ReadLimits(9, 9))
    index = np.array([0, 2, 3, 11, 19])
    assert_array_equal(take_rows(source, index), X[index])


@pytest.mark.parametrize(("n_folds", "sizes"), [(1, [6]), (4, [5, 5, 5, 5])])
def test_folds_leave_out_weight_zero(n_folds, sizes):
    weight = np.arange(30) % 3.0  # 20 rows of weight above zero
    settings = Settings(n_folds, 0.3, 3, 128, 0.0, standardize=True)
    folds = _draw_folds(weight, settings, np.random.default_rng(0))
    assert [int((folds == fold).sum()) for fold in range(n_folds)] == sizes
    assert (folds[weight == 0] == -1).all()


def test_centres_are_means_of_groups():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.array([[0.0, 0], [50, 0], [0, 50]]), 100, axis=0)
    points, weight = groups + rng.normal(size=groups.shape), rng.integers(1, 4, 300).astype(float)
    centres = _centres(points, weight, 30, rng)
    assert centres.shape == (30, 2)
    distances = np.linalg.norm(centres[:, np.newaxis] - points, axis=2)
    assert distances.min(axis=1).max() < 2
    assert_array_equal(_centres(points[:20], weight[:20], 30, rng), points[:20])
