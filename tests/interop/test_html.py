"""The HTML representation shows the network, and builds no Keras model for it."""

import pickle
import rlcompleter
import subprocess
import sys

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import DeepAutoencoder, DenoisingAutoencoder, MaskingNoise


@pytest.fixture(scope="module")
def fitted(make_autoencoder, X):
    return make_autoencoder().fit(X)


def test_network_is_shown(fitted):
    """Both halves have their widths and activations, and the numbers of their parameters."""
    html = fitted._repr_html_()
    assert "64 → 16 leaky_relu → 4 linear" in html
    assert "4 → 16 leaky_relu → 64 sigmoid" in html
    assert "<div>encoder</div>" in html
    assert "16 units, leaky_relu: 1,040 parameters" in html  # 64 x 16 weights and 16 biases
    assert f"{fitted.autoencoder_.count_params():,} parameters" in html
    assert "<span>Fitted</span>" in html


def test_other_decoder_is_shown(make_autoencoder, X):
    html = make_autoencoder(decoder_layer_sizes=(7, 9), activation="tanh").fit(X)._repr_html_()
    assert "64 → 16 tanh → 4 linear" in html
    assert "4 → 7 tanh → 9 tanh → 64 sigmoid" in html


def test_unfitted_has_default_box():
    """scikit-learn draws an unfitted estimator as any other, with a box for its corruption."""
    html = DeepAutoencoder(n_components=3)._repr_html_()
    assert "<span>Not fitted</span>" in html
    assert "<div>encoder</div>" not in html
    denoiser = DenoisingAutoencoder(corruption=MaskingNoise())
    assert "<div>corruption: MaskingNoise</div>" in denoiser._repr_html_()


def test_dropout_is_shown(make_autoencoder, X):
    html = make_autoencoder(dropout=0.25, epochs=1).fit(X)._repr_html_()
    assert "64 → 16 leaky_relu → dropout 0.25 → 4 linear" in html
    assert "4 → 16 leaky_relu → dropout 0.25 → 64 sigmoid" in html
    assert "dropout of 25.0% in training" in html


def test_network_of_a_step_is_shown(make_autoencoder, X):
    y = (X[:, 20] > 0.5).astype(int)
    pipeline = make_pipeline(MinMaxScaler(), make_autoencoder(), LogisticRegression()).fit(X, y)
    assert "64 → 16 leaky_relu → 4 linear" in pipeline._repr_html_()
    search = GridSearchCV(make_autoencoder(), {"n_components": [4]}, cv=2).fit(X)
    assert "64 → 16 leaky_relu → 4 linear" in search._repr_html_()


def test_functions_have_their_names(make_autoencoder, X):
    import keras

    def twice(x):
        return 2 * x

    estimator = make_autoencoder(
        activation=keras.activations.tanh, code_activation=twice, epochs=1
    ).fit(X)
    assert "64 → 16 tanh → 4 twice" in estimator._repr_html_()


PROGRAM = """
import pickle, sys
estimator = pickle.load(sys.stdin.buffer)
assert "64 → 16 leaky_relu → 4 linear" in estimator._repr_mimebundle_()["text/html"]
assert "n_iter_" in dir(estimator)
assert "tensorflow" not in sys.modules
"""


def test_html_needs_no_tensorflow(fitted):
    subprocess.run([sys.executable, "-c", PROGRAM], input=pickle.dumps(fitted), check=True)


def test_completion_finds_keras_models(fitted):
    """Tab completion finds them before they are built, although `dir` does not list them."""
    loaded = pickle.loads(pickle.dumps(fitted))
    assert "encoder_" not in dir(loaded)
    assert rlcompleter.Completer({"loaded": loaded}).complete("loaded.enc", 0) == "loaded.encoder_"
    loaded.encoder_  # noqa: B018
    assert {"encoder_", "decoder_", "autoencoder_"} < set(dir(loaded))
