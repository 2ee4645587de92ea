"""Keras callbacks act on a fit as on ``Model.fit``, and a checkpoint keeps their state."""

import copy
import csv
import pickle
import threading
import warnings

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

import skae
from skae import DenoisingAutoencoder
from skae._interop.callback_state import decode, encode
from skae._interop.keras_callbacks import KerasCallbacks
from skae._rows.batches.feeder import Feeder
from skae._rows.rows import Rows
from skae._training.checkpoint import Checkpoint
from skae._training.fit import train
from skae._training.plan import Plan
from skae._training.start import initial_weights
from tests.specs import make_spec

C = keras.callbacks
SEED, RATE, BATCH, EPOCHS = 1, 0.05, 32, 25
SPEC = make_spec(
    n_features=64, hidden_layer_sizes=(8,), n_components=3, optimizer="adam",
    metrics=("mean_absolute_error",), batch_size=BATCH,
)  # fmt: skip
NETWORK = SPEC.network


def fit_with_keras(X, X_val, callbacks):
    model = keras.Sequential(
        [keras.Input((64,))]
        + [keras.layers.Dense(layer.n_outputs, layer.activation) for layer in NETWORK.trained]
    )
    model.set_weights(initial_weights(NETWORK, SEED))
    model.compile(keras.optimizers.Adam(RATE), SPEC.objective.loss, metrics=[*SPEC.metrics])
    history = model.fit(
        X, X, batch_size=BATCH, epochs=EPOCHS, callbacks=callbacks, shuffle=False, verbose=0,
        validation_data=(X_val, X_val), validation_batch_size=BATCH,
    ).history  # fmt: skip
    return model.get_weights(), history


@pytest.fixture
def in_order(monkeypatch):
    """Let skae take the rows in their own order, as Keras does with shuffle=False."""

    def shuffled(feeder, orders, noises):
        return feeder.in_order(*noises)

    monkeypatch.setattr(Feeder, "shuffled", shuffled)


def fit_with_skae(X, X_val, callbacks):
    rows = [Rows(part, None, None, np.arange(len(part))) for part in (X, X_val)]
    plan = Plan(EPOCHS, "adam", RATE, "constant", SEED)
    watcher = KerasCallbacks(callbacks, SPEC)
    result = train(SPEC, rows[0], plan, validation=rows[1], watchers=[watcher])
    return result.weights, result.history


