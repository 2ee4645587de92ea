"""Keras callbacks in the epoch loop: the same as in ``Model.fit``, and what skae adds."""

import copy
import csv
import pickle
import threading

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skae import DenoisingAutoencoder, _training
from skae._architecture import Architecture
from skae._batches import Feeder
from skae._cache import ProgramCache
from skae._callbacks import KerasCallbacks
from skae._checkpoint import Checkpoint
from skae._keras import initial_weights
from skae._records import Plan, Rows
from skae._training import train

C = keras.callbacks
SEED, RATE, BATCH, EPOCHS = 3, 0.05, 32, 25
ARCHITECTURE = Architecture(
    n_features=64, hidden_layer_sizes=(8,), n_components=3, activation="tanh",
    code_activation="linear", output_activation="linear", loss="mean_squared_error",
    optimizer="adam", metrics=("mean_absolute_error",), options=(), batch_size=BATCH,
)  # fmt: skip


def keras_fit(X, X_val, callbacks):
    sizes = ARCHITECTURE.layer_sizes[1:]
    model = keras.Sequential(
        [keras.Input((64,))]
        + [keras.layers.Dense(*pair) for pair in zip(sizes, ARCHITECTURE.activations, strict=True)]
    )
    model.set_weights(initial_weights(ARCHITECTURE, SEED))
    model.compile(keras.optimizers.Adam(RATE), ARCHITECTURE.loss, metrics=["mean_absolute_error"])
    history = model.fit(
        X, X, batch_size=BATCH, epochs=EPOCHS, callbacks=callbacks, shuffle=False, verbose=0,
        validation_data=(X_val, X_val), validation_batch_size=BATCH,
    ).history  # fmt: skip
    return model.get_weights(), history


@pytest.fixture
def in_order(monkeypatch):
    """Have skae take the rows in the order in which they lie, as Keras does by shuffle=False."""
    monkeypatch.setattr(Feeder, "shuffled", Feeder.in_order)


def skae_fit(X, X_val, callbacks):
    rows = [Rows(part, None, None, np.arange(len(part))) for part in (X, X_val)]
    plan = Plan(EPOCHS, "adam", RATE, "constant", SEED)
    result = train(
        ARCHITECTURE, rows[0], plan, validation=rows[1],
        callbacks=KerasCallbacks(callbacks, ARCHITECTURE),
    )  # fmt: skip
    return result.weights, result.history


class Halve(C.Callback):
    """A user's own: acts on weights, rate and logs, and ends training."""

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
def test_a_callback_does_what_it_does_in_model_fit(make, X):
    X = X.astype(np.float32)
    weights, history = keras_fit(X[:200], X[200:], make())
    ours, our_history = skae_fit(X[:200], X[200:], make())

    assert len(our_history["loss"]) == len(history["loss"])
    assert our_history.keys() >= history.keys()
    for name, values in history.items():
        assert_allclose(our_history[name], values, rtol=5e-3, err_msg=name)
    for a, b in zip(ours, weights, strict=True):
        assert_allclose(a, b, rtol=0.05, atol=5e-3)


@pytest.mark.usefixtures("in_order")
@pytest.mark.parametrize("make", SAME_AS_KERAS.values(), ids=SAME_AS_KERAS)
def test_these_callbacks_have_an_effect(make, X):
    """What the test above compares would be the same without them."""
    X = X.astype(np.float32)
    ours, history = skae_fit(X[:200], X[200:], make())
    plain, plain_history = skae_fit(X[:200], X[200:], [])

    same = all(map(np.array_equal, ours, plain)) and history == plain_history
    assert not same


def test_callbacks_that_only_look_change_no_bit(small, X, tmp_path):
    callbacks = [
        C.CSVLogger(tmp_path / "log.csv"), C.ModelCheckpoint(tmp_path / "{epoch}.keras"),
        C.TerminateOnNaN(), C.History(), C.EarlyStopping("loss", patience=99),
    ]  # fmt: skip
    estimator = small(callbacks=callbacks).fit(X)

    assert_array_equal(estimator.transform(X), small().fit(X).transform(X))
    assert estimator.history_ == small().fit(X).history_


def test_csv_logger_writes_the_history(small, X, tmp_path):
    estimator = small(callbacks=C.CSVLogger(tmp_path / "log.csv")).fit(X, X_val=X[:50])

    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2]
    for name, values in estimator.history_.items():
        assert [float(row[name]) for row in rows] == values


