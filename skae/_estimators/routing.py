"""Names of parameters, and the parameters of the optimizer and the loss.

An estimator stores values such as ``optimizer__beta_1`` as attributes, like its own parameters.
`fit` checks them.
"""

import functools
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from skae._hints import advice

PREFIXES = ("optimizer__", "loss__")
KEYWORDS = inspect.Parameter.VAR_KEYWORD


def routed_parameters(estimator: Any) -> dict[str, Any]:
    """Return the parameters of an estimator's optimizer and loss."""
    return {name: value for name, value in vars(estimator).items() if name.startswith(PREFIXES)}


def store_routed(estimator: Any, keywords: dict[str, Any]) -> None:
    """Store the keywords of a constructor that are not in its signature.

    Raises
    ------
    TypeError
        If a keyword is not a parameter of the optimizer or the loss.
    """
    for name in keywords:
        if not name.startswith(PREFIXES):
            known = [*inspect.signature(type(estimator)).parameters, *PREFIXES]
            raise TypeError(
                f"{type(estimator).__name__} got an unexpected keyword argument {name!r}."
                f"{advice(name, known)}"
            )
    vars(estimator).update(keywords)


def declare_parameters(kind: type[Any]) -> None:
    """Make the signatures of a class show its parameters, as scikit-learn reads them.

    scikit-learn takes the parameters of a class from the signature of its ``__init__``.  If this
    method passes ``**kwargs`` to the base, the parameters of the base are not in the signature, and
    `clone` would silently lose them.  Such a class gets an ``__init__`` that shows all of them.

    The signature of the class itself has no ``**routed``, because scikit-learn's checks set every
    name in it.
    """
    init: Any = kind.__init__
    signature = _whole_signature(kind)
    if signature != inspect.signature(init):

        @functools.wraps(init)
        def declared(self: Any, *args: Any, **kwargs: Any) -> None:
            init(self, *args, **kwargs)

        vars(declared)["__signature__"] = signature
        setattr(kind, "__init__", declared)  # noqa: B010  (mypy refuses the assignment)
    _, *named = signature.parameters.values()
    shown: Any = kind
    shown.__signature__ = signature.replace(parameters=[p for p in named if p.kind is not KEYWORDS])


def _whole_signature(kind: type[Any]) -> inspect.Signature:
    """Return the signature of ``__init__``, with the parameters that ``**kwargs`` hands on."""
    own, *others = (base for base in kind.__mro__ if "__init__" in vars(base))
    signature = _signature(own)
    found = dict(signature.parameters)
    kinds = {parameter.kind for parameter in found.values()}
    # scikit-learn refuses a class that takes ``*args``.
    passes_on = KEYWORDS in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds
    for base in others:
        if not passes_on:
            break
        inherited = _signature(base)
        _, *named = inherited.parameters.values()
        for parameter in named:
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                found.setdefault(parameter.name, parameter.replace(kind=parameter.KEYWORD_ONLY))
        passes_on = _takes_keywords(inherited)
    return signature.replace(parameters=sorted(found.values(), key=lambda p: p.kind))


def _signature(kind: type[Any]) -> inspect.Signature:
    init: Any = kind.__init__
    return inspect.signature(init)


def _takes_keywords(signature: inspect.Signature) -> bool:
    return any(parameter.kind is KEYWORDS for parameter in signature.parameters.values())


def check_names(estimator: Any, params: Mapping[str, Any]) -> None:
    """Raise ValueError unless all these are parameters of an estimator or of its corruption."""
    known = estimator.get_params(deep=False)
    for name in params:
        if name in known or name.startswith(PREFIXES):
            continue
        own, _, nested = name.partition("__")
        if own not in known:
            raise _unknown(name, type(estimator).__name__, known)
        holder = params.get(own, known[own])
        if not hasattr(holder, "get_params"):
            raise ValueError(
                f"Invalid parameter {name!r} for estimator {type(estimator).__name__}: "
                f"{own}={holder!r} has no parameters."
            )
        if nested.partition("__")[0] not in (inner := holder.get_params(deep=False)):
            raise _unknown(nested, type(holder).__name__, inner)


def _unknown(name: str, owner: str, known: Iterable[str]) -> ValueError:
    return ValueError(
        f"Invalid parameter {name!r} for estimator {owner}.{advice(name, known)} "
        f"Valid parameters are: {sorted(known)}."
    )
