"""The small Gram matrix that `Muon` iterates on."""

import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal

from skae._engine.muon import INNER, WIDE, Muon, smaller_gram


def matrix(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def unrolled_gram(x):
    """Add the products of all blocks in Python, which is a piece of graph for each block."""
    tall, starts = x.shape[0] > x.shape[1], range(0, max(x.shape), INNER)
    blocks = [x[i : i + INNER] if tall else tf.transpose(x[:, i : i + INNER]) for i in starts]
    return sum(tf.transpose(block) @ block for block in blocks)


def compiled(function, x, *, jit):
    return tf.function(function, jit_compile=jit, autograph=False)(tf.constant(x)).numpy()


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(
    "shape", [(300, 7), (7, 300), (784, 128), (128, 784), (128, 64), (1024, 31), (5, 5), (1, 9)]
)
def test_gram_equals_sum_of_products(shape, jit):
    x = matrix(*shape)
    assert_array_equal(compiled(smaller_gram, x, jit=jit), compiled(unrolled_gram, x, jit=jit))


@pytest.mark.parametrize("shape", [(1025, 3), (20_000, 3), (3, 20_001)])
def test_gram_of_many_columns(shape):
    x = matrix(*shape)
    exact = x.astype(np.float64)
    exact = exact.T @ exact if shape[0] > shape[1] else exact @ exact.T
    assert_allclose(compiled(smaller_gram, x, jit=False), exact, rtol=1e-4, atol=0.1)


@pytest.mark.parametrize("shape", [(784, 128), (128, 784), (300, 129), (130, 130), (128, 64)])
def test_orthogonalises_halves_of_wide(shape):
    """Each half of the shorter side is close to its polar factor; a narrow kernel is whole."""
    x = matrix(*shape)
    muon = Muon()
    found = compiled(lambda x: muon.zeropower_via_newtonschulz5(x, 5), x, jit=False)
    axis = int(shape[0] > shape[1])
    places = [shape[axis] // 2] if min(shape) >= WIDE else []
    for units in np.split(np.arange(shape[axis]), places):
        block, of = found.take(units, axis), x.take(units, axis)
        u, _, v = np.linalg.svd(of, full_matrices=False)
        assert_allclose(block * np.sqrt(len(places) + 1), u @ v, atol=0.02)


def n_operations(shape):
    """Count the operations in the graph of an orthogonalisation, those of its loops included."""
    muon = Muon()
    function = tf.function(lambda x: muon.zeropower_via_newtonschulz5(x, 4), autograph=False)
    graph = function.get_concrete_function(tf.TensorSpec(shape)).graph.as_graph_def()
    return len(graph.node) + sum(len(loop.node_def) for loop in graph.library.function)


def test_graph_does_not_grow():
    """The graph for 100,000 features is that for 2,000."""
    assert n_operations((2000, 8)) == n_operations((100_000, 8))
    assert n_operations((8, 2000)) == n_operations((8, 100_000))