class Halve(C.Callback):
    """A user's own callback, which changes weights, rate and logs, and ends training."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 3:
            self.model.set_weights([weight / 2 for weight in self.model.get_weights()])

    def on_epoch_end(self, epoch, logs=None):
        self.model.optimizer.learning_rate = 0.9 * self.model.optimizer.learning_rate
        logs["width"] = float(self.model.trainable_variables[0].shape[1])
        if epoch == 5:
            self.model.stop_training = True


SAME_AS_KERAS = {
    "early stopping": lambda: [C.EarlyStopping(patience=2, min_delta=1e-4)],
    "best weights": lambda: [C.EarlyStopping(patience=2, restore_best_weights=True)],
    "plateau": lambda: [C.ReduceLROnPlateau(patience=1, factor=0.3, min_delta=1e-3)],
    "plateau, then stop": lambda: [
        C.ReduceLROnPlateau("val_mean_absolute_error", patience=1),
        C.EarlyStopping("val_mean_absolute_error", patience=4, restore_best_weights=True),
    ],
    "scheduler": lambda: [C.LearningRateScheduler(lambda epoch, rate: rate * (0.5, 1)[epoch % 2])],
    "lambda": lambda: [
        C.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(twice=2 * logs["loss"]))
    ],
    "own": lambda: [Halve()],
}


@pytest.mark.usefixtures("in_order")
@pytest.mark.parametrize("make", SAME_AS_KERAS.values(), ids=SAME_AS_KERAS)
def test_callbacks_match_model_fit(make, X):
    X = X.astype(np.float32)
    weights, history = fit_with_keras(X[:200], X[200:], make())
    ours, our_history = fit_with_skae(X[:200], X[200:], make())

    assert len(our_history["loss"]) == len(history["loss"])
    assert our_history.keys() >= history.keys()
    for name, values in history.items():
        assert_allclose(our_history[name], values, rtol=5e-3, err_msg=name)
    for a, b in zip(ours, weights, strict=True):
        assert_allclose(a, b, rtol=0.05, atol=5e-3)


@pytest.mark.usefixtures("in_order")
@pytest.mark.parametrize("make", SAME_AS_KERAS.values(), ids=SAME_AS_KERAS)
def test_tested_callbacks_have_an_effect(make, X):
    """Without these callbacks, the results of the test above would be different."""
    X = X.astype(np.float32)
    ours, history = fit_with_skae(X[:200], X[200:], make())
    plain, plain_history = fit_with_skae(X[:200], X[200:], [])

    same = all(map(np.array_equal, ours, plain)) and history == plain_history
    assert not same


def test_passive_callbacks_change_no_bit(make_autoencoder, X, tmp_path):
    callbacks = [
        C.CSVLogger(tmp_path / "log.csv"), C.ModelCheckpoint(tmp_path / "{epoch}.keras"),
        C.TerminateOnNaN(), C.History(), C.EarlyStopping("loss", patience=99),
    ]  # fmt: skip
    estimator = make_autoencoder(callbacks=callbacks).fit(X)

    assert_array_equal(estimator.transform(X), make_autoencoder().fit(X).transform(X))
    assert estimator.history_ == make_autoencoder().fit(X).history_


PASSIVE = {
    "EarlyStopping": lambda folder: C.EarlyStopping("loss", restore_best_weights=True),
    "ReduceLROnPlateau": lambda folder: C.ReduceLROnPlateau("loss", patience=1, min_delta=10.0),
    "LearningRateScheduler": lambda folder: C.LearningRateScheduler(lambda epoch, rate: rate / 2),
    "CSVLogger": lambda folder: C.CSVLogger(folder / "log.csv"),
    "ModelCheckpoint": lambda folder: C.ModelCheckpoint(folder / "model.keras"),
    "weights": lambda folder: C.ModelCheckpoint(folder / "m.weights.h5", save_weights_only=True),
    "TensorBoard": lambda folder: C.TensorBoard(folder, histogram_freq=1),
    "LambdaCallback": lambda folder: C.LambdaCallback(on_epoch_end=lambda epoch, logs: None),
    "TerminateOnNaN": lambda folder: C.TerminateOnNaN(),
}


@pytest.mark.parametrize("make", PASSIVE.values(), ids=PASSIVE)
def test_callbacks_work_under_error_filters(make, make_autoencoder, X, tmp_path):
    """``python -W error`` changes nothing, and the filters stay as they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        before = list(warnings.filters)
        estimator = make_autoencoder(callbacks=make(tmp_path), metrics=["mae"]).fit(X, X_val=X[:40])
        assert warnings.filters == before
    plain = make_autoencoder(callbacks=make(tmp_path), metrics=["mae"]).fit(X, X_val=X[:40])

    assert_array_equal(estimator.transform(X), plain.transform(X))


def test_csv_logger_writes_the_history(make_autoencoder, X, tmp_path):
    estimator = make_autoencoder(callbacks=C.CSVLogger(tmp_path / "log.csv")).fit(X, X_val=X[:50])

    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2]
    for name, values in estimator.history_.items():
        assert [float(row[name]) for row in rows] == values


@pytest.mark.filterwarnings("ignore:Skipping variable loading")  # of the optimizer
def test_model_checkpoint_saves_the_model(make_autoencoder, X, tmp_path):
    callbacks = [
        C.ModelCheckpoint(tmp_path / "last.keras"),
        C.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True),
    ]
    estimator = make_autoencoder(callbacks=callbacks).fit(X)
    model = keras.saving.load_model(tmp_path / "last.keras")

    assert_allclose(model.predict(X, verbose=0), estimator.reconstruct(X), atol=1e-5)
    assert sorted(path.name for path in tmp_path.glob("*.h5")) == [
        f"{epoch}.weights.h5" for epoch in (1, 2, 3)
    ]
    model.load_weights(tmp_path / "1.weights.h5")
    assert not np.allclose(model.predict(X, verbose=0), estimator.reconstruct(X), atol=1e-3)


