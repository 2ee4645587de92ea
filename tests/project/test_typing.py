"""The types of the public API, as a user's type checker sees them."""

import inspect

import pytest

import skae

USER = """
from skae import DeepAutoencoder, DenoisingAutoencoder, GaussianNoise, limit_programs
from skae.datasets import load_mnist_sample

X = load_mnist_sample().X_train
autoencoder = DeepAutoencoder(32, hidden_layer_sizes=(128, 64), learning_rate=0.01).fit(X)
reveal_type(autoencoder)
reveal_type(DenoisingAutoencoder(noise_scale=0.5, clip=(0, 1)).partial_fit(X))
reveal_type(GaussianNoise(0.5).fit(X))
reveal_type(autoencoder.score(X))
DeepAutoencoder("many")
DeepAutoencoder(epochs=2.5)
DenoisingAutoencoder(clip=1)
limit_programs("all")
"""


def test_type_checker_understands_the_estimators(tmp_path):
    """mypy infers the types of results, and reports arguments of a wrong type."""
    api = pytest.importorskip("mypy.api")
    file = tmp_path / "user.py"
    file.write_text(USER)
    options = ["--follow-imports=silent", "--ignore-missing-imports", f"--cache-dir={tmp_path}"]
    out, err, _ = api.run([*options, str(file)])

    lines = [line.partition("user.py:")[2] for line in out.splitlines()]
    assert [line.split('"')[1] for line in lines if "Revealed" in line] == [
        "skae._estimators.deep.DeepAutoencoder",
        "skae._estimators.denoising.DenoisingAutoencoder",
        "skae._corruption.gaussian.GaussianNoise",
        "float",
    ], out + err
    assert [line.split(":")[0] for line in lines if "[arg-type]" in line] == [
        "11", "12", "13", "14",
    ], out + err  # fmt: skip


def test_public_functions_have_types():
    named = {name: getattr(skae, name) for name in skae.__all__ if name != "datasets"}
    named |= {name: getattr(skae.datasets, name) for name in skae.datasets.__all__}
    missing = []
    for name, value in named.items():
        functions = {name: value}
        if inspect.isclass(value):
            functions = {
                f"{name}.{key}": getattr(value, key)
                for base in value.__mro__
                if base.__module__.startswith("skae")
                for key in vars(base)
                if inspect.isroutine(getattr(value, key, None))
                and not key.startswith("_")
                and not key.endswith("_request")  # scikit-learn generates these methods
            } | {f"{name}.__init__": value.__init__}
        for key, function in functions.items():
            annotations = inspect.unwrap(getattr(function, "__func__", function)).__annotations__
            parameters = inspect.signature(inspect.unwrap(function)).parameters
            wanted = {p for p in parameters if p not in ("self", "cls")} | {"return"}
            missing += [f"{key}: {p}" for p in sorted(wanted - annotations.keys())]
    assert missing == []
