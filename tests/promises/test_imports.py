"""Packages that an import or a fit loads, and its output and side effects, in new processes."""

import os
import subprocess
import sys
from importlib.metadata import version

import pytest

FIT = """
import numpy as np
from skae import DenoisingAutoencoder
X = np.random.default_rng(0).uniform(size=(600, 8))
DenoisingAutoencoder(
    2, hidden_layer_sizes=(4,), batch_size=8, epochs={epochs}, metrics="mse", random_state=0,
).fit(X, X_val=X).reconstruct(X)
"""


def run(program, **environment):
    """Run a program; return the text of its standard output and of its standard error."""
    set_by_tensorflow = ("TF_CPP_MIN_LOG_LEVEL", "HDF5_PLUGIN_PATH")
    inherited = {name: os.environ[name] for name in os.environ if name not in set_by_tensorflow}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=inherited | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_import_loads_no_heavy_package():
    out, _ = run(
        "import sys, sklearn.base\n"  # loads pandas itself if pandas is installed
        "before = set(sys.modules)\n"
        "import skae\n"
        "heavy = {'tensorflow', 'keras', 'scikeras', 'safetensors', 'matplotlib', 'pandas'}\n"
        "heavy |= {'polars', 'torch'}\n"
        "print(sorted(heavy & (set(sys.modules) - before)))"
    )

    assert out == "[]\n"


def test_every_public_name_exists():
    out, _ = run("import skae; print([n for n in skae.__all__ if not hasattr(skae, n)])")

    assert out == "[]\n"


def test_construction_needs_no_tensorflow():
    """Cloning, setting parameters, `repr` and the refusal of a bad parameter need none either."""
    out, _ = run(
        "import sys, skae\n"
        "from sklearn.base import clone\n"
        "routed = skae.DeepAutoencoder(optimizer='adam', optimizer__beta_1=0.8, loss__delta=3)\n"
        "clone(routed).set_params(epochs=2, optimizer__beta_2=0.9)\n"
        "denoiser = skae.DenoisingAutoencoder(corruption=skae.MaskingNoise())\n"
        "clone(denoiser).set_params(corruption__fraction=0.5)\n"
        "skae.MaskingNoise().fit_transform([[0, 1], [1, 0]])\n"
        "repr(routed), repr(denoiser), routed.get_params(), denoiser.get_params()\n"
        "try: skae.DeepAutoencoder(n_components=0).fit([[0, 1], [1, 0]])\n"
        "except ValueError as error: print(error)\n"
        "print('tensorflow' in sys.modules)"
    )

    assert out.splitlines() == [
        "n_components must be a positive integer; got 0.",
        "False",
    ]


def test_graph_fit_prints_nothing():
    assert run(FIT.format(epochs=1)) == ("", "")


@pytest.mark.skipif(
    version("tensorflow").startswith("2.18."), reason="XLA of TensorFlow 2.18 logs its start"
)
def test_xla_fit_prints_nothing():
    assert run(FIT.format(epochs=60)) == ("", "")


def test_many_structures_print_nothing():
    """TensorFlow would warn of retracing if many functions shared their source."""
    program = (
        "import warnings\n"
        "import numpy as np\n"
        "from sklearn.exceptions import ConvergenceWarning\n"
        "from skae import DeepAutoencoder\n"
        "warnings.simplefilter('ignore', ConvergenceWarning)\n"
        "X = np.random.default_rng(0).uniform(size=(64, 8))\n"
        "for n in range(1, 8):\n"
        "    DeepAutoencoder(n, hidden_layer_sizes=(), epochs=1, random_state=0).fit(X, X_val=X)\n"
    )
    assert run(program) == ("", "")


def test_log_level_of_users_is_kept():
    """TensorFlow logs if the user has set its log level."""
    _, err = run(FIT.format(epochs=1), TF_CPP_MIN_LOG_LEVEL="0")

    assert "oneDNN" in err or "cpu_feature_guard" in err


def test_imported_tensorflow_is_left_alone():
    """If the user imported TensorFlow before, its log messages still appear."""
    _, before = run("import tensorflow, keras")
    _, after = run("import tensorflow, keras\n" + FIT.format(epochs=1))

    assert len(after.splitlines()) >= len(before.splitlines()) > 0


def test_global_settings_stay_unchanged():
    """The environment, the warning filters and the handlers of the root logger stay unchanged."""
    out, _ = run(
        "import os, warnings, logging\n"
        "import sklearn\n"
        "before = dict(os.environ), list(warnings.filters), logging.getLogger().handlers[:]\n"
        "import skae\n"
        "assert before[:2] == (dict(os.environ), list(warnings.filters))\n"
        + FIT.format(epochs=1)
        + "print(before[0] == dict(os.environ))\n"
        "print(before[2] == logging.getLogger().handlers)"
    )

    assert out.splitlines() == ["True", "True"]


def test_foreign_stderr_output_is_kept():
    """During the import only the banners of TensorFlow are dropped from standard error."""
    program = (
        "import os, sys, threading\n"
        "from skae._process import without_banners\n"
        "with without_banners():\n"
        "    os.write(2, b'from a C library\\n')\n"
        "    print('from Python', file=sys.stderr)\n"
        "    os.write(2, b'2026-01-01 00:00:00.0: I tensorflow/core/x.cc:1] a banner\\n')\n"
        "    os.write(2, b'I0000 00:00:17.1 1 port.cc:153] a banner\\n')\n"
        "    assert os.environ['TF_CPP_MIN_LOG_LEVEL'] == '3'\n"
        "assert 'TF_CPP_MIN_LOG_LEVEL' not in os.environ\n"
        "print('afterwards', file=sys.stderr)\n"
    )
    assert run(program) == ("", "from a C library\nfrom Python\nafterwards\n")


def test_failed_import_restores_stderr():
    program = (
        "import os, sys\n"
        "from skae._process import without_banners\n"
        "try:\n"
        "    with without_banners():\n"
        "        print('before it', file=sys.stderr)\n"
        "        raise ImportError('no such thing')\n"
        "except ImportError as error:\n"
        "    print(error, file=sys.stderr)\n"
        "assert 'TF_CPP_MIN_LOG_LEVEL' not in os.environ\n"
    )
    assert run(program) == ("", "before it\nno such thing\n")
