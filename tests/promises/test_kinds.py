"""Every parameter of every public class and function refuses a value of another kind by name."""

import inspect
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

import skae
from skae import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    DeepAutoencoder,
    DenoisingAutoencoder,
    GaussianNoise,
    LatentSpaceDisplay,
    LossCurveDisplay,
    MaskingNoise,
    ReconstructionDisplay,
    ReconstructionErrorDisplay,
    SaltAndPepperNoise,
    SwapNoise,
)
from skae._estimators.parameters import check_parameters
from skae._imputation.inputs import check_parameters as check_imputer
from skae._outliers.calls import check_parameters as check_detector
from skae.datasets import load_mnist
from tests.estimators.comparisons import refused

nan, inf = float("nan"), float("inf")
OBJECTS = [None, object(), [1], {"a": 1}, b"x", 1j, np.array(3), np.array([1, 2])]
INTEGERS = [0, -1, 2.5, 2.0, True, np.True_, "3", nan, inf, 10**30, 2**31, np.float32(2), *OBJECTS]
NUMBERS = [-1, True, np.False_, "0.5", nan, inf, -inf, 1e300, 10**400, np.int8(-1), *OBJECTS]
KERAS = [3, 2.5, True, nan, "", *OBJECTS]
SIZES = [(), [], 4, [4, 2], np.array([4, 2]), np.int64(4), range(1, 3)]
NO_SIZES = [
    "64", "", [64.0], -4, 0, (4, -1), [[4]], True, [True], nan, 10**30, {4}, object(),
]  # fmt: skip
# Values that each parameter refuses, and values that it takes.
SHARED = {
    "n_components": (INTEGERS, [1, np.int64(2), np.uint8(3)]),
    "hidden_layer_sizes": ([*NO_SIZES, None], SIZES),
    "decoder_layer_sizes": (NO_SIZES, [None, *SIZES]),
    "activation": (KERAS, ["relu", abs]),
    "code_activation": (KERAS, ["relu", abs]),
    "output_activation": (KERAS, ["auto", "linear", abs]),
    "tied_weights": (["False", "no", "", 0, 1, 1.0, nan, *OBJECTS], [True, False, np.True_]),
    "init": (["PCA", "zeros", "", True, 3, *OBJECTS], ["pca", "random"]),
    "features": (["codes", "", True, 3, ["code"], *OBJECTS], ["code", "hidden", "all"]),
    "missing_values": (["masks", "nan", "", True, nan, 3, ["mask"], *OBJECTS], ["error", "mask"]),
    "categorical_features": (
        ["from_dtypes", "", True, 3, [1.5], [None], {0}, object(), b"x", [[1]], np.array(3)],
        ["from_dtype", None, [0, 1], ["a"], np.array([0]), ()],
    ),
    "min_frequency": (
        [-1, True, nan, inf, 1.5, "5", object(), [1]],
        [None, 0, 5, 0.1, np.float32(0.5)],
    ),
    "handle_unknown": (["errors", "", True, 3, nan, ["error"], *OBJECTS], ["ignore", "error"]),
    "feature_weights": (
        [
            "auto",
            "",
            b"x",
            True,
            3,
            nan,
            {1},
            object(),
            1j,
            np.array(3),
            [1],
            [[1]],
            [0] * 64,
            [-1] * 64,
            [nan] * 64,
            [True] * 64,
            ["1"] * 64,
            [1e300] * 64,
            {"a": 1},
            {"a": -1},
        ],
        [None, [1] * 64, range(64), np.linspace(0, 1, 64), {"a": 0, "b": np.float32(2)}, {}],
    ),
    "dropout": ([*NUMBERS, 1, 1.0, "auto"], [0, 0.5, np.float16(0.5), Fraction(1, 3)]),
    "alpha": ([*NUMBERS, "auto"], [0, 1e-3, np.float32(2)]),
    "code_penalty": ([*NUMBERS, "auto"], [0, 1e-3, np.float32(2)]),
    "contraction": ([*NUMBERS, "auto"], [0, 1e-3, np.float32(2)]),
    "loss": (KERAS, ["auto", "mse", max]),
    "optimizer": (KERAS, ["adam"]),
    "learning_rate": ([*NUMBERS, 0, "AUTO", abs], ["auto", 0.1, np.float64(1)]),
    "learning_rate_schedule": (
        ["linear", "", 0.1, int, True, *OBJECTS],
        ["one_cycle", "cosine", "constant", lambda step: 0.1],
    ),
    "batch_size": ([*INTEGERS, "all"], ["auto", 1, np.int32(8)]),
    "epochs": ([*INTEGERS, "auto"], [1, np.int16(3)]),
    "early_stopping": (["False", "no", "", 0, 1, 1.0, nan, *OBJECTS], [True, False, np.True_]),
    "validation_fraction": ([*NUMBERS, 0, 1, 1.5], [0.1, np.float32(0.5)]),
    "n_iter_no_change": (INTEGERS, [1, np.int64(3)]),
    "tol": (NUMBERS, [0, 1e-4, np.float32(1)]),
    "metrics": ([0, "", True, [""], [3], ("mae", None), {"mae"}, *OBJECTS[1:]], [None, "mae", []]),
    "warm_start": (["False", "no", "", 0, 1, 1.0, nan, *OBJECTS], [True, False, np.False_]),
    "callbacks": ([0, "", "early", False, {}, 1.5, *OBJECTS[1:]], [None, [], ()]),
    "checkpoint": ([0, True, 1.5, *OBJECTS[1:]], [None, "fit.ckpt", Path("fit.ckpt")]),
    "random_state": (
        [-1, 2**32, 1.5, "seed", True, np.random, np.random.default_rng(0), nan, *OBJECTS[1:]],
        [None, 0, 2**32 - 1, np.int64(3), np.random.RandomState(0)],
    ),
    "verbose": ([-1, 1.0, "no", nan, *OBJECTS], [0, 2, True, np.False_]),
}
CLIPS = [(1, 0), (0, nan), "01", (False, 5), {0, 1}, (0, "1"), ((0, 1), (2, 3)), 3, *OBJECTS[1:-1]]
PER_FEATURE = [[0.5] * 64, (1,) * 64, np.linspace(0, 1, 64)]
FRACTIONS = ([*NUMBERS, 1.5], [0, 1, np.float32(0.5), *PER_FEATURE])
VALUES = ["mean", nan, inf, 1e300, True, *OBJECTS]
GROUPS = (["one", 3, True, [True], [[64]], {4}, *OBJECTS[1:]], [None, [], [[0, 1], range(2, 5)]])
PARAMETERS = {
    DeepAutoencoder: SHARED,
    DenoisingAutoencoder: SHARED
    | {
        "corruption": ([0, "", "masking", False, MaskingNoise, *OBJECTS[1:]], [None]),
        "shown_weight": ([*NUMBERS, 1.5], [1, 1.0, np.float32(1)]),
        "noise_scale": (NUMBERS, [0, 0.5, np.float32(1)]),
        "clip": (["Auto", *CLIPS], ["auto", None, (0, 1), [-inf, 0], np.array([0, 1.0])]),
    },
    AutoencoderOutlierDetector: {
        "autoencoder": ([0, "", DeepAutoencoder, PCA(), *OBJECTS[1:]], [None, DeepAutoencoder()]),
        "contamination": ([*NUMBERS, 0, 0.6, "AUTO"], ["auto", 0.5, np.float32(0.1)]),
        "false_alarm_rate": ([*NUMBERS, 0, 1, "auto"], [0.01, np.float32(0.5)]),
        "trim": ([*NUMBERS, 0.6, "auto"], [0, 0.5, np.float32(0.1)]),
        "n_folds": ([*INTEGERS, 1001, "all"], ["auto", 1, np.int32(8)]),
        "calibration_fraction": ([*NUMBERS, 0, 1, 1.5], [0.1, np.float32(0.5)]),
        "n_neighbors": (INTEGERS, [1, np.int64(5)]),
        "n_references": (INTEGERS, [1, np.int64(500)]),
        "standardize": (["False", 0, 1, 1.0, nan, *OBJECTS], [True, False, np.True_]),
        "random_state": SHARED["random_state"],
    },
    AutoencoderImputer: {
        "autoencoder": ([0, "", DeepAutoencoder, PCA(), *OBJECTS[1:]], [None, DeepAutoencoder()]),
        "missing_values": (["", "NaN", True, inf, *OBJECTS[1:]], [nan, None, -1, np.float32(0.5)]),
        "add_indicator": (["False", 0, 1, 1.0, nan, *OBJECTS], [True, False, np.True_]),
        "sample_posterior": (["False", 0, 1, 1.0, nan, *OBJECTS], [True, False, np.True_]),
        "n_draws": ([*INTEGERS, 10_001], [1, np.int64(5)]),
        "n_folds": ([*INTEGERS, 1001, "all"], ["auto", 1, np.int32(8)]),
        "keep_empty_features": (["False", 0, 1, 1.0, nan, *OBJECTS], [True, False, np.True_]),
        "random_state": SHARED["random_state"],
    },
    GaussianNoise: {
        "scale": (NUMBERS, [0, 0.5, np.float32(1), *PER_FEATURE]),
        "clip": (["auto", *CLIPS], [None, (0, 1), [-inf, 0]]),
        "random_state": SHARED["random_state"],
    },
    MaskingNoise: {
        "fraction": FRACTIONS,
        "fill_value": ([v for v in VALUES if v is not nan], [-1, 0, np.float32(2), nan]),
        "vary": (["no", 0, 1, 1.0, nan, *OBJECTS], [True, False, np.True_]),
        "groups": GROUPS,
        "random_state": SHARED["random_state"],
    },
    SwapNoise: {
        "fraction": FRACTIONS,
        "groups": GROUPS,
        "random_state": SHARED["random_state"],
    },
    SaltAndPepperNoise: {
        "fraction": FRACTIONS,
        "salt_vs_pepper": ([*NUMBERS, 1.5], [0, 1, np.float32(0.5)]),
        "low": (VALUES, [-1, 0, np.float32(1), *PER_FEATURE]),
        "high": (VALUES, [3, 0, np.float32(1), *PER_FEATURE]),
        "random_state": SHARED["random_state"],
    },
}
CASES = [
    pytest.param(kind, name, value, id=f"{kind.__name__}-{name}-{place}")
    for kind, table in PARAMETERS.items()
    for name, (refusals, _) in table.items()
    for place, value in enumerate(refusals)
]


