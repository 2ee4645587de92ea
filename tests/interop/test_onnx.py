"""ONNX graphs in onnxruntime give the results of the estimators."""

import inspect
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skae import DeepAutoencoder, DenoisingAutoencoder, GaussianNoise
from skae._interop.keras_models import eager_fallback
from skae._network.activations import ACTIVATIONS
from skae._network.inference import Network
from skae._network.layers import Dense
from skae._network.spec import NetworkSpec

skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def run(model, X):
    """Return the first output of a graph for rows, which may be a dict of columns."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feed = X if isinstance(X, dict) else {session.get_inputs()[0].name: X}
    return session.run(None, feed)[0]


@pytest.fixture(scope="module")
def fitted(make_autoencoder, X):
    return {kind: make_autoencoder(kind).fit(X) for kind in (DeepAutoencoder, DenoisingAutoencoder)}


@each_dtype
@pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder])
@pytest.mark.parametrize("n_rows", [1, 2, 300])
def test_pipeline_gives_same_results(kind, dtype, n_rows, make_autoencoder, X):
    """The graph takes any number of rows."""
    y = X[:, 20] > 0.5
    X = X.astype(dtype)
    pipeline = Pipeline(
        [("scale", StandardScaler()), ("ae", make_autoencoder(kind)), ("clf", classifier())]
    )
    pipeline.fit(X, y)
    model = skl2onnx.to_onnx(pipeline, X[:1], options={"clf__zipmap": False})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    labels, probabilities = session.run(None, {"X": X[:n_rows]})

    assert_allclose(probabilities, pipeline.predict_proba(X[:n_rows]), atol=1e-5)
    assert (labels == pipeline.predict(X[:n_rows])).all()
    skl2onnx.to_onnx(pipeline, X[:1])  # without options, as in the documentation


def classifier():
    return LogisticRegression(max_iter=1000)


@each_dtype
@pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder])
@pytest.mark.parametrize(
    "method", ["transform", "inverse_transform", "reconstruct", "score_samples"]
)
def test_methods_give_same_results(method, kind, dtype, fitted, X):
    estimator = fitted[kind]
    rows = (estimator.transform(X) if method == "inverse_transform" else X).astype(dtype)
    model = skl2onnx.to_onnx(estimator, rows[:1], options={"method": method})
    out, expected = run(model, rows), getattr(estimator, method)(rows)

    assert out.dtype == expected.dtype == dtype
    assert out.shape == expected.shape
    assert_allclose(out, expected, rtol=1e-5, atol=1e-5)
    assert run(model, rows[:7]).shape == expected[:7].shape


@each_dtype
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_activations_give_same_results(activation, dtype):
    rng = np.random.default_rng(0)
    estimator = DeepAutoencoder()
    estimator.n_features_in_ = 5
    spec = NetworkSpec((Dense(5, 4, activation), Dense(4, 5, activation)), 1)
    weights = [rng.normal(0, 0.5, shape).astype(np.float32) for shape in spec.shapes]
    estimator._network = Network(spec, weights, eager_fallback)
    X = rng.normal(size=(50, 5)).astype(dtype)
    model = skl2onnx.to_onnx(estimator, X[:1], options={"method": "reconstruct"})

    assert_allclose(run(model, X), estimator.reconstruct(X), rtol=1e-5, atol=1e-5)


@each_dtype
@pytest.mark.parametrize(
    "method", ["transform", "inverse_transform", "reconstruct", "score_samples"]
)
def test_dropout_is_not_converted(method, dtype, make_autoencoder, X):
    """Dropout acts in training only, and the graph has no node for it."""
    estimator = make_autoencoder(dropout=0.2, epochs=1).fit(X)
    rows = (estimator.transform(X) if method == "inverse_transform" else X).astype(dtype)
    model = skl2onnx.to_onnx(estimator, rows[:1], options={"method": method})

    assert "Dropout" not in [node.op_type for node in model.graph.node]
    assert_allclose(run(model, rows), getattr(estimator, method)(rows), rtol=1e-5, atol=1e-5)


@each_dtype
@pytest.mark.parametrize("gaps", [False, True])
def test_scores_have_feature_weights(gaps, dtype, make_autoencoder, X):
    weights = np.random.default_rng(0).integers(0, 3, X.shape[1])
    rows = X.astype(dtype)
    if gaps:
        rows[::3, 5:40] = np.nan
        rows[0] = np.nan
    params = {"feature_weights": weights, "missing_values": "mask" if gaps else "error"}
    estimator = make_autoencoder(epochs=1, **params).fit(rows)
    model = skl2onnx.to_onnx(estimator, rows[:1], options={"method": "score_samples"})
    assert_allclose(run(model, rows), estimator.score_samples(rows), rtol=1e-4, atol=1e-6)


def test_hooks_are_hidden(fitted):
    """Users do not see the methods that skl2onnx looks up."""
    estimator = fitted[DeepAutoencoder]

    assert callable(estimator.onnx_converter())
    for names in (
        dir(estimator),
        vars(estimator),
        dict(inspect.getmembers(DeepAutoencoder, callable)),
        dict(inspect.getmembers(DeepAutoencoder())),
    ):
        assert [name for name in names if "onnx" in name] == []
    with pytest.raises(AttributeError, match="has no attribute 'onnx_converters'"):
        estimator.onnx_converters  # noqa: B018


@each_dtype
@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("method", ["transform", "reconstruct", "score_samples"])
def test_nan_is_unknown(method, init, dtype, make_autoencoder, X):
    rows = np.where(np.random.default_rng(0).random(X.shape) < 0.3, np.nan, X).astype(dtype)
    rows[3] = np.nan
    estimator = make_autoencoder(missing_values="mask", init=init).fit(rows)
    model = skl2onnx.to_onnx(estimator, rows[:1], options={"method": method})
    out, expected = run(model, rows), getattr(estimator, method)(rows)

    assert out.dtype == expected.dtype == dtype
    assert out.shape == expected.shape
    assert_allclose(out, expected, rtol=1e-4, atol=1e-5)


def test_unknown_activation_is_refused(make_autoencoder, X):
    import keras

    estimator = make_autoencoder(activation=keras.activations.celu).fit(X)

    with pytest.raises(NotImplementedError, match=r"celu.*one of.*relu"):
        skl2onnx.to_onnx(estimator, X[:1])


def test_keras_function_is_converted(make_autoencoder, X):
    import keras

    estimator = make_autoencoder(activation=keras.activations.silu).fit(X)

    assert_allclose(run(skl2onnx.to_onnx(estimator, X[:1]), X), estimator.transform(X), atol=1e-5)


def test_wrong_columns_are_refused(fitted, X):
    with pytest.raises(ValueError, match="transform of DeepAutoencoder takes 64 columns; got 63"):
        skl2onnx.to_onnx(fitted[DeepAutoencoder], X[:1, :63])
    with pytest.raises(ValueError, match=r"inverse_transform of .* takes 4 columns; got 64"):
        skl2onnx.to_onnx(fitted[DeepAutoencoder], X[:1], options={"method": "inverse_transform"})


def test_unknown_method_is_refused(fitted, X):
    with pytest.raises(ValueError, match="reconstruct"):
        skl2onnx.to_onnx(fitted[DeepAutoencoder], X[:1], options={"method": "decode"})


def test_integers_become_float32(make_autoencoder, X):
    X = (X * 16).astype(np.int64)
    estimator = make_autoencoder().fit(X)
    out = run(skl2onnx.to_onnx(estimator, X[:1]), X)

    assert out.dtype == np.float32
    assert_allclose(out, estimator.transform(X), rtol=1e-5, atol=1e-4)


def test_columns_of_frame_are_inputs(make_autoencoder, X):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X[:, :8], columns=[f"c{i}" for i in range(8)])
    estimator = make_autoencoder().fit(frame)
    model = skl2onnx.to_onnx(estimator, frame[:1])
    feed = {name: frame[[name]].to_numpy() for name in frame}

    assert_allclose(run(model, feed), estimator.transform(frame), atol=1e-5)


def test_subclass_is_converted(make_autoencoder, X):
    class Mine(DeepAutoencoder):
        pass

    estimator = make_autoencoder(Mine).fit(X)
    model = skl2onnx.to_onnx(estimator, X[:1], options={"method": "reconstruct"})

    assert_allclose(run(model, X), estimator.reconstruct(X), atol=1e-5)


def test_noise_is_refused(X):
    """onnxruntime does not have the operator that draws the noise."""
    noise = make_pipeline(MinMaxScaler(), GaussianNoise()).fit(X)

    with pytest.raises(skl2onnx.common.exceptions.MissingShapeCalculator, match="GaussianNoise"):
        skl2onnx.to_onnx(noise, X[:1])


def test_conversion_needs_no_tensorflow(fitted, X, tmp_path):
    import joblib

    joblib.dump(fitted[DeepAutoencoder], tmp_path / "ae.joblib")
    program = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['tensorflow', 'keras', 'scikeras']))\n"
        "import joblib, numpy, skl2onnx\n"
        "ae = joblib.load('ae.joblib')\n"
        "X = numpy.zeros((1, 64))\n"
        "model = skl2onnx.to_onnx(ae, X, options={'method': 'reconstruct'})\n"
        "open('ae.onnx', 'wb').write(model.SerializeToString())\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    session = onnxruntime.InferenceSession(tmp_path / "ae.onnx")

    assert_allclose(
        session.run(None, {"X": X})[0], fitted[DeepAutoencoder].reconstruct(X), atol=1e-5
    )


@each_dtype
@pytest.mark.parametrize("init", ["random", "pca"])
@pytest.mark.parametrize("features", ["code", "hidden", "all"])
def test_features_are_in_the_graph(init, features, dtype, make_autoencoder, X):
    X = X.astype(dtype)
    sizes = {"hidden_layer_sizes": (7, 5), "decoder_layer_sizes": (6,)}
    estimator = make_autoencoder(init=init, features=features, **sizes).fit(X)
    rows = estimator.transform(X)
    assert_allclose(run(skl2onnx.to_onnx(estimator, X[:1]), X), rows, atol=1e-5)
    if (init, features) != ("pca", "hidden"):
        options = {id(estimator): {"method": "inverse_transform"}}
        model = skl2onnx.to_onnx(estimator, rows[:1], options=options)
        assert_allclose(run(model, rows), estimator.reconstruct(X), atol=1e-5)


@each_dtype
@pytest.mark.parametrize("missing_values", ["error", "mask"])
def test_frame_goes_in_and_codes_come_out(missing_values, dtype, make_autoencoder):
    """Strings, integers as categories, pooled and unseen categories, booleans and numbers."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "colour": rng.choice(["red", "green", "blue", "rare"], 60, p=[0.4, 0.3, 0.2, 0.1]),
            "size": rng.normal(50, 9, 60).astype(dtype),
            "kind": pd.Categorical(rng.integers(1, 4, 60)),
            "new": rng.random(60) > 0.5,
        }
    )
    autoencoder = make_autoencoder(
        DeepAutoencoder, missing_values=missing_values, min_frequency=0.2, early_stopping=False
    ).fit(frame)
    frame.loc[0, "colour"] = "violet"
    if missing_values == "mask":
        frame.loc[1, "size"] = np.nan
    kinds = skl2onnx.common.data_types
    number = kinds.FloatTensorType if dtype == np.float32 else kinds.DoubleTensorType
    types = {"colour": kinds.StringTensorType, "size": number, "kind": kinds.Int64TensorType}
    types["new"] = kinds.BooleanTensorType
    inputs = [(name, kind([None, 1])) for name, kind in types.items()]
    model = skl2onnx.to_onnx(autoencoder, initial_types=inputs)
    columns = {name: frame[[name]].to_numpy() for name in frame}
    columns["colour"] = columns["colour"].astype(object)
    columns["kind"] = columns["kind"].astype(np.int64)
    codes = run(model, columns)
    assert codes.dtype == dtype
    assert_allclose(codes, autoencoder.transform(frame), rtol=1e-4, atol=1e-4)


def test_other_methods_for_tables_are_refused(make_autoencoder):
    frame = pd.DataFrame({"a": list("xyxyxyxy"), "b": range(8)})
    autoencoder = make_autoencoder(DeepAutoencoder).fit(frame)
    kinds = skl2onnx.common.data_types
    types = [("a", kinds.StringTensorType([None, 1])), ("b", kinds.Int64TensorType([None, 1]))]
    options = {id(autoencoder): {"method": "reconstruct"}}
    with pytest.raises(NotImplementedError, match="no form of reconstruct for rows with categ"):
        skl2onnx.to_onnx(autoencoder, initial_types=types, options=options)


def test_categories_of_fractions_are_refused(make_autoencoder):
    """A look-up by whole numbers would confuse 1.5 with 1."""
    rows = np.array([[1.0, 2.0], [1.5, 3.0]] * 4)
    autoencoder = make_autoencoder(DeepAutoencoder, categorical_features=[0]).fit(rows)
    kinds = skl2onnx.common.data_types
    types = [(name, kinds.FloatTensorType([None, 1])) for name in "ab"]
    with pytest.raises(NotImplementedError, match=r"all strings or all whole numbers; got .*1\.5"):
        skl2onnx.to_onnx(autoencoder, initial_types=types)
