"""The HTML representation shows the network, and looks at no Keras model for it."""

import pickle
import rlcompleter
import subprocess
import sys

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import DeepAutoencoder


@pytest.fixture(scope="module")
def fitted(small, X):
    return small().fit(X)


def test_widths_and_activations_of_both_halves_and_all_parameters_are_shown(fitted):
    html = fitted._repr_html_()
    assert "64 → 16 relu → 4 linear" in html
    assert "4 → 16 relu → 64 sigmoid" in html
    assert "<div>encoder</div>" in html
    assert "16 units, relu: 1,040 parameters" in html  # 64 x 16 weights and 16 biases
    assert f"{fitted.autoencoder_.count_params():,} parameters" in html
    assert "<span>Fitted</span>" in html


def test_an_unfitted_estimator_looks_like_any_other_of_scikit_learn():
    html = DeepAutoencoder(n_components=3)._repr_html_()
    assert "<span>Not fitted</span>" in html
    assert "<div>encoder</div>" not in html


def test_the_network_is_shown_where_the_estimator_is_a_step(small, X):
    y = (X[:, 20] > 0.5).astype(int)
    pipeline = make_pipeline(MinMaxScaler(), small(), LogisticRegression()).fit(X, y)
    assert "64 → 16 relu → 4 linear" in pipeline._repr_html_()
    search = GridSearchCV(small(), {"n_components": [4]}, cv=2).fit(X)
    assert "64 → 16 relu → 4 linear" in search._repr_html_()


def test_activations_that_are_functions_go_by_their_names(small, X):
    import keras

    def twice(x):
        return 2 * x

    estimator = small(activation=keras.activations.tanh, code_activation=twice, epochs=1).fit(X)
    assert "64 → 16 tanh → 4 twice" in estimator._repr_html_()


PROGRAM = """
import pickle, sys
estimator = pickle.load(sys.stdin.buffer)
assert "64 → 16 relu → 4 linear" in estimator._repr_mimebundle_()["text/html"]
assert "n_iter_" in dir(estimator)
assert "tensorflow" not in sys.modules
"""


def test_looking_at_an_estimator_imports_no_tensorflow(fitted):
    subprocess.run([sys.executable, "-c", PROGRAM], input=pickle.dumps(fitted), check=True)


def test_completion_finds_the_keras_models_before_they_are_built(fitted):
    loaded = pickle.loads(pickle.dumps(fitted))
    assert "encoder_" not in dir(loaded)
    assert rlcompleter.Completer({"loaded": loaded}).complete("loaded.enc", 0) == "loaded.encoder_"
    loaded.encoder_  # noqa: B018
    assert {"encoder_", "decoder_", "autoencoder_"} < set(dir(loaded))