@pytest.mark.parametrize("kind", PARAMETERS)
def test_table_has_every_parameter(kind):
    assert PARAMETERS[kind].keys() == inspect.signature(kind).parameters.keys()


@pytest.mark.parametrize(("kind", "name", "value"), CASES)
def test_wrong_kind_is_refused(kind, name, value, X):
    refused(kind(**{name: value}), (TypeError, ValueError), rf"^{name}(\[(\d|'a')\])* must ", X)


@pytest.mark.parametrize("kind", PARAMETERS)
def test_right_kinds_are_accepted(kind, X):
    for name, (_, values) in PARAMETERS[kind].items():
        for value in values:
            estimator = kind(**{name: value})
            if kind is AutoencoderOutlierDetector:
                check_detector(estimator)
            elif kind is AutoencoderImputer:
                check_imputer(estimator)
            elif hasattr(estimator, "partial_fit"):
                check_parameters(estimator)
            else:
                estimator.fit(X)


def test_checks_need_no_tensorflow():
    """Only callbacks need Keras, whose class they must have."""
    program = (
        "import sys, numpy as np\n"
        "from tests.promises.test_kinds import PARAMETERS\n"
        "for kind, table in PARAMETERS.items():\n"
        "    for name, (refusals, _) in table.items():\n"
        "        for value in refusals if name != 'callbacks' else ():\n"
        "            try: kind(**{name: value}).fit(np.eye(5))\n"
        "            except (TypeError, ValueError): pass\n"
        "print('tensorflow' in sys.modules)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("params", "match"),
    [
        (
            {"optimizer": "adam", "optimizer__amsgrad": "False"},
            "optimizer__amsgrad must be True or",
        ),
        ({"optimizer": "sgd", "optimizer__nesterov": 0}, "optimizer__nesterov must be True or"),
        ({"optimizer": "adam", "optimizer__beta_1": "0.9"}, "optimizer__beta_1 must be a finite"),
        ({"optimizer": "adam", "optimizer__epsilon": None}, "optimizer__epsilon must be a finite"),
        ({"optimizer": "adam", "optimizer__clipnorm": "1"}, "optimizer__clipnorm must be a number"),
        (
            {"optimizer": "sgd", "optimizer__weight_decay": True},
            "optimizer__weight_decay must be a",
        ),
        ({"loss": dict}, "loss must be a name, .*got <class 'dict'>"),
        ({"loss": "huber", "loss__delta": True}, "loss__delta must be a finite number; got True"),
        ({"loss": "bce", "loss__from_logits": "no"}, "loss__from_logits must be True or False"),
    ],
)
def test_wrong_kind_of_option(params, match, X):
    refused(DeepAutoencoder(**params), TypeError, match, X)