def test_tensorboard_writes_each_epoch(make_autoencoder, X, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    estimator = make_autoencoder(callbacks=[C.TensorBoard(tmp_path, histogram_freq=1)]).fit(
        X, X_val=X[:50]
    )
    for part, name, ours in (
        ("train", "epoch_loss", "loss"),
        ("validation", "epoch_loss", "val_loss"),
    ):
        events = EventAccumulator(str(tmp_path / part)).Reload()
        values = [event.tensor_proto for event in events.Tensors(name)]
        written = [np.frombuffer(value.tensor_content or b"", "f") for value in values]
        written = [w[0] if len(w) else v.float_val[0] for w, v in zip(written, values, strict=True)]
        assert_allclose(written, estimator.history_[ours], rtol=1e-6)


def test_diverging_fit_raises_an_error(make_autoencoder, X):
    estimator = make_autoencoder(
        output_activation="linear", loss="mean_squared_error", learning_rate=1e30,
        optimizer="sgd", callbacks=C.TerminateOnNaN(),
    )  # fmt: skip
    with pytest.raises(ValueError, match="Training diverged"):
        estimator.fit(X)


def test_changed_rate_scales_the_schedule(make_autoencoder, X):
    class Quarter(C.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                self.model.optimizer.learning_rate.assign(logs["learning_rate"] / 4)

    for schedule in (
        "one_cycle",
        "cosine",
        keras.optimizers.schedules.ExponentialDecay(0.1, 9, 0.5),
    ):
        params = {"epochs": 5, "learning_rate_schedule": schedule}
        rates = make_autoencoder(**params, callbacks=[Quarter()]).fit(X).history_["learning_rate"]
        plain = make_autoencoder(**params).fit(X).history_["learning_rate"]
        assert_allclose(rates[:2], plain[:2])
        assert_allclose(rates[2:], np.array(plain[2:]) / 4, rtol=1e-6)


def test_hooks_have_the_order_of_keras(make_autoencoder, X):
    told = []

    class Tell(C.Callback):
        pass

    for hook in (
        "on_train_begin", "on_epoch_begin", "on_test_begin", "on_test_end", "on_epoch_end",
        "on_train_end",
    ):  # fmt: skip
        setattr(Tell, hook, lambda self, *args, hook=hook: told.append((hook, *args[:-1])))
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64)])
    model.compile("sgd", "mse")
    model.fit(X, X, epochs=2, validation_data=(X, X), callbacks=[Tell()], verbose=0)
    expected = told.copy()
    told.clear()
    make_autoencoder(epochs=2, callbacks=[Tell()]).fit(X, X_val=X)

    assert told == expected


def test_partial_fit_counts_epochs(make_autoencoder, X):
    epochs = []
    callback = C.LambdaCallback(on_epoch_begin=lambda epoch, logs: epochs.append(epoch))
    make_autoencoder(callbacks=[callback]).partial_fit(X).partial_fit(X).partial_fit(X)

    assert epochs == [0, 1, 2]


def test_partial_fit_uses_changed_weights(make_autoencoder, X):
    class Zero(C.Callback):
        def on_train_end(self, logs=None):
            self.model.set_weights([0 * weight for weight in self.model.get_weights()])

    estimator = make_autoencoder(callbacks=[Zero()]).partial_fit(X)
    assert not estimator.transform(X).any()
    estimator.set_params(callbacks=None, learning_rate=1e-12).partial_fit(X)
    assert_allclose(estimator.transform(X), 0, atol=1e-8)


# ---------------------------------------------------------------------- the user's callbacks


