"""What others wrote, read: no code of theirs runs, and nothing is written but where we were told.

The promises stand in SECURITY.md.
"""

import ast
import copy
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
from sklearn.base import clone

import skae
from skae import DeepAutoencoder, DenoisingAutoencoder, GaussianNoise
from skae._checkpoint import FORMAT, HEAD_BYTES, Checkpoint, _digest
from skae._sealed import Packed, Sealed
from skae.datasets import load_mnist
from tests.test_datasets import arrays as mnist_arrays

ROOT = Path(__file__).parents[1]


class Code:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def canary(tmp_path):
    """A folder that is there once code of a file has run."""
    canary = tmp_path / "canary"
    yield canary
    assert not canary.exists(), "code was run"


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_the_canary_sings(tmp_path):
    pickle.loads(pickle.dumps(Code(tmp_path / "canary")))
    assert (tmp_path / "canary").exists()


def calls(tree):
    """Names of the functions that a module calls, with where they are called."""
    for node in ast.walk(tree):
        for call in ast.walk(node) if isinstance(node, ast.FunctionDef) else ():
            if isinstance(call, ast.Call):
                yield ast.unparse(call.func), node.name, call


def test_one_function_opens_pickles_and_none_runs_text():
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

    assert opens == {("_sealed.py", "unpack")}
    assert loads == [{"allow_pickle": "False"}]


# ---------------------------------------------------------------------- skops


def types_on_the_page():
    """The types that docs/guide/ecosystem.md says to trust."""
    text = (ROOT / "docs" / "guide" / "ecosystem.md").read_text(encoding="utf-8")
    return re.findall(r'^\.\.\.     "(skae\.[\w.]+)",$', text, re.M)


@pytest.fixture
def load():
    """Load a skops file as the page says."""
    skops_io = pytest.importorskip("skops.io")
    return lambda file: skops_io.loads(file, trusted=types_on_the_page())


@pytest.fixture
def dump():
    return pytest.importorskip("skops.io").dumps


def test_the_types_on_the_page_are_those_that_our_files_hold(small, X, dump):
    import keras

    skops_io = pytest.importorskip("skops.io")
    found = set()
    for estimator in (
        small(optimizer=keras.optimizers.Adam(0.01)).fit(X),
        small(DenoisingAutoencoder).partial_fit(X),
        GaussianNoise().fit(X),
    ):
        found |= set(skops_io.get_untrusted_types(data=dump(estimator)))

    assert sorted(found) == sorted(types_on_the_page())


def with_state(estimator, monkeypatch, dump, **changed):
    """A skops file of an estimator of which some state was changed."""
    with monkeypatch.context() as patch:
        state = estimator.__getstate__() | changed
        patch.setattr(type(estimator), "__getstate__", lambda self: state)
        return dump(estimator)


def test_a_pickle_within_a_skops_file_is_never_opened(
    small, X, canary, monkeypatch, dump, load, tmp_path
):
    sealed = Sealed()
    vars(sealed)["packed"] = vars(sealed)["_content"] = pickle.dumps(Code(canary))
    estimator = small().fit(X)
    loaded = load(with_state(estimator, monkeypatch, dump, optimizer=sealed))

    assert loaded.optimizer is None
    pickle.loads(pickle.dumps(copy.deepcopy(clone(loaded))))


def test_a_pickle_within_is_refused_even_where_it_is_trusted(canary, monkeypatch, dump, load):
    skops_io = pytest.importorskip("skops.io")
    with monkeypatch.context() as patch:
        patch.setattr(Packed, "__getstate__", lambda packed: {"_content": packed._content})
        file = dump(DeepAutoencoder(loss=Packed(pickle.dumps(Code(canary)))))
    with pytest.raises(Exception, match=r"Untrusted types.*skae\._sealed\.Packed"):
        load(file)
    with pytest.raises(TypeError, match="must not hold a pickle"):
        skops_io.loads(file, trusted=[*types_on_the_page(), "skae._sealed.Packed"])


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
def test_keras_makes_nothing_of_a_skops_file_but_parameters(
    config, canary, monkeypatch, dump, load
):
    sealed = Sealed(config=json.dumps(config(str(canary))))
    file = with_state(DeepAutoencoder(), monkeypatch, dump, metrics=sealed)
    with pytest.raises(ValueError, match=r"among the parameters may be|is no class of keras"):
        load(file)


