"""The state of an estimator in pickles and skops files.

A file holds arrays, plain Python values and public classes, so that it does not depend on the
place of any private class.  A Keras object becomes its configuration in JSON, under ``_keras``.
All other objects of the user, such as a function, stay visible to skops, which asks whether to
trust them.  In a pickle each of them is a pickle of its own, under ``_pickled``: the estimator
loads and transforms even if one of them cannot be opened.
"""

import inspect
import pickle
import sys
from collections.abc import Mapping
from typing import Any, Self
from weakref import WeakValueDictionary

import joblib

from skae._interop.copies import by_config
from skae._interop.keras_models import eager_fallback
from skae._network.inference import Network
from skae._network.layers import Layer
from skae._network.spec import LAYERS, NetworkSpec
from skae._training.plan import State
from skae._version import stamp, upgrade

ACTIVATIONS = ("activation", "code_activation", "output_activation")

# Parameters that may be objects of Keras or of the user.
PARAMETERS = (
    *ACTIVATIONS, "optimizer", "loss", "metrics", "learning_rate_schedule", "callbacks",
    "corruption",
)  # fmt: skip

# The start of the name of a layer's activation that is not the value of a parameter any more.
LAYER_ACTIVATION = "_activation_"

# Attributes that no file holds: Keras models are built again, and callbacks may hold open files.
DROPPED = ("_keras_models", "callbacks_")

WRONG_FILE = "skae did not write this file, or it was changed: "

Values = dict[str, Any]


class Unavailable:
    """Takes the place of a parameter that cannot be restored in this process.

    It keeps the content of the file for the next file: ``config`` in JSON, or ``content`` in a
    pickle.
    """

    def __init__(
        self, reason: str, *, config: str | None = None, content: bytes | None = None
    ) -> None:
        self.reason = reason
        self.config = config
        self.content = content

    def __repr__(self) -> str:
        return f"<not available: {self.reason}>"

    def __call__(self, *args: object, **kwargs: object) -> None:
        """Raise an error if a network needs it, as its activation."""
        raise ValueError(f"An activation of this network could not be loaded: {self.reason}")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __getstate__(self) -> Values:
        """Refuse to be part of a skops file."""
        raise TypeError(
            "A parameter of this estimator could not be loaded, and a skops file must not hold it "
            f"as a pickle: write the file in a process that can load it ({self.reason})."
        )


def check_available(params: Mapping[str, Any]) -> None:
    """Raise an error if a parameter could not be restored.

    Raises
    ------
    ValueError
        If there is such a parameter.
    """
    for name, value in params.items():
        if isinstance(value, Unavailable):
            raise ValueError(
                f"{name} could not be loaded with this estimator: {value.reason}. Make it "
                f"importable and load the file again, or call set_params({name}=...)."
            )


def pack(attributes: Values) -> Values:
    """Turn an estimator's attributes into a state; objects of the user stay unchanged."""
    state = {name: value for name, value in attributes.items() if name not in DROPPED}
    if "_network" in state:
        state["_network"], activations = _pack_network(state["_network"], state)
        state |= activations
    if state.get("_state") is not None:
        state["_state"] = dict(vars(state["_state"]))
    configs = {name: _keras_config(state[name]) for name in _objects(state)}
    configs = {name: config for name, config in configs.items() if config is not None}
    return stamp(_moved(state, "_keras", configs, configs))


def pack_objects(state: Values) -> Values:
    """Replace each object of the user in a state by a pickle.

    The state names ``pickle.loads``, which opens these.  So a skops file cannot make skae open a
    pickle: skops loads the function ``pickle.loads`` only for a user who trusts it by its name.
    """
    configs = dict(state.get("_keras", {}))
    objects = {name: state[name] for name in _objects(state)} | _registered(configs)
    contents = {name: _dumps(value) for name, value in objects.items()}
    rest = {name: config for name, config in configs.items() if name not in contents}
    state = {name: value for name, value in state.items() if name != "_keras"}
    state |= {"_keras": rest} if rest else {}
    return _moved(state, "_pickled", contents, (pickle.loads, contents))


def _registered(configs: Mapping[str, str]) -> Values:
    """Return the objects that need a class or a function that the user has registered with Keras.

    Another process may not have registered them, but finds them by their modules.
    """
    made = {name: _from_config(config) for name, config in configs.items() if ">" in config}
    return {name: value for name, value in made.items() if not isinstance(value, Unavailable)}


def unpack(state: Values, kind: type[Any]) -> Values:
    """Turn a state, of this or of an earlier version, into the attributes of a ``kind``."""
    state = dict(state)
    configs = state.pop("_keras", {})
    packed = state.pop("_pickled", (pickle.loads, {}))
    if not isinstance(packed, tuple) or packed[0] is not pickle.loads:
        raise TypeError(f"{WRONG_FILE}only a pickle may hold pickled parameters.")
    contents = packed[1]
    for name in (*configs, *contents):
        if not _may_be_object(name):
            raise ValueError(f"{WRONG_FILE}{name!r} is not a parameter that may be an object.")
    attributes = upgrade(state, kind)
    attributes |= {name: _from_config(config) for name, config in configs.items()}
    attributes |= {name: open_pickle(content) for name, content in contents.items()}
    if attributes.get("_state") is not None:
        attributes["_state"] = State(**attributes["_state"])
    if "_network" in attributes:
        attributes["_network"] = _unpack_network(attributes["_network"], attributes)
        attributes["_keras_models"] = None
    return {
        name: value for name, value in attributes.items() if not name.startswith(LAYER_ACTIVATION)
    }


