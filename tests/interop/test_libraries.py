"""Other libraries: array API, MLflow, SHAP and imbalanced-learn."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import DenoisingAutoencoder, GaussianNoise
from skae._engine.program import Program
from skae._training.watchers.mlflow import log_history


@pytest.fixture
def y(X):
    return (X[:, 20] > 0.5).astype(int)


@pytest.fixture
def pipeline(make_autoencoder):
    return make_pipeline(MinMaxScaler(), make_autoencoder(), LogisticRegression(max_iter=500))


# ---------------------------------------------------------------------------- array API


@pytest.mark.parametrize("dispatch", [False, True])
@pytest.mark.parametrize("kind", ["default", "pandas", "polars"])
def test_array_api_matches_numpy(dispatch, kind, make_autoencoder, X):
    """Inputs of the array API give the results of NumPy inputs, in every output container."""
    xp = pytest.importorskip("array_api_strict")
    if kind != "default":
        pytest.importorskip(kind)
    rows, weight = xp.asarray(X.copy()), xp.asarray(np.ones(len(X)))
    expected = make_autoencoder().fit(X)
    with config_context(array_api_dispatch=dispatch):
        estimator = make_autoencoder().fit(rows, sample_weight=weight, X_val=rows)
        estimator.set_output(transform=kind)
        codes = estimator.transform(rows)

        assert type(codes).__module__.partition(".")[0] == {"default": "numpy"}.get(kind, kind)
        assert_array_equal(np.asarray(codes), expected.transform(X))
        assert_array_equal(estimator.reconstruct(rows), expected.reconstruct(X))
        assert_array_equal(estimator.score_samples(rows), expected.score_samples(X))
        back = estimator.inverse_transform(xp.asarray(expected.transform(X)))
        assert_array_equal(back, expected.reconstruct(X))


@pytest.mark.parametrize("dispatch", [False, True])
def test_array_api_of_other_estimators(dispatch, make_autoencoder, X):
    xp = pytest.importorskip("array_api_strict")
    rows = xp.asarray(X.copy())
    noise = GaussianNoise(random_state=0)
    with config_context(array_api_dispatch=dispatch):
        estimator = make_autoencoder(DenoisingAutoencoder).fit(
            noise.fit_transform(rows), X_clean=rows
        )
        partial = make_autoencoder().partial_fit(rows)

        assert_array_equal(noise.transform(rows), noise.transform(X))
    assert_array_equal(
        estimator.transform(X),
        make_autoencoder(DenoisingAutoencoder).fit(noise.transform(X), X_clean=X).transform(X),
    )
    assert_array_equal(partial.transform(X), make_autoencoder().partial_fit(X).transform(X))


# ---------------------------------------------------------------------------- MLflow


@pytest.fixture(scope="module")
def tracking(tmp_path_factory):
    """Return MLflow with its own store and with scikit-learn's autologging switched on."""
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("mlflow.sklearn")
    folder = tmp_path_factory.mktemp("mlflow")
    before = mlflow.get_tracking_uri()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        mlflow.set_tracking_uri((folder / "runs").as_uri())
        mlflow.sklearn.autolog(log_models=False, log_datasets=False, silent=True)
        yield mlflow
        mlflow.sklearn.autolog(disable=True, silent=True)
        mlflow.set_tracking_uri(before)


def curve(mlflow, run_id, name):
    metrics = mlflow.MlflowClient().get_metric_history(run_id, name)
    return [metric.value for metric in sorted(metrics, key=lambda metric: metric.step)]


def test_autolog_logs_a_pipelines_losses(tracking, pipeline, X, y):
    pipeline.set_params(deepautoencoder__metrics="mae").fit(X, y)
    run = tracking.last_active_run()

    assert run.data.params["deepautoencoder__n_components"] == "4"
    for name, values in pipeline["deepautoencoder"].history_.items():
        assert_allclose(curve(tracking, run.info.run_id, name), values)


def test_autolog_logs_losses_in_a_run(tracking, make_autoencoder, X):
    """Inside a run, autologging records the losses of single estimators, and numbers them."""
    with tracking.start_run() as run:
        first = make_autoencoder().fit(X, X_val=X)
        second = make_autoencoder(random_state=1).fit(X)

    assert_allclose(curve(tracking, run.info.run_id, "val_loss"), first.history_["val_loss"])
    assert_allclose(curve(tracking, run.info.run_id, "loss"), first.history_["loss"])
    assert_allclose(curve(tracking, run.info.run_id, "loss_2"), second.history_["loss"])