@pytest.mark.parametrize("config", HOSTILE.values(), ids=HOSTILE)
def test_an_activation_in_a_skops_file_is_a_name(config, small, X, canary, dump, load):
    """Where there is another thing in its place, Keras knows no such activation."""
    estimator = small().fit(X)
    estimator._network.activations = [config(str(canary))] * 4
    loaded = load(dump(estimator))
    with pytest.raises((TypeError, ValueError)):
        loaded.transform(X)


def test_a_function_that_is_not_trusted_is_not_found_out_by_calling_it(
    canary, monkeypatch, dump, load
):
    file = with_state(DeepAutoencoder(), monkeypatch, dump, loss=os.system)
    with pytest.raises(Exception, match=r"Untrusted types.*\.system"):
        load(file)


# ---------------------------------------------------------------------- checkpoints


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.ckpt"


def write(path, body):
    """Write a checkpoint with the right checksum, as anyone can."""
    path.write_bytes(FORMAT + _digest(body) + b"\n" + body)


def members(path):
    with zipfile.ZipFile(io.BytesIO(path.read_bytes()[HEAD_BYTES:])) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(path, content, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    write(path, buffer.getvalue())


def npy(array, shape=None):
    """The bytes of an array, of which the head may tell another shape."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    data = buffer.getvalue()
    return data if shape is None else data.replace(repr(array.shape).encode(), repr(shape).encode())


def texts(path):
    return json.loads(np.load(io.BytesIO(members(path)["json.npy"])).tobytes())


def with_text(content, text):
    return {**content, "json.npy": npy(np.frombuffer(json.dumps(text).encode(), np.uint8))}


BAD_MEMBERS = {
    "objects": lambda canary: npy(np.array([Code(canary)], object)),
    "a pickle": lambda canary: pickle.dumps(Code(canary)),
    "text": lambda canary: b"import os",
    "nothing": lambda canary: b"",
    "shape without end": lambda canary: npy(np.zeros((2, 3), np.float32), shape=(10**9, 10**9)),
    "shape beyond the file": lambda canary: npy(np.zeros((2, 3), np.float32), shape=(1000, 1000)),
    "negative shape": lambda canary: npy(np.zeros((2, 3), np.float32), shape=(-2, 3)),
    "head without end": lambda canary: b"\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr'",
    "code in the head": lambda canary: npy(np.zeros(3)).replace(b"False", b"x(1) "),
}


@pytest.mark.parametrize("member", BAD_MEMBERS.values(), ids=BAD_MEMBERS)
def test_a_hostile_array_in_a_checkpoint_is_damage(member, canary, small, X, path):
    small(checkpoint=path).fit(X)
    write_members(path, members(path) | {"weights.0.npy": member(canary)})
    estimator = small(checkpoint=path)
    with pytest.raises(ValueError, match=r"checkpoint=.* is damaged"):
        estimator.fit(X)

    assert not hasattr(estimator, "history_")


def test_a_bomb_is_not_unpacked(small, X, path):
    small(checkpoint=path).fit(X)
    content = members(path) | {"weights.99.npy": npy(np.zeros(2**26, np.uint8))}
    write_members(path, content, zipfile.ZIP_DEFLATED)
    del content
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"is damaged: it unpacks to 67,\d{3},\d{3} bytes"):
            Checkpoint.open(path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["../outside.npy", "/tmp/outside.npy", "weights.9/../../o.npy"])
def test_names_in_a_checkpoint_are_no_paths(name, small, X, path, tmp_path):
    small(checkpoint=path, epochs=1).fit(X)
    write_members(path, {**members(path), name: npy(np.zeros(3))})
    before = files(tmp_path.parent)
    Checkpoint.open(path)

    assert files(tmp_path.parent) == before


@pytest.mark.parametrize("group", ["weights", "optimizer_state", "best_weights"])
@pytest.mark.parametrize("wrong", [np.zeros((2, 3), np.float32), np.zeros((64, 16), np.int64)])
def test_arrays_of_another_network_are_damage(group, wrong, small, X, path):
    params = {"checkpoint": path, "early_stopping": True, "optimizer": "adam"}
    small(**params).fit(X)
    content = members(path)
    assert f"{group}.1.npy" in content
    write_members(path, content | {f"{group}.1.npy": npy(wrong)})
    estimator = small(**params)
    with pytest.raises(ValueError, match="is damaged: its arrays are not those of this network"):
        estimator.fit(X)

    assert not hasattr(estimator, "history_")


BAD_TEXTS = {
    "no object": lambda text: 3,
    "nested": lambda text: [],
    "without identity": lambda text: {"saved": text["saved"]},
    "identity is text": lambda text: text | {"identity": "x"},
    "seed is text": lambda text: text | {"identity": text["identity"] | {"random_state": "0"}},
    "unknown name": lambda text: text | {"saved": text["saved"] | {"run": "rm"}},
    "history is text": lambda text: text | {"saved": text["saved"] | {"history": "loss"}},
    "history of text": lambda text: text | {"saved": text["saved"] | {"history": [{"loss": "x"}]}},
    "factor is text": lambda text: text | {"saved": text["saved"] | {"rate_factor": "x"}},
    "stopped is a number": lambda text: text | {"saved": text["saved"] | {"stopped": 3}},
    "callbacks are text": lambda text: text | {"saved": text["saved"] | {"callbacks": "x"}},
}


@pytest.mark.parametrize("change", BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_text_that_no_fit_has_written_is_damage(change, small, X, path):
    small(checkpoint=path, epochs=1).fit(X)
    write_members(path, with_text(members(path), change(texts(path))))
    with pytest.raises(ValueError, match=r"checkpoint=.* is damaged"):
        Checkpoint.open(path)


def test_text_nested_without_end_is_damage(small, X, path):
    small(checkpoint=path, epochs=1).fit(X)
    deep = np.frombuffer(b"[" * 100_000, np.uint8)
    write_members(path, members(path) | {"json.npy": npy(deep)})
    with pytest.raises(ValueError, match=r"checkpoint=.* is damaged"):
        Checkpoint.open(path)


CHANGES = {
    "ModelCheckpoint": {"filepath": "EVIL"},
    "CSVLogger": {"filename": "EVIL"},
    "TensorBoard": {"_log_write_dir": "EVIL"},
    "EarlyStopping": {"on_epoch_end": {"op": "less"}},
    "ReduceLROnPlateau": {"model": None},
    "TerminateOnNaN": {"__class__": "EVIL"},
}


@pytest.mark.parametrize(("kind", "change"), CHANGES.items(), ids=CHANGES)
def test_a_checkpoint_turns_no_callback_to_another_file(
    kind, change, small, X, path, tmp_path, monkeypatch
):
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
    estimator = small(checkpoint=path, epochs=2, callbacks=[callback])
    write_file, written = Checkpoint.write, []

    def keep(checkpoint, saved):
        write_file(checkpoint, saved)
        written.append(path.read_bytes())

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "write", keep)
        estimator.fit(X)
    path.write_bytes(written[0])
    text = texts(path)
    evil = json.loads(json.dumps(change).replace("EVIL", str(tmp_path / "evil")))
    text["saved"]["callbacks"][0].update(evil)
    write_members(path, with_text(members(path), text))
    with pytest.raises(ValueError, match=f"is damaged: it would change '{next(iter(change))}'"):
        clone(estimator).fit(X)

    assert not (tmp_path / "evil").exists()


def test_a_callback_that_changes_its_text_is_told_that_a_checkpoint_does_not_keep_it(
    small, X, path
):
    import keras

    class Phase(keras.callbacks.Callback):
        phase = None

        def __init__(self):
            super().__init__()
            self.phase = "first"

        def on_epoch_end(self, epoch, logs=None):
            self.phase = "second"

    small(callbacks=[Phase()]).fit(X)
    with pytest.raises(ValueError, match="Phase has changed its text 'phase'"):
        small(callbacks=[Phase()], checkpoint=path).fit(X)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_a_link_in_the_place_of_a_checkpoint_leads_nowhere(small, X, path, tmp_path):
    for name in ("run.ckpt.tmp", "run.ckpt"):
        target = tmp_path / "thesis"
        target.write_text("mine")
        path.unlink(missing_ok=True)
        (tmp_path / name).symlink_to(target)
        if name == "run.ckpt":
            with pytest.raises(ValueError, match="is no checkpoint of skae"):
                small(checkpoint=path, epochs=1).fit(X)
        else:
            small(checkpoint=path, epochs=1).fit(X)
            assert os.listdir(tmp_path) == ["thesis", "run.ckpt"] or not path.is_symlink()
        assert target.read_text() == "mine"


def damaged(whole, rng):
    """Change some bytes of a file, or cut it, or double a part of it."""
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


def text_of(body, rng):
    """Change the text of an archive where that is in one piece, so that its checksum is right."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(content))
    content[name] = damaged(content[name], rng)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_damage_with_the_right_checksum_is_an_error_or_a_fit(small, X, path, long):
    """Of the file, and of the members of the archive in it."""
    whole = small(checkpoint=path, early_stopping=True).fit(X[:64])
    body = path.read_bytes()[HEAD_BYTES:]
    rng, n_fitted, n_cases = np.random.default_rng(0), 0, 20_000 if long else 300
    for case in range(n_cases):
        write(path, (damaged if case % 2 else text_of)(body, rng))
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
def no_network(monkeypatch, tmp_path):
    monkeypatch.delenv("SKAE_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr("skae.datasets._answers", lambda url, seconds: False)


def hostile_mnist(folder, canary, key="x_train"):
    folder.mkdir(parents=True)
    content = mnist_arrays() | {key: np.array([Code(canary)] * 4, object)}
    np.savez(folder / "mnist.npz", **content)
    return folder / "mnist.npz"


@pytest.mark.parametrize("key", ["x_train", "y_train"])
def test_a_data_file_with_a_pickle_inside_is_refused(
    key, canary, no_network, tmp_path, monkeypatch
):
    file = hostile_mnist(tmp_path / "data", canary, key)
    monkeypatch.setenv("SKAE_DATA", str(file))
    with pytest.raises(ValueError, match=r"SKAE_DATA must name .* not a complete"):
        load_mnist()


def test_a_hostile_copy_in_keras_home_is_not_used(canary, no_network, tmp_path):
    hostile_mnist(tmp_path / "keras" / "datasets", canary)

    assert len(load_mnist().X_train) == 6000


WITH_KERAS = """
import urllib.request
def fail(*args, **kwargs):
    raise OSError("no network")
urllib.request.urlretrieve = fail
import skae.datasets
skae.datasets._answers = lambda url, seconds: True
assert len(skae.datasets.load_mnist().X_train) == 6000
import sys
assert "keras" in sys.modules
"""


def run(program, folder, **environment):
    """Run a program in an empty folder; return the files that it leaves."""
    (folder / "here").mkdir()
    environment = {**os.environ, "HOME": str(folder), "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=folder / "here", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [str(path.relative_to(folder)) for path in files(folder)]


def test_keras_download_does_not_open_a_hostile_copy(canary, tmp_path):
    hostile_mnist(tmp_path / "keras home" / "datasets", canary)
    run(WITH_KERAS, tmp_path, KERAS_HOME=str(tmp_path / "keras home"), SKAE_DATA="")


FIT = """
import numpy as np, os, pytest
from skae import DeepAutoencoder
from skae.datasets import load_mnist
with pytest.raises((OSError, ValueError), match="SKAE_DATA must name"):
    load_mnist()
X = np.random.default_rng(0).uniform(size=(50, 4))
DeepAutoencoder(2, epochs=1, checkpoint="run.ckpt").fit(X).encoder_
"""


def test_environment_variables_are_text(canary, tmp_path):
    value = f"x; mkdir {canary}; $(mkdir {canary}) `mkdir {canary}` | mkdir {canary}"
    variables = dict.fromkeys(("SKAE_DATA", "OMP_NUM_THREADS", "TF_CPP_MIN_LOG_LEVEL"), value)
    left = run(FIT, tmp_path, KERAS_HOME=str(tmp_path / "keras"), **variables)

    left = [name for name in left if not name.startswith(".cache/matplotlib/")]
    assert left == ["here/run.ckpt", "keras/keras.json"]  # the last is Keras' own


def test_a_data_file_that_unpacks_to_more_than_mnist_is_not_unpacked(tmp_path):
    file = tmp_path / "mnist.npz"
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in mnist_arrays().items():
            archive.writestr(f"{name}.npy", npy(array))
        archive.filelist[0].file_size = 2**40  # as the archive's directory says it
    with pytest.raises(ValueError, match=r"it unpacks to 1,099,511,\d{3},\d{3} bytes"):
        load_mnist(file)


def test_damaged_data_files_are_an_error_or_images(tmp_path, long):
    file = tmp_path / "mnist.npz"
    np.savez_compressed(file, **mnist_arrays())
    whole = file.read_bytes()
    rng, n_loaded, n_cases = np.random.default_rng(0), 0, 50_000 if long else 1000
    for case in range(n_cases):
        file.write_bytes((damaged if case % 2 else text_of)(whole, rng))
        try:
            mnist = load_mnist(file)
        except ValueError:
            continue
        n_loaded += 1
        assert mnist.X_train.dtype == np.float32
        assert mnist.X_train.ndim == 2
        assert mnist.y_train.dtype == np.int64
    print(f"{n_cases} damaged data files: {n_loaded} loaded, the others refused")


def test_the_version_that_the_policy_supports_is_this_one():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")

    assert f"| {'.'.join(skae.__version__.split('.')[:2])}.x | yes |" in text