# --------------------------------------------------------------------------- networks


def _pack_network(network: Network, params: Values) -> tuple[Values, Values]:
    """Describe a network by plain values; also return the activations that are not plain.

    A layer names such an activation by its parameter, because after loading both must be the same
    object.
    """
    own: Values = {}
    layers = [
        _pack_layer(layer, params, own, f"{LAYER_ACTIVATION}{place}")
        for place, layer in enumerate(network.spec.layers)
    ]
    packed = {
        "layers": layers,
        "n_encoder_layers": network.spec.n_encoder_layers,
        "weights": list(network.weights),
        "column_weights": network.column_weights,
    }
    return packed, own


def _pack_layer(layer: Layer, params: Values, own: Values, new_name: str) -> Values:
    """Describe a layer by plain values; add an activation that no parameter has to ``own``."""
    values = {"kind": type(layer).__name__, **vars(layer)}
    if "layers" in values:
        inner = enumerate(values["layers"])
        values["layers"] = [
            _pack_layer(each, params, own, f"{new_name}_{place}") for place, each in inner
        ]
    activation = values.get("activation", "")
    if not isinstance(activation, str):
        del values["activation"]
        known = {name: params.get(name) for name in ACTIVATIONS} | own
        names = [name for name, value in known.items() if value is activation]
        if not names:
            own[new_name] = activation
        values["activation_of"] = names[0] if names else new_name
    return values


def _unpack_network(packed: Values, attributes: Values) -> Network:
    try:
        layers = tuple(_unpack_layer(values, attributes) for values in packed["layers"])
        spec, weights = NetworkSpec(layers, packed["n_encoder_layers"]), packed["weights"]
        shapes = [array.shape for array in weights]
        column_weights = packed.get("column_weights")  # older versions did not write it
        n_columns = spec.n_columns if column_weights is None else len(column_weights)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{WRONG_FILE}it does not describe a network ({error!r}).") from error
    if shapes != spec.shapes:
        raise ValueError(f"{WRONG_FILE}its layers need weights of {spec.shapes}; got {shapes}.")
    if n_columns != spec.n_columns:
        raise ValueError(f"{WRONG_FILE}{spec.n_columns} columns have {n_columns} weights.")
    return Network(spec, weights, eager_fallback, column_weights=column_weights)


def _unpack_layer(values: Values, attributes: Values) -> Layer:
    values = dict(values)
    make = LAYERS[values.pop("kind")]
    if "layers" in values:
        values["layers"] = tuple(_unpack_layer(inner, attributes) for inner in values["layers"])
    if "activation_of" in values:
        values["activation"] = attributes[values.pop("activation_of")]
    elif not isinstance(values.get("activation", ""), str):
        raise TypeError("the activation of a layer is not a name")
    return make(**values)


# --------------------------------------------------------------------------- objects


def _may_be_object(name: str) -> bool:
    return name in PARAMETERS or name.startswith(LAYER_ACTIVATION)


def _objects(state: Values) -> list[str]:
    """Return the names of the values that need a form of their own in a file."""
    return [name for name in state if _may_be_object(name) and not _is_plain(state[name])]


def _is_plain(value: object) -> bool:
    """Return whether a file can hold a value unchanged."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    is_public = type(value).__module__ == "skae"  # such as GaussianNoise
    return is_public or isinstance(value, str | int | float | None)


def _moved(state: Values, to: str, moved: Mapping[str, Any], content: object) -> Values:
    """Return a state without some values, and with ``content`` under the name ``to`` instead."""
    rest = {name: value for name, value in state.items() if name not in moved}
    return rest | {to: content} if moved else rest


def _keras_config(value: object) -> str | None:
    """Return the configuration of a Keras object in JSON, or None for any other object."""
    if isinstance(value, Unavailable):
        return value.config
    if "keras" not in sys.modules:  # then no object is of Keras
        return None
    from skae._interop.keras_json import to_json

    return to_json(value)


def _from_config(config: str) -> object:
    try:
        from skae._interop.keras_json import UnknownClassError, from_json
    except ImportError as error:
        return Unavailable(f"TensorFlow could not be imported: {error}", config=config)
    try:
        return from_json(config)
    except UnknownClassError as error:
        return Unavailable(str(error), config=config)


def _dumps(value: object) -> bytes:
    """Pickle an object of the user, by the public function of joblib for cloudpickle.

    cloudpickle stores functions and classes of ``__main__``, lambdas and local functions by value,
    and all others by name, as pickle does.  The list keeps joblib from wrapping a class.
    """
    if isinstance(value, Unavailable) and value.content is not None:
        return value.content
    holder = joblib.wrap_non_picklable_objects([by_config(value)], keep_wrapper=False)
    return pickle.dumps(holder)


# Functions by their pickles, as long as something uses them.  A search in several processes sends
# the user's function with each fit; as one object, it is compiled once.
_functions: WeakValueDictionary[bytes, Any] = WeakValueDictionary()


def open_pickle(content: bytes) -> object:
    """Open a pickle of an object of the user; return a substitute if that is impossible here."""
    known = _functions.get(content)
    if known is not None:
        return known
    try:
        value = pickle.loads(content)[0]
    except Exception as error:
        return Unavailable(f"{type(error).__name__}: {error}", content=content)
    if inspect.isfunction(value):
        _functions[content] = value
    return value
