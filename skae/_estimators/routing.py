"""Parameters of the optimizer and the loss, such as ``optimizer__beta_1``.

An estimator stores them as attributes, like its own parameters.  `fit` checks them.
"""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from skae._checks import did_you_mean

PREFIXES = ("optimizer__", "loss__")


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
                f"{did_you_mean(name, known)}"
            )
    vars(estimator).update(keywords)


def hide_keywords(kind: type[Any]) -> None:
    """Remove ``**routed`` from a class' signature: scikit-learn's checks set every name in it."""
    signature = inspect.signature(kind.__init__)
    named = [p for p in signature.parameters.values() if p.name not in ("self", "routed")]
    kind.__signature__ = signature.replace(parameters=named)


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
        f"Invalid parameter {name!r} for estimator {owner}.{did_you_mean(name, known)} "
        f"Valid parameters are: {sorted(known)}."
    )