def test_long_history_is_logged_whole(tracking):
    """A history with more values than one call of MLflow takes is logged in several calls."""
    values = list(np.linspace(1, 0, 1500))
    with tracking.start_run() as run:
        log_history({"loss": values})

    assert_allclose(curve(tracking, run.info.run_id, "loss"), values)


def test_nothing_is_logged_unasked(tracking, make_autoencoder, X):
    """Without an active run, or without autologging, nothing is logged."""
    n_runs = len(tracking.search_runs(output_format="list"))
    make_autoencoder().fit(X)
    assert len(tracking.search_runs(output_format="list")) == n_runs

    with tracking.start_run() as run:
        tracking.sklearn.autolog(disable=True, silent=True)
        make_autoencoder().fit(X)
        tracking.sklearn.autolog(log_models=False, log_datasets=False, silent=True)
    assert tracking.get_run(run.info.run_id).data.metrics == {}


def test_tracking_leaves_small_fits_fast(tracking, make_autoencoder, X, monkeypatch):
    """One call of the program still trains all epochs of a small fit."""
    train, calls = Program.train, []
    monkeypatch.setattr(
        Program, "train", lambda *args, **kw: calls.append(args) or train(*args, **kw)
    )
    with tracking.start_run() as run:
        fitted = make_autoencoder(epochs=3).fit(X)

    assert len(calls) == 1
    assert_allclose(curve(tracking, run.info.run_id, "loss"), fitted.history_["loss"])


def test_failing_tracking_server_only_warns(tracking, make_autoencoder, X, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("the disk is full")

    monkeypatch.setattr(tracking.MlflowClient, "log_batch", fail)
    estimator = make_autoencoder()
    with tracking.start_run(), pytest.warns(UserWarning, match="MLflow: the disk is full"):
        estimator.fit(X)
    assert estimator.n_iter_ == 3


@pytest.mark.parametrize("serialization_format", ["cloudpickle", "skops"])
def test_mlflow_saves_and_loads_a_pipeline(
    serialization_format, tracking, pipeline, X, y, tmp_path
):
    pipeline.fit(X, y)
    options = {}
    if serialization_format == "skops":
        skops_io = pytest.importorskip("skops.io")
        options["skops_trusted_types"] = skops_io.get_untrusted_types(data=skops_io.dumps(pipeline))
    tracking.sklearn.save_model(
        pipeline,
        tmp_path / "model",
        serialization_format=serialization_format,
        pip_requirements=["skae"],
        **options,
    )
    loaded = tracking.sklearn.load_model(str(tmp_path / "model"))

    assert_array_equal(loaded.predict_proba(X), pipeline.predict_proba(X))


def test_fitting_imports_no_mlflow():
    program = (
        "import sys, numpy as np, skae\n"
        "skae.DeepAutoencoder(1, epochs=1).fit(np.eye(4))\n"
        "assert 'mlflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# ---------------------------------------------------------------------------- others


def test_shap_explains_a_pipeline(make_autoencoder, X, y):
    shap = pytest.importorskip("shap")
    X = X[:, 16:24]
    pipeline = make_pipeline(
        MinMaxScaler(), make_autoencoder(n_components=3), LogisticRegression()
    ).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SHAP triggers deprecation warnings of NumPy
        explainer = shap.KernelExplainer(lambda rows: pipeline.predict_proba(rows)[:, 1], X[:20])
        values = explainer.shap_values(X[:3], silent=True)

    assert values.shape == (3, 8)
    expected = pipeline.predict_proba(X[:3])[:, 1]
    assert_allclose(values.sum(axis=1) + explainer.expected_value, expected, atol=1e-6)


def test_imbalanced_learn_resamples_before_training(make_autoencoder, X, y):
    pytest.importorskip("imblearn")
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.pipeline import make_pipeline

    y = np.where(np.arange(len(y)) < 30, 1, 0)
    sampler = RandomOverSampler(random_state=0)
    pipeline = make_pipeline(sampler, make_autoencoder(), LogisticRegression(max_iter=500)).fit(
        X, y
    )
    resampled, _ = sampler.fit_resample(X, y)

    assert len(resampled) > len(X)
    assert_array_equal(
        pipeline["deepautoencoder"].transform(X), make_autoencoder().fit(resampled).transform(X)
    )
    assert pipeline.score(X, y) > 0.5
    assert cross_val_score(pipeline, X, y, cv=2).shape == (2,)