def test_negative_clipping_is_refused(X):
    """Keras would ignore it."""
    estimator = DeepAutoencoder(optimizer="adam", optimizer__clipvalue=-1)
    refused(estimator, ValueError, "optimizer__clipvalue must be a number of at least 0", X)


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "3", nan, 2**31, *OBJECTS])
def test_wrong_number_of_programs(value):
    with pytest.raises((TypeError, ValueError), match="max_programs must be"):
        skae.limit_programs(value)


@pytest.mark.parametrize("value", ["xla", 0, 1, nan, [True], *OBJECTS])
def test_wrong_compiler(value):
    with pytest.raises(TypeError, match="jit_compile must be"):
        skae.set_jit_compile(value)


@pytest.mark.parametrize("value", [0, -1, True, "3", nan, inf, *OBJECTS])
def test_wrong_time_to_wait(value):
    with pytest.raises((TypeError, ValueError), match="timeout must be"):
        skae.wait_for_workers(value)


@pytest.mark.parametrize("value", [0, "localhost:1", ["a"], object()])
def test_wrong_cluster_resolver(value):
    with pytest.raises(TypeError, match="cluster_resolver must be"):
        skae.wait_for_workers(1, cluster_resolver=value)


@pytest.mark.parametrize("value", [0, "no", None, np.array(True)])
def test_wrong_download_opens_nothing(value):
    with pytest.raises(TypeError, match="download must be True or False"):
        load_mnist(download=value)
    with pytest.raises(TypeError, match="path must be the path of a file"):
        load_mnist(True)


