"""Files from others run no code, and skae writes only to the files that it was told to write.

SECURITY.md states these promises.
"""

import ast
import io
import json
import os
import pickle
import re
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from sklearn.base import clone

import skae
from skae import (
    DeepAutoencoder,
    DenoisingAutoencoder,
    GaussianNoise,
    MaskingNoise,
    SaltAndPepperNoise,
    SwapNoise,
)
from skae._training.checkpoint import HEAD_BYTES, Checkpoint, head_of
from skae.datasets import load_mnist
from tests.datasets.test_datasets import arrays as mnist_arrays

ROOT = Path(__file__).parents[2]


class MakesFolder:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def canary(tmp_path):
    """Return the path of a folder that only hostile code makes; check its absence at the end."""
    canary = tmp_path / "canary"
    yield canary
    assert not canary.exists(), "hostile code has run"


def files_in(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_canary_detects_executed_code(tmp_path):
    pickle.loads(pickle.dumps(MakesFolder(tmp_path / "canary")))
    assert (tmp_path / "canary").exists()


def calls(tree):
    """Yield (called name, function that contains the call, call) for each call in a module."""
    for node in ast.walk(tree):
        for call in ast.walk(node) if isinstance(node, ast.FunctionDef) else ():
            if isinstance(call, ast.Call):
                yield ast.unparse(call.func), node.name, call


def test_one_function_opens_pickles():
    """skae unpickles in one function, and never runs text as code."""
    opens, loads = set(), []
    for file in sorted((ROOT / "skae").rglob("*.py")):
        for name, where, call in calls(ast.parse(file.read_text(encoding="utf-8"))):
            base = name.rpartition(".")[2]
            assert name not in ("eval", "exec", "compile", "__import__"), f"{name} in {file}"
            assert base not in ("system", "Popen", "import_module", "func_load"), (
                f"{name} in {file}"
            )
            if "pickle" in name and base in ("load", "loads", "Unpickler"):
                opens.add((file.name, where))
            if name == "np.load":
                loads.append({k.arg: ast.unparse(k.value) for k in call.keywords})

    assert opens == {("pickling.py", "open_pickle")}
    assert loads == [{"allow_pickle": "False"}]


# ---------------------------------------------------------------------- skops


def types_on_the_page():
    """Return the types that docs/guide/ecosystem.md tells users to trust."""
    text = (ROOT / "docs" / "guide" / "ecosystem.md").read_text(encoding="utf-8")
    return re.findall(r'^\.\.\.     "(skae\.[\w.]+)",$', text, re.M)


@pytest.fixture
def load():
    """Return a function that loads a skops file as docs/guide/ecosystem.md describes."""
    skops_io = pytest.importorskip("skops.io")
    return lambda file: skops_io.loads(file, trusted=types_on_the_page())


@pytest.fixture
def dump():
    return pytest.importorskip("skops.io").dumps


def test_documented_types_match_files(make_autoencoder, X, dump):
    """The documentation lists exactly the types that skops files of skae contain."""
    import keras

    skops_io = pytest.importorskip("skops.io")
    found = set()
    for estimator in (
        make_autoencoder(optimizer=keras.optimizers.Adam(0.01)).fit(X),
        make_autoencoder(DenoisingAutoencoder, corruption=MaskingNoise()).partial_fit(X),
        *(noise.fit(X) for noise in (GaussianNoise(), SwapNoise(), SaltAndPepperNoise())),
    ):
        found |= set(skops_io.get_untrusted_types(data=dump(estimator)))

    assert sorted(found) == sorted(types_on_the_page())


def with_state(estimator, monkeypatch, dump, **changed):
    """Return the skops file of an estimator with some of its state replaced."""
    with monkeypatch.context() as patch:
        state = estimator.__getstate__() | changed
        patch.setattr(type(estimator), "__getstate__", lambda self: state)
        return dump(estimator)


@pytest.mark.parametrize("wrap", [tuple, list, dict])
def test_pickle_in_skops_stays_closed(wrap, canary, monkeypatch, dump, load):
    """skae does not open a pickle in a skops file."""
    packed = wrap([("opener", None), ("contents", {"loss": pickle.dumps(MakesFolder(canary))})])
    file = with_state(DeepAutoencoder(), monkeypatch, dump, _pickled=packed)
    with pytest.raises(TypeError, match="only a pickle may hold pickled parameters"):
        load(file)


def test_opener_of_pickles_is_untrusted(canary, monkeypatch, dump, load):
    """A skops file that names `pickle.loads`, as a pickle does, is refused."""
    packed = (pickle.loads, {"loss": pickle.dumps(MakesFolder(canary))})
    file = with_state(DeepAutoencoder(), monkeypatch, dump, _pickled=packed)
    with pytest.raises(Exception, match=r"Untrusted types.*_pickle\.loads"):
        load(file)


def keras_object(module, name, config, registered=None):
    return {
        "module": module, "class_name": name, "config": config, "registered_name": registered,
    }  # fmt: skip


def lambda_layer(path):
    import keras

    layer = keras.layers.Lambda(lambda x, path: __import__("os").mkdir(path))
    config = keras.saving.serialize_keras_object(layer)
    config["config"]["arguments"] = {"path": path}
    return config


HOSTILE = {
    "lambda layer": lambda_layer,
    "lambda": lambda path: {"class_name": "__lambda__", "config": {"value": "4wEA"}},
    "function of a module": lambda path: keras_object("os", "function", "mkdir", "mkdir"),
    "function of Keras": lambda path: keras_object("keras.utils", "function", "get_file", "f"),
    "class of a module": lambda path: keras_object("subprocess", "Popen", {"args": ["ls"]}),
    "class of Keras' insides": lambda path: keras_object(
        "keras.src.layers.core.lambda_layer", "Lambda", {"function": "x"}
    ),
    "saved model": lambda path: keras_object("keras.layers", "TFSMLayer", {"filepath": path}),
    "reads a file": lambda path: keras_object(
        "keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}
    ),
    "writes a file": lambda path: keras_object(
        "keras.callbacks", "CSVLogger", {"filename": path}
    ),
    "within an optimizer": lambda path: keras_object(
        "keras.optimizers", "Adam", {"learning_rate": lambda_layer(path)}
    ),
    "within a list": lambda path: ["mse", {"a": [lambda_layer(path)]}],
    "type": lambda path: {
        "class_name": "__typespec__", "spec_name": "TensorSpec", "module": "tensorflow",
        "config": [], "registered_name": None,
    },
    "no class": lambda path: ["losses", "deserialize"],
    "no name": lambda path: ["optimizers", "__dict__"],
}  # fmt: skip


@pytest.mark.parametrize("config", HOSTILE.values(), ids=HOSTILE)
def test_hostile_keras_config_is_refused(config, canary, monkeypatch, dump, load):
    """Only Keras objects that can be parameters are built from a skops file."""
    configs = {"metrics": json.dumps(config(str(canary)))}
    file = with_state(DeepAutoencoder(), monkeypatch, dump, _keras=configs)
    with pytest.raises(ValueError, match=r"among the parameters may be|must be a class of keras"):
        load(file)


def test_keras_config_must_be_parameter(monkeypatch, dump, load):
    """A skops file cannot replace an attribute of the estimator by a Keras object."""
    configs = {"transform": json.dumps(["losses", "Huber"])}
    file = with_state(DeepAutoencoder(), monkeypatch, dump, _keras=configs)
    with pytest.raises(ValueError, match="'transform' is not a parameter that may be an object"):
        load(file)


@pytest.mark.parametrize("config", HOSTILE.values(), ids=HOSTILE)
def test_skops_activation_must_be_name(
    config, make_autoencoder, X, canary, monkeypatch, dump, load
):
    """A Keras config instead of an activation's name is refused."""
    estimator = make_autoencoder().fit(X)
    network = estimator.__getstate__()["_network"]
    network["layers"][0]["activation"] = config(str(canary))
    file = with_state(estimator, monkeypatch, dump, _network=network)
    with pytest.raises(ValueError, match="does not describe a network"):
        load(file)


BAD_NETWORKS = {
    "no layers": lambda network: network.pop("layers"),
    "unknown kind": lambda network: network["layers"][0].update(kind="Lambda"),
    "unknown field": lambda network: network["layers"][0].update(function="os.system"),
    "unknown activation": lambda network: network["layers"][0].update(activation_of="system"),
    "other shapes": lambda network: network["weights"].reverse(),
    "text": lambda network: network.update(weights=["x"]),
}


@pytest.mark.parametrize("change", BAD_NETWORKS.values(), ids=BAD_NETWORKS)
def test_invalid_network_is_refused(change, make_autoencoder, X, monkeypatch, dump, load):
    estimator = make_autoencoder().fit(X)
    network = estimator.__getstate__()["_network"]
    change(network)
    file = with_state(estimator, monkeypatch, dump, _network=network)
    with pytest.raises(ValueError, match="skae did not write this file, or it was changed"):
        load(file)


def test_untrusted_function_is_never_called(canary, monkeypatch, dump, load):
    """skops refuses a function that the user does not trust."""
    file = with_state(DeepAutoencoder(), monkeypatch, dump, loss=os.system)
    with pytest.raises(Exception, match=r"Untrusted types.*\.system"):
        load(file)


# ---------------------------------------------------------------------- checkpoints


def npy(array):
    """Return an array as the bytes of an .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.ckpt"


def write(path, body):
    """Write a checkpoint with a valid checksum, which anyone can compute."""
    path.write_bytes(head_of(body) + body)


def read_arrays(path):
    return load_arrays(path.read_bytes()[HEAD_BYTES:])


def write_arrays(path, arrays):
    write(path, save_arrays(arrays))


def read_json(path):
    return json.loads(read_arrays(path)["json"].tobytes())


def with_text(arrays, text):
    return {**arrays, "json": np.frombuffer(text, np.uint8)}


def with_json(arrays, content):
    return with_text(arrays, json.dumps(content).encode())


def with_entry(body, **changes):
    """Change the entry of the first weight in the header, which is JSON after its length."""
    n_bytes = int.from_bytes(body[:8], "little")
    header = json.loads(body[8 : 8 + n_bytes])
    header["weights.0"].update(changes)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body[8 + n_bytes :]


BAD_BODIES = {
    "a pickle": lambda body, canary: pickle.dumps(MakesFolder(canary)),
    "objects": lambda body, canary: npy(np.array([MakesFolder(canary)], object)),
    "text": lambda body, canary: b"import os",
    "nothing": lambda body, canary: b"",
    "huge header": lambda body, canary: (1 << 62).to_bytes(8, "little") + body[8:],
    "huge shape": lambda body, canary: with_entry(body, shape=[10**9, 10**9]),
    "negative shape": lambda body, canary: with_entry(body, shape=[-2, 3]),
    "beyond the file": lambda body, canary: with_entry(body, data_offsets=[0, 1 << 40]),
    "overlap": lambda body, canary: with_entry(body, data_offsets=[0, 4096]),
    "dtype of objects": lambda body, canary: with_entry(body, dtype="O"),
    "dtype without NumPy form": lambda body, canary: with_entry(body, dtype="F8_E4M3"),
    "code as dtype": lambda body, canary: with_entry(body, dtype=f"mkdir({str(canary)!r})"),
}


@pytest.mark.parametrize("change", BAD_BODIES.values(), ids=BAD_BODIES)
def test_hostile_checkpoint_array_is_damage(change, canary, make_autoencoder, X, path):
    make_autoencoder(checkpoint=path).fit(X)
    write(path, change(path.read_bytes()[HEAD_BYTES:], canary))
    estimator = make_autoencoder(checkpoint=path)
    with pytest.raises(ValueError, match=r"checkpoint=.* is damaged"):
        estimator.fit(X)

    assert not hasattr(estimator, "history_")


def test_stated_sizes_allocate_nothing(make_autoencoder, X, path):
    """A file that states larger arrays than it has is refused before memory is allocated."""
    make_autoencoder(checkpoint=path).fit(X)
    body = path.read_bytes()[HEAD_BYTES:]
    write(path, with_entry(body, shape=[1 << 20, 1 << 20], data_offsets=[0, 1 << 42]))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="is damaged: its arrays cannot be read"):
            Checkpoint.open(path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "weights.9/../../o"])
def test_array_names_are_not_paths(name, make_autoencoder, X, path, tmp_path):
    """Names of the arrays in a checkpoint are not used as paths."""
    make_autoencoder(checkpoint=path, epochs=1).fit(X)
    write_arrays(path, {**read_arrays(path), name: np.zeros(3)})
    before = files_in(tmp_path.parent)
    Checkpoint.open(path)

    assert files_in(tmp_path.parent) == before


@pytest.mark.parametrize("group", ["weights", "optimizer_state", "EarlyStopping"])
@pytest.mark.parametrize("wrong", [np.zeros((2, 3), np.float32), np.zeros((64, 16), np.int64)])
def test_arrays_of_another_network_are_damage(group, wrong, make_autoencoder, X, path):
    params = {"checkpoint": path, "early_stopping": True, "optimizer": "adam"}
    make_autoencoder(**params).fit(X)
    arrays = read_arrays(path)
    assert f"{group}.1" in arrays
    write_arrays(path, arrays | {f"{group}.1": wrong})
    estimator = make_autoencoder(**params)
    with pytest.raises(ValueError, match="is damaged: its arrays are not those of this network"):
        estimator.fit(X)

    assert not hasattr(estimator, "history_")


BAD_TEXTS = {
    "a number": lambda text: 3,
    "a list": lambda text: [],
    "without identity": lambda text: {k: text[k] for k in text if k != "identity"},
    "identity is text": lambda text: text | {"identity": "x"},
    "seed is text": lambda text: text | {"identity": text["identity"] | {"random_state": "0"}},
    "without history": lambda text: {k: text[k] for k in text if k != "history"},
    "history is text": lambda text: text | {"history": "loss"},
    "history of text": lambda text: text | {"history": [{"loss": "x"}]},
    "factor is text": lambda text: text | {"rate_factor": "x"},
    "factor is huge": lambda text: text | {"rate_factor": 10**400},
    "stopped is a number": lambda text: text | {"stopped": 3},
    "watchers are text": lambda text: text | {"watchers": "x"},
    "state is a list": lambda text: text | {"watchers": {"EarlyStopping": []}},
    "no weights": lambda text: text | {"n_arrays": {}},
    "too many weights": lambda text: text | {"n_arrays": text["n_arrays"] | {"weights": 10**12}},
    "count is text": lambda text: text | {"n_arrays": text["n_arrays"] | {"weights": "4"}},
}


@pytest.mark.parametrize("change", BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_invalid_checkpoint_text_is_damage(change, make_autoencoder, X, path):
    """JSON that skae never writes makes a checkpoint count as damaged."""
    make_autoencoder(checkpoint=path, epochs=1).fit(X)
    write_arrays(path, with_json(read_arrays(path), change(read_json(path))))
    with pytest.raises(ValueError, match=r"checkpoint=.* is damaged"):
        Checkpoint.open(path)


def test_deeply_nested_text_is_damage(make_autoencoder, X, path):
    make_autoencoder(checkpoint=path, epochs=1).fit(X)
    write_arrays(path, with_text(read_arrays(path), b"[" * 100_000))
    with pytest.raises(ValueError, match=r"checkpoint=.* is damaged"):
        Checkpoint.open(path)


BAD_STATES = {
    "missing": None,
    "without a loss": {"mark": 1.0, "epochs_without_gain": 0, "fall": None},
    "loss is text": {"best_loss": "x", "mark": 1.0, "epochs_without_gain": 0, "fall": None},
    "mark is text": {"best_loss": 1.0, "mark": "x", "epochs_without_gain": 0, "fall": None},
    "epochs are text": {"best_loss": 1.0, "mark": 1.0, "epochs_without_gain": "x", "fall": None},
    "fall is text": {"best_loss": 1.0, "mark": 1.0, "epochs_without_gain": 0, "fall": "xy"},
    "fall never ends": {"best_loss": 1.0, "mark": 1.0, "epochs_without_gain": 0, "fall": [1, 99]},
}


@pytest.mark.parametrize("state", BAD_STATES.values(), ids=BAD_STATES)
def test_invalid_early_stopping_is_damage(state, make_autoencoder, X, path):
    params = {"checkpoint": path, "early_stopping": True}
    make_autoencoder(**params).fit(X)
    text = read_json(path)
    text["watchers"] = {} if state is None else {"EarlyStopping": state}
    write_arrays(path, with_json(read_arrays(path), text))
    with pytest.raises(ValueError, match="is damaged: it holds something that no fit has written"):
        make_autoencoder(**params).fit(X)


CHANGES = {
    "ModelCheckpoint": {"filepath": "EVIL"},
    "CSVLogger": {"filename": "EVIL"},
    "TensorBoard": {"_log_write_dir": "EVIL"},
    "EarlyStopping": {"on_epoch_end": {"op": "less"}},
    "ReduceLROnPlateau": {"model": None},
    "TerminateOnNaN": {"__class__": "EVIL"},
}


@pytest.mark.parametrize(("kind", "change"), CHANGES.items(), ids=CHANGES)
def test_checkpoint_cannot_redirect_callbacks(
    kind, change, make_autoencoder, X, path, tmp_path, monkeypatch
):
    """A checkpoint cannot make a callback write to another file."""
    import keras

    (tmp_path / "given").mkdir()
    given = {
        "ModelCheckpoint": {"filepath": str(tmp_path / "given" / "m.keras")},
        "CSVLogger": {"filename": str(tmp_path / "given" / "log.csv")},
        "TensorBoard": {"log_dir": str(tmp_path / "given")},
        "EarlyStopping": {"monitor": "loss"},
        "ReduceLROnPlateau": {"monitor": "loss"},
    }.get(kind, {})
    callback = getattr(keras.callbacks, kind)(**given)
    estimator = make_autoencoder(checkpoint=path, epochs=2, callbacks=[callback])
    write_file, written = Checkpoint.write, []

    def keep(checkpoint, saved):
        write_file(checkpoint, saved)
        written.append(path.read_bytes())

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "write", keep)
        estimator.fit(X)
    path.write_bytes(written[0])
    text = read_json(path)
    evil = json.loads(json.dumps(change).replace("EVIL", str(tmp_path / "evil")))
    text["watchers"]["KerasCallbacks"]["callbacks"][0].update(evil)
    write_arrays(path, with_json(read_arrays(path), text))
    with pytest.raises(ValueError, match=f"is damaged: it would change '{next(iter(change))}'"):
        clone(estimator).fit(X)

    assert not (tmp_path / "evil").exists()


def test_changed_callback_text_is_refused(make_autoencoder, X, path):
    """Checkpoints do not restore strings, so a callback must not change one."""
    import keras

    class Phase(keras.callbacks.Callback):
        phase = None

        def __init__(self):
            super().__init__()
            self.phase = "first"

        def on_epoch_end(self, epoch, logs=None):
            self.phase = "second"

    make_autoencoder(callbacks=[Phase()]).fit(X)
    with pytest.raises(ValueError, match="Phase changed its text 'phase'"):
        make_autoencoder(callbacks=[Phase()], checkpoint=path).fit(X)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs symbolic links")
def test_symbolic_links_are_not_followed(make_autoencoder, X, path, tmp_path):
    """A link with the name of the checkpoint, or of its temporary file, changes no other file."""
    for name in ("run.ckpt.tmp", "run.ckpt"):
        target = tmp_path / "thesis"
        target.write_text("mine")
        path.unlink(missing_ok=True)
        (tmp_path / name).symlink_to(target)
        if name == "run.ckpt":
            with pytest.raises(ValueError, match="is not a checkpoint of skae"):
                make_autoencoder(checkpoint=path, epochs=1).fit(X)
        else:
            make_autoencoder(checkpoint=path, epochs=1).fit(X)
            assert os.listdir(tmp_path) == ["thesis", "run.ckpt"] or not path.is_symlink()
        assert target.read_text() == "mine"


def damaged(whole, rng):
    """Change some bytes of a file, delete some, or repeat some."""
    content = bytearray(whole)
    for _ in range(rng.integers(1, 5)):
        i, j = sorted(rng.integers(0, len(content), 2))
        match rng.integers(4):
            case 0:
                content[i] = rng.integers(256)
            case 1:
                content[i] ^= 1 << rng.integers(8)
            case 2:
                del content[i : min(j, i + 64)]
            case 3:
                content[i:i] = content[i : min(j, i + 64)]
    return bytes(content)


def damaged_array(body, rng):
    """Damage one array of a checkpoint, and write the checkpoint again with a valid header."""
    arrays = load_arrays(body)
    name = rng.choice(list(arrays))
    array, content = arrays[name], damaged(arrays[name].tobytes(), rng)
    if name == "json":
        return save_arrays(with_text(arrays, content))
    content = content.ljust(array.nbytes, b"\0")[: array.nbytes]
    return save_arrays({**arrays, name: np.frombuffer(content, array.dtype).reshape(array.shape)})


def test_damage_with_a_valid_checksum(make_autoencoder, X, path, long):
    """Damage of the file, or of one of its arrays, gives an error or a finite fit."""
    whole = make_autoencoder(checkpoint=path, early_stopping=True).fit(X[:64])
    body = path.read_bytes()[HEAD_BYTES:]
    rng, n_fitted, n_cases = np.random.default_rng(0), 0, 20_000 if long else 300
    for case in range(n_cases):
        write(path, (damaged if case % 2 else damaged_array)(body, rng))
        estimator = clone(whole)
        try:
            estimator.fit(X[:64])
        except ValueError:
            assert not hasattr(estimator, "history_")
        else:
            n_fitted += 1
            assert np.isfinite(estimator.transform(X)).all()
    print(f"{n_cases} damaged checkpoints: {n_fitted} fitted, the others refused")


# ---------------------------------------------------------------------- data and environment


@pytest.fixture
def no_mnist(monkeypatch, tmp_path):
    """Unset SKAE_DATA, and empty the folders that may hold a copy of MNIST."""
    monkeypatch.delenv("SKAE_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "data home"))


def hostile_mnist(folder, canary, key="x_train"):
    folder.mkdir(parents=True)
    content = mnist_arrays() | {key: np.array([MakesFolder(canary)] * 4, object)}
    np.savez(folder / "mnist.npz", **content)
    return folder / "mnist.npz"


@pytest.mark.parametrize("key", ["x_train", "y_train"])
def test_pickle_in_data_is_refused(key, canary, no_mnist, tmp_path, monkeypatch):
    file = hostile_mnist(tmp_path / "data", canary, key)
    monkeypatch.setenv("SKAE_DATA", str(file))
    with pytest.raises(ValueError, match=r"SKAE_DATA must name .* not a complete"):
        load_mnist()


@pytest.mark.parametrize("folder", ["keras/datasets", "data home"])
def test_hostile_mnist_copy_is_ignored(folder, canary, no_mnist, tmp_path):
    """A hostile file in the cache of Keras or of scikit-learn is ignored."""
    hostile_mnist(tmp_path / folder, canary)

    assert len(load_mnist().X_train) == 6000


def run(program, folder, **environment):
    """Run a program in a new folder; return the names of all files in `folder` afterwards."""
    (folder / "here").mkdir()
    environment = {**os.environ, "HOME": str(folder), "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=folder / "here", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [str(path.relative_to(folder)) for path in files_in(folder)]


FIT = """
import numpy as np, os, pytest
from skae import DeepAutoencoder
from skae.datasets import load_mnist
with pytest.raises((OSError, ValueError), match="SKAE_DATA must name"):
    load_mnist()
X = np.random.default_rng(0).uniform(size=(50, 4))
DeepAutoencoder(2, epochs=1, checkpoint="run.ckpt").fit(X).encoder_
"""


def test_environment_variables_are_never_run(canary, tmp_path):
    """Shell commands in environment variables do not run, and no other file is written."""
    value = f"x; mkdir {canary}; $(mkdir {canary}) `mkdir {canary}` | mkdir {canary}"
    variables = dict.fromkeys(("SKAE_DATA", "OMP_NUM_THREADS", "TF_CPP_MIN_LOG_LEVEL"), value)
    left = run(FIT, tmp_path, KERAS_HOME=str(tmp_path / "keras"), **variables)

    left = [name for name in left if not name.startswith(".cache/matplotlib/")]
    assert left == ["here/run.ckpt", "keras/keras.json"]  # Keras itself writes the last one


def test_oversized_data_is_not_unpacked(tmp_path):
    """A data file that states a larger size than MNIST is refused before it is unpacked."""
    file = tmp_path / "mnist.npz"
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in mnist_arrays().items():
            archive.writestr(f"{name}.npy", npy(array))
        archive.filelist[0].file_size = 2**40  # the size that the directory of the archive states
    with pytest.raises(ValueError, match=r"it unpacks to 1,099,511,\d{3},\d{3} bytes"):
        load_mnist(file)


def damaged_member(body, rng):
    """Damage one member of an archive, and write the archive again with valid checksums."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(content))
    content[name] = damaged(content[name], rng)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_damaged_data_loads_or_raises(tmp_path, long):
    """A damaged data file raises a ValueError or gives images of the right type."""
    file = tmp_path / "mnist.npz"
    np.savez_compressed(file, **mnist_arrays())
    whole = file.read_bytes()
    rng, n_loaded, n_cases = np.random.default_rng(0), 0, 50_000 if long else 1000
    for case in range(n_cases):
        file.write_bytes((damaged if case % 2 else damaged_member)(whole, rng))
        try:
            mnist = load_mnist(file)
        except ValueError:
            continue
        n_loaded += 1
        assert mnist.X_train.dtype == np.float32
        assert mnist.X_train.ndim == 2
        assert mnist.y_train.dtype == np.int64
    print(f"{n_cases} damaged data files: {n_loaded} loaded, the others refused")


def test_policy_supports_this_version():
    """SECURITY.md names the current minor version as supported."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")

    assert f"| {'.'.join(skae.__version__.split('.')[:2])}.x | yes |" in text