def test_model_checkpoint_saves_a_model_that_predicts_the_same(small, X, tmp_path):
    callbacks = [
        C.ModelCheckpoint(tmp_path / "last.keras"),
        C.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True),
    ]
    estimator = small(callbacks=callbacks).fit(X)
    model = keras.saving.load_model(tmp_path / "last.keras")

    assert_allclose(model.predict(X, verbose=0), estimator.reconstruct(X), atol=1e-5)
    assert sorted(path.name for path in tmp_path.glob("*.h5")) == [
        f"{epoch}.weights.h5" for epoch in (1, 2, 3)
    ]
    model.load_weights(tmp_path / "1.weights.h5")
    assert not np.allclose(model.predict(X, verbose=0), estimator.reconstruct(X), atol=1e-3)


def test_tensorboard_writes_each_epoch(small, X, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    estimator = small(callbacks=[C.TensorBoard(tmp_path, histogram_freq=1)]).fit(X, X_val=X[:50])
    for part, name, ours in (
        ("train", "epoch_loss", "loss"),
        ("validation", "epoch_loss", "val_loss"),
    ):
        events = EventAccumulator(str(tmp_path / part)).Reload()
        values = [event.tensor_proto for event in events.Tensors(name)]
        written = [np.frombuffer(value.tensor_content or b"", "f") for value in values]
        written = [w[0] if len(w) else v.float_val[0] for w, v in zip(written, values, strict=True)]
        assert_allclose(written, estimator.history_[ours], rtol=1e-6)


def test_training_that_diverges_ends_with_skaes_error(small, X):
    estimator = small(
        output_activation="linear", loss="mean_squared_error", learning_rate=1e30,
        optimizer="sgd", callbacks=C.TerminateOnNaN(),
    )  # fmt: skip
    with pytest.raises(ValueError, match="Training diverged"):
        estimator.fit(X)


def test_a_changed_rate_scales_what_is_left_of_the_schedule(small, X):
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
        rates = small(**params, callbacks=[Quarter()]).fit(X).history_["learning_rate"]
        plain = small(**params).fit(X).history_["learning_rate"]
        assert_allclose(rates[:2], plain[:2])
        assert_allclose(rates[2:], np.array(plain[2:]) / 4, rtol=1e-6)


def test_hooks_come_in_the_order_of_keras(small, X):
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
    small(epochs=2, callbacks=[Tell()]).fit(X, X_val=X)

    assert told == expected


def test_partial_fit_goes_on_counting_epochs(small, X):
    epochs = []
    callback = C.LambdaCallback(on_epoch_begin=lambda epoch, logs: epochs.append(epoch))
    small(callbacks=[callback]).partial_fit(X).partial_fit(X).partial_fit(X)

    assert epochs == [0, 1, 2]


def test_partial_fit_goes_on_from_the_weights_that_a_callback_set(small, X):
    class Zero(C.Callback):
        def on_train_end(self, logs=None):
            self.model.set_weights([0 * weight for weight in self.model.get_weights()])

    estimator = small(callbacks=[Zero()]).partial_fit(X)
    assert not estimator.transform(X).any()
    estimator.set_params(callbacks=None, learning_rate=1e-12).partial_fit(X)
    assert_allclose(estimator.transform(X), 0, atol=1e-8)


# ---------------------------------------------------------------------- whose state it is


def test_a_second_fit_is_like_the_first(small, X, tmp_path):
    params = {"epochs": 30, "learning_rate": 0.1, "learning_rate_schedule": "constant"}
    callbacks = [
        C.EarlyStopping(patience=1, restore_best_weights=True), C.ReduceLROnPlateau(patience=1),
        C.ModelCheckpoint(tmp_path / "best.keras", save_best_only=True),
    ]  # fmt: skip
    before = [vars(callback).copy() for callback in callbacks]
    estimator = small(**params, callbacks=callbacks).fit(X[:200], X_val=X[200:])
    first = estimator.history_
    assert len(first["loss"]) < 30

    assert estimator.fit(X[:200], X_val=X[200:]).history_ == first
    assert [vars(callback) for callback in callbacks] == before
    assert estimator.callbacks_[0].stopped_epoch == len(first["loss"]) - 1
    assert estimator.callbacks_[0].model is None


def test_fitted_estimators_with_callbacks_are_cloned_copied_and_pickled(small, X, tmp_path):
    callbacks = [C.CSVLogger(tmp_path / "log.csv"), C.EarlyStopping("loss", patience=7)]
    estimator = small(callbacks=callbacks).fit(X)

    for other in (
        clone(estimator), copy.deepcopy(estimator), pickle.loads(pickle.dumps(estimator)),
    ):  # fmt: skip
        assert other.callbacks[1] is not callbacks[1]
        assert other.callbacks[1].patience == 7
        assert_array_equal(other.fit(X).transform(X), estimator.transform(X))


def test_what_a_callback_refers_to_stays_the_users(small, X):
    class Collect(C.Callback):
        def __init__(self, losses):
            super().__init__()
            self.losses = losses
            self.lock = threading.Lock()  # cannot be copied deeply

        def on_epoch_end(self, epoch, logs=None):
            self.losses.append(logs["loss"])

    losses = []
    estimator = small(callbacks=[Collect(losses)]).fit(X)

    assert losses == estimator.history_["loss"]


def test_a_search_clones_callbacks(small, X):
    stopping = C.EarlyStopping("loss", min_delta=10, patience=1)
    search = GridSearchCV(
        small(epochs=9, callbacks=[stopping]), {"n_components": [2, 3]}, cv=2
    ).fit(X)

    assert search.best_estimator_.n_iter_ == 2
    assert search.best_estimator_.callbacks[0] is not stopping


def test_the_compiled_program_is_out_of_a_callbacks_reach(small, X, monkeypatch):
    class Vandal(C.Callback):
        def on_train_end(self, logs=None):
            self.model.get_layer("code").activation = keras.activations.relu
            self.model.compile("sgd", "mae")

    monkeypatch.setattr(_training, "programs", ProgramCache())
    expected = small().fit(X).transform(X)
    small(callbacks=[Vandal()]).fit(X)

    assert_array_equal(small().fit(X).transform(X), expected)


def test_a_callback_that_fails_leaves_the_estimator_as_it_was(small, X):
    class Fails(C.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise RuntimeError("no space left")

    estimator = small().fit(X)
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
        """Overridden once more."""


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (NeedsBatches, ValueError, r"NeedsBatches needs batches \(on_train_batch_end\).*Move what"),
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
def test_what_cannot_work_is_refused_by_name(make, error, message, small, X):
    with pytest.raises(error, match=message):
        small(callbacks=[C.History(), make()]).fit(X)


# ---------------------------------------------------------------------- with a checkpoint


class Counts(C.Callback):
    """Halves the weights each time it has seen three epochs, however often it was resumed."""

    def __init__(self):
        super().__init__()
        self.seen, self.kept = 0, {}

    def on_epoch_end(self, epoch, logs=None):
        self.seen += 1
        self.kept[epoch] = np.array([logs["loss"]])
        if self.seen % 3 == 0:
            self.model.set_weights([weight / 2 for weight in self.model.get_weights()])


@pytest.mark.parametrize("kind", ["early stopping", "plateau", "own"])
def test_a_resumed_fit_goes_on_with_what_its_callbacks_knew(kind, small, X, tmp_path, monkeypatch):
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
    whole = small(DenoisingAutoencoder, **params, callbacks=[make()], checkpoint=path)
    whole.fit(X[:200], X_val=X[200:])
    for content in [written[0], written[len(written) // 2], written[-2], written[-1]]:
        path.write_bytes(content)
        resumed = small(DenoisingAutoencoder, **params, callbacks=[make()], checkpoint=path)
        resumed.fit(X[:200], X_val=X[200:])

        assert resumed.history_ == whole.history_
        assert_array_equal(resumed.transform(X), whole.transform(X))


def test_a_checkpoint_of_other_callbacks_is_refused(small, X, tmp_path):
    path = tmp_path / "run.ckpt"
    small(callbacks=[C.EarlyStopping(patience=3)], checkpoint=path).fit(X, X_val=X)
    with pytest.raises(ValueError, match="is of another fit: callbacks is"):
        small(callbacks=[C.EarlyStopping(patience=4)], checkpoint=path).fit(X, X_val=X)