@pytest.fixture(scope="module")
def plane(X):
    return PCA(2).fit(X)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("image_shape", v) for v in [64, "8x8", (-8, -8), (8.0, 8), (64,), (2, 4, 8), True, {8}]],
        *[("code_shape", v) for v in ["square", 2, (2.0, 1), (-1, -2), (1, 2, 1), ""]],
        *[("rows", v) for v in [0, -1, 2.5, True, "ten", None, [], [0.5], [[1]], [300], [True]]],
        *[("ax", v) for v in [plt, Figure(), [1], "ax", 0, False]],
    ],
    ids=repr,
)
def test_wrong_argument_of_reconstructions(name, value, plane, X):
    options = {"rows": 3, "image_shape": (8, 8)} | {name: value}
    with pytest.raises((TypeError, ValueError), match=name):
        ReconstructionDisplay.from_estimator(plane, X, **options)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("projection", v) for v in ["tsne", "TSNE", "PCA", "", None, 3, PCA, ["pca"]]],
        *[("grid_size", v) for v in [0, 2.5, "15", None, True]],
        *[("image_shape", v) for v in [64, "8x8", (8, 9), (-8, -8), (64, 1, 0), (1, 8, 8)]],
        *[("ax", v) for v in [plt, Figure(), [1], 0]],
    ],
    ids=repr,
)
def test_wrong_argument_of_latent_space(name, value, plane, X):
    options = {"image_shape": (8, 8)} | {name: value}
    with pytest.raises((TypeError, ValueError), match=name):
        LatentSpaceDisplay.from_estimator(plane, X, **options)


