"""What importing and fitting load, print and leave behind: each in a process of its own."""

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
    """Run a program; return what it wrote to standard output and to standard error."""
    set_by_tensorflow = ("TF_CPP_MIN_LOG_LEVEL", "HDF5_PLUGIN_PATH")
    inherited = {name: os.environ[name] for name in os.environ if name not in set_by_tensorflow}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=inherited | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_importing_skae_loads_no_heavy_package():
    out, _ = run(
        "import sys, sklearn.base\n"  # which itself loads pandas where it is installed
        "before = set(sys.modules)\n"
        "import skae\n"
        "heavy = {'tensorflow', 'keras', 'scikeras', 'matplotlib', 'pandas', 'polars', 'torch'}\n"
        "print(sorted(heavy & (set(sys.modules) - before)))"
    )

    assert out == "[]\n"


def test_every_public_name_is_there():
    out, _ = run("import skae; print([n for n in skae.__all__ if not hasattr(skae, n)])")

    assert out == "[]\n"


def test_making_cloning_and_checking_an_estimator_needs_no_tensorflow():
    out, _ = run(
        "import sys, skae\n"
        "from sklearn.base import clone\n"
        "clone(skae.DeepAutoencoder(n_components=3)).set_params(epochs=2)\n"
        "repr(skae.DenoisingAutoencoder())\n"
        "try: skae.DeepAutoencoder(n_components=0).fit([[0, 1], [1, 0]])\n"
        "except ValueError as error: print(error)\n"
        "print('tensorflow' in sys.modules)"
    )

    assert out.splitlines() == [
        "n_components must be an integer at least 1 and finite in float32; got 0.",
        "False",
    ]


def test_a_fit_prints_nothing_in_a_plain_graph():
    assert run(FIT.format(epochs=1)) == ("", "")


@pytest.mark.skipif(version("tensorflow").startswith("2.18."), reason="its XLA logs that it starts")
def test_a_fit_prints_nothing_in_xla():
    assert run(FIT.format(epochs=60)) == ("", "")


def test_a_grid_of_structures_prints_nothing():
    """TensorFlow warns of retracing where many functions share their source."""
    program = (
        "import numpy as np\n"
        "from skae import DeepAutoencoder\n"
        "X = np.random.default_rng(0).uniform(size=(64, 8))\n"
        "for n in range(1, 8):\n"
        "    DeepAutoencoder(n, hidden_layer_sizes=(), epochs=1, random_state=0).fit(X, X_val=X)\n"
    )
    assert run(program) == ("", "")


def test_tensorflow_speaks_where_the_user_has_set_its_level():
    _, err = run(FIT.format(epochs=1), TF_CPP_MIN_LOG_LEVEL="0")

    assert "oneDNN" in err or "cpu_feature_guard" in err


def test_tensorflow_imported_by_the_user_is_left_alone():
    _, before = run("import tensorflow, keras")
    _, after = run("import tensorflow, keras\n" + FIT.format(epochs=1))

    assert len(after.splitlines()) >= len(before.splitlines()) > 0


def test_the_environment_and_the_warning_filters_stay_as_they_are():
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


def test_what_others_write_to_standard_error_during_the_import_is_kept():
    program = (
        "import os, sys, threading\n"
        "from skae._quiet import without_banners\n"
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


def test_an_error_during_the_import_gives_standard_error_back():
    program = (
        "import os, sys\n"
        "from skae._quiet import without_banners\n"
        "try:\n"
        "    with without_banners():\n"
        "        print('before it', file=sys.stderr)\n"
        "        raise ImportError('no such thing')\n"
        "except ImportError as error:\n"
        "    print(error, file=sys.stderr)\n"
        "assert 'TF_CPP_MIN_LOG_LEVEL' not in os.environ\n"
    )
    assert run(program) == ("", "before it\nno such thing\n")