def test_callbacks_can_be_used_again(make_autoencoder, X, tmp_path):
    params = {"epochs": 30, "learning_rate": 0.1, "learning_rate_schedule": "constant"}
    callbacks = [
        C.EarlyStopping(patience=1, restore_best_weights=True), C.ReduceLROnPlateau(patience=1),
        C.ModelCheckpoint(tmp_path / "best.keras", save_best_only=True),
    ]  # fmt: skip
    before = [vars(callback).copy() for callback in callbacks]
    estimator = make_autoencoder(**params, callbacks=callbacks).fit(X[:200], X_val=X[200:])
    first = estimator.history_
    assert len(first["loss"]) < 30

    assert estimator.fit(X[:200], X_val=X[200:]).history_ == first
    assert [vars(callback) for callback in callbacks] == before
    assert estimator.callbacks_[0].stopped_epoch == len(first["loss"]) - 1
    assert estimator.callbacks_[0].model is None


def test_callbacks_are_cloned_and_pickled(make_autoencoder, X, tmp_path):
    callbacks = [C.CSVLogger(tmp_path / "log.csv"), C.EarlyStopping("loss", patience=7)]
    estimator = make_autoencoder(callbacks=callbacks).fit(X)

    for other in (
        clone(estimator), copy.deepcopy(estimator), pickle.loads(pickle.dumps(estimator)),
    ):  # fmt: skip
        assert other.callbacks[1] is not callbacks[1]
        assert other.callbacks[1].patience == 7
        assert_array_equal(other.fit(X).transform(X), estimator.transform(X))


def test_objects_of_callbacks_are_shared(make_autoencoder, X):
    """If a callback refers to a list, the fit appends to the user's own list."""

    class Collect(C.Callback):
        def __init__(self, losses):
            super().__init__()
            self.losses = losses
            self.lock = threading.Lock()  # cannot be copied deeply

        def on_epoch_end(self, epoch, logs=None):
            self.losses.append(logs["loss"])

    losses = []
    estimator = make_autoencoder(callbacks=[Collect(losses)]).fit(X)

    assert losses == estimator.history_["loss"]


def test_search_clones_callbacks(make_autoencoder, X):
    stopping = C.EarlyStopping("loss", min_delta=10, patience=1)
    search = GridSearchCV(
        make_autoencoder(epochs=9, callbacks=[stopping]), {"n_components": [2, 3]}, cv=2
    ).fit(X)

    assert search.best_estimator_.n_iter_ == 2
    assert search.best_estimator_.callbacks[0] is not stopping


def test_callbacks_cannot_change_the_program(make_autoencoder, X):
    """Changes of the model affect no later fit that uses the same compiled program."""

    class Vandal(C.Callback):
        def on_train_end(self, logs=None):
            self.model.get_layer("code").activation = keras.activations.relu
            self.model.compile("sgd", "mae")

    skae.clear_programs()
    expected = make_autoencoder().fit(X).transform(X)
    make_autoencoder(callbacks=[Vandal()]).fit(X)

    assert_array_equal(make_autoencoder().fit(X).transform(X), expected)


def test_failing_callback_changes_nothing(make_autoencoder, X):
    class Fails(C.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise RuntimeError("no space left")

    estimator = make_autoencoder().fit(X)
    codes = estimator.transform(X)
    with pytest.raises(RuntimeError, match="no space left") as caught:
        estimator.set_params(callbacks=[Fails()], random_state=1).fit(X)

    assert caught.value.__notes__ == ["Raised by the callback Fails (on_epoch_end, epoch 1)."]
    assert_array_equal(estimator.transform(X), codes)
    assert not hasattr(estimator, "callbacks_")


# ---------------------------------------------------------------------- refusals


class NeedsBatches(C.Callback):
    def on_train_batch_end(self, batch, logs=None):
        """Overridden."""


class OldName(C.Callback):
    def on_batch_begin(self, batch, logs=None):
        """Overridden."""


class OwnNaN(C.TerminateOnNaN):
    def on_batch_end(self, batch, logs=None):
        """Overridden again."""


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            NeedsBatches,
            ValueError,
            r"NeedsBatches needs batches \(on_train_batch_end\).*Move its work",
        ),
        (OldName, ValueError, r"OldName needs batches \(on_batch_begin\)"),
        (OwnNaN, ValueError, r"OwnNaN needs batches \(on_batch_end\)"),
        (lambda: C.LambdaCallback(on_train_batch_end=print), ValueError, "LambdaCallback needs"),
        (lambda: C.ModelCheckpoint("a.keras", save_freq=5), ValueError, "Set save_freq='epoch'"),
        (lambda: C.TensorBoard(update_freq=3), ValueError, "Set update_freq='epoch' and profile_"),
        (lambda: C.TensorBoard(profile_batch=2), ValueError, "TensorBoard needs batches"),
        (lambda: C.BackupAndRestore("folder"), ValueError, "set checkpoint= to a path instead"),
        (C.ProgbarLogger, ValueError, "set verbose=1 instead"),
        (lambda: C.EarlyStopping, TypeError, "callbacks must be a Keras callback or a list"),
        (lambda: "early", TypeError, "callbacks must be a Keras callback or a list of them"),
    ],
)
def test_unusable_callbacks_are_refused(make, error, message, make_autoencoder, X):
    with pytest.raises(error, match=message):
        make_autoencoder(callbacks=[C.History(), make()]).fit(X)