@pytest.mark.parametrize("value", [-0.1, "high", nan, True, [0.1]])
def test_wrong_threshold_is_refused(value):
    with pytest.raises((TypeError, ValueError), match="threshold must be"):
        ReconstructionErrorDisplay.from_predictions([0.1, 0.2], threshold=value)


def test_wrong_errors_and_names():
    with pytest.raises(ValueError, match="errors must be finite"):
        ReconstructionErrorDisplay.from_predictions([0.1, nan])
    with pytest.raises(TypeError, match="ax must be"):
        ReconstructionErrorDisplay.from_predictions([0.1, 0.2], ax=plt)
    for name in (3, ["a"], b"x"):
        with pytest.raises(TypeError, match="name must be a string or None"):
            LossCurveDisplay([1, 2], name=name).plot()
    with pytest.raises(TypeError, match="ax must be"):
        LossCurveDisplay([1, 2]).plot(ax=plt.figure())


def test_mask_selects_rows(plane, X):
    mask = np.arange(300) % 100 == 0
    display = ReconstructionDisplay.from_estimator(plane, X, rows=mask, image_shape=(8, 8))
    assert display.axes_.shape == (3, 3)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("patience", "Did you mean 'n_iter_no_change'"),
        ("max_iter", "Did you mean 'epochs'"),
        ("nb_epoch", "Did you mean 'epochs'"),
        ("lr", "Did you mean 'learning_rate'"),
        ("batchsize", "Did you mean 'batch_size'"),
        ("hidden_units", "Did you mean 'hidden_layer_sizes'"),
        ("decoder_neuron_list", "Did you mean 'decoder_layer_sizes'"),
        ("latent_dim", "Did you mean 'n_components'"),
        ("Seed", "Did you mean 'random_state'"),
        ("l2", "Did you mean 'alpha'"),
        ("handle_missing", "Did you mean 'missing_values'"),
        ("jacobian_penalty", "Did you mean 'contraction'"),
        ("validation_split", "Did you mean 'validation_fraction'"),
        ("noise_factor", "Did you mean 'noise_scale'"),
        ("solver", "Did you mean 'optimizer'"),
        ("validation_data", r"Pass it to fit: fit\(X, X_val=\.\.\.\)"),
        ("contamination", "score_samples"),
    ],
)
def test_names_of_other_libraries(name, hint):
    with pytest.raises(TypeError, match=f"argument '{name}'.*{hint}"):
        DenoisingAutoencoder(**{name: 1})
    with pytest.raises(ValueError, match=f"parameter '{name}'.*{hint}"):
        DenoisingAutoencoder().set_params(**{name: 1})


@pytest.mark.parametrize(
    ("params", "hint"),
    [
        ({"activation": "ReLU"}, "'relu'"),
        ({"activation": "logistic"}, "'sigmoid'"),
        ({"code_activation": "identity"}, "'linear'"),
        ({"activation": "LeakyReLU"}, "'leaky_relu'"),
        ({"loss": "crossentropy"}, "'binary_crossentropy'"),
        ({"loss": "l1"}, "'mean_absolute_error'"),
        ({"learning_rate_schedule": "OneCycle"}, "'one_cycle'"),
    ],
)
def test_values_of_other_libraries(params, hint, X):
    refused(DeepAutoencoder(**params), ValueError, f"Did you mean {hint}", X)


@pytest.mark.parametrize(
    "params", [{"optimizer": "Adam"}, {"optimizer": "AdamW"}, {"loss": "mse"}, {"loss": "MSE"}]
)
def test_common_spellings_train(params, make_autoencoder, X):
    rate = {"learning_rate": 0.01, "learning_rate_schedule": "constant"}
    assert make_autoencoder(epochs=20, **rate, **params).fit(X).n_iter_ == 20


def test_schedule_as_rate_is_explained(X):
    import keras

    decay = keras.optimizers.schedules.CosineDecay(0.1, 10)
    refused(DeepAutoencoder(learning_rate=decay), TypeError, "set learning_rate_schedule", X)
    match = "learning_rate_schedule must be"
    refused(DeepAutoencoder(learning_rate_schedule=type(decay)), ValueError, match, X)
