"""Fits without TensorFlow, with another backend or without a home folder, in new processes."""

import json
import os
import subprocess
import sys

TRY = """
import sys
import numpy as np
{before}
from skae import DeepAutoencoder

X = np.random.default_rng(0).uniform(size=(40, 5))
estimator = DeepAutoencoder(2, epochs=1, random_state=0)
before = dict(vars(estimator))
for attempt in (1, 2):
    try:
        estimator.fit(X)
    except ImportError as error:
        print(error)
assert vars(estimator) == before
"""


def run(program, without=(), **environment):
    inherited = {name: os.environ[name] for name in os.environ if name not in without}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=inherited | environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_missing_tensorflow_is_explained():
    """The error says which packages to install."""
    out = run(TRY.format(before="sys.modules['tensorflow'] = None"))

    assert out.count("could not import them: ") == 2
    assert out.count("pip install keras tensorflow") == 2


def test_backend_from_variable_is_explained():
    """The error says which variable to set, even if the other backend is not installed."""
    for backend in ("jax", "torch", "no_such"):
        out = run(TRY.format(before=""), KERAS_BACKEND=backend)

        expected = f"Keras runs on {backend!r}: set KERAS_BACKEND=tensorflow before Keras"
        assert out.count(expected) == 2


def test_backend_from_file_is_explained(tmp_path):
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "torch"}))
    out = run(TRY.format(before=""), without=["KERAS_BACKEND"], KERAS_HOME=str(tmp_path))

    assert out.count("set KERAS_BACKEND=tensorflow") == 2


def test_interrupt_waits_for_the_import():
    """Ctrl-C takes effect after the import of TensorFlow, also without a home folder or screen."""
    out = run(
        "import importlib.abc, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored\n"
        "import numpy as np\n"
        "from skae import DeepAutoencoder, ReconstructionDisplay, LossCurveDisplay\n"
        "class Interrupt(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'tensorflow.python.ops.ragged.ragged_tensor':\n"
        "            sys.meta_path.remove(self)\n"
        "            signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "X = np.random.default_rng(0).uniform(size=(40, 5))\n"
        "estimator = DeepAutoencoder(2, epochs=2, random_state=0)\n"
        "before = dict(vars(estimator))\n"
        "try:\n"
        "    estimator.fit(X)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', sys.meta_path[0].__class__ is not Interrupt)\n"
        "assert vars(estimator) == before\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "estimator.fit(X)\n"
        "print('fitted')\n"
        "ReconstructionDisplay.from_estimator(estimator, X).figure_.canvas.draw()\n"
        "LossCurveDisplay.from_estimator(estimator).figure_.canvas.draw()\n"
        "print('drawn')\n",
        without=["DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND", "MPLCONFIGDIR", "KERAS_HOME",
                 "XDG_CONFIG_HOME", "XDG_CACHE_HOME"],
        HOME="/dev/null/nowhere",
    )  # fmt: skip

    assert out.splitlines() == ["interrupted True", "fitted", "drawn"]