# ---------------------------------------------------------------------- checkpoints


class Counts(C.Callback):
    """Halves the weights after every third epoch, and counts epochs across interruptions."""

    def __init__(self):
        super().__init__()
        self.seen, self.kept = 0, {}

    def on_epoch_end(self, epoch, logs=None):
        self.seen += 1
        self.kept[epoch] = np.array([logs["loss"]])
        if self.seen % 3 == 0:
            self.model.set_weights([weight / 2 for weight in self.model.get_weights()])


@pytest.mark.parametrize("kind", ["early stopping", "plateau", "own"])
def test_resumed_fit_restores_callbacks(kind, make_autoencoder, X, tmp_path, monkeypatch):
    make = {
        "early stopping": lambda: C.EarlyStopping(patience=3, restore_best_weights=True),
        "plateau": lambda: C.ReduceLROnPlateau(patience=2, min_delta=1e-3, cooldown=1),
        "own": Counts,
    }[kind]
    params = {"epochs": 20, "learning_rate": 0.1, "learning_rate_schedule": "constant"}
    path = tmp_path / "run.ckpt"
    write, written = Checkpoint.write, []

    def keep(checkpoint, saved):
        write(checkpoint, saved)
        written.append(path.read_bytes())

    monkeypatch.setattr(Checkpoint, "write", keep)
    whole = make_autoencoder(DenoisingAutoencoder, **params, callbacks=[make()], checkpoint=path)
    whole.fit(X[:200], X_val=X[200:])
    for content in [written[0], written[len(written) // 2], written[-2], written[-1]]:
        path.write_bytes(content)
        resumed = make_autoencoder(
            DenoisingAutoencoder, **params, callbacks=[make()], checkpoint=path
        )
        resumed.fit(X[:200], X_val=X[200:])

        assert resumed.history_ == whole.history_
        assert_array_equal(resumed.transform(X), whole.transform(X))


def test_changed_callbacks_are_refused(make_autoencoder, X, tmp_path):
    path = tmp_path / "run.ckpt"
    make_autoencoder(callbacks=[C.EarlyStopping(patience=3)], checkpoint=path).fit(X, X_val=X)
    with pytest.raises(ValueError, match="belongs to another fit: callbacks is"):
        make_autoencoder(callbacks=[C.EarlyStopping(patience=4)], checkpoint=path).fit(X, X_val=X)


def test_callback_state_is_encoded():
    """Numbers, text, functions of Keras and arrays survive; other objects are refused."""
    value = {
        1: [None, True, 2.5, "text"], "less": keras.ops.less, "kept": np.arange(4.0)[::2],
        "seen": (np.float32(0.5), np.int64(3)),
    }  # fmt: skip
    arrays = []
    found = decode(encode(value, arrays), arrays)

    assert_array_equal(found.pop("kept"), value.pop("kept"))
    assert found == {**value, "seen": [0.5, 3]}
    for refused in (object(), np.array(["text"]), np.zeros(2, np.longdouble), {"a": print}):
        with pytest.raises(TypeError, match="cannot be stored in a checkpoint"):
            encode(refused, arrays)
