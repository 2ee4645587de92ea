"""Describe a fit: what "auto" means for its data, and the `ProgramSpec` of its program."""

from collections.abc import Hashable, Mapping
from typing import Any

from skae._checks import check_decoder_layer_sizes, check_hidden_layer_sizes
from skae._engine.spec import Options, ProgramSpec
from skae._network.frozen import freeze
from skae._network.spec import dense_autoencoder
from skae._network.tables import Probabilities
from skae._objective.objective import Objective
from skae._objective.penalties import CodeL1, Contraction, KernelL2, Penalty
from skae._rows.rows import ValueRange

# The parameters that are weights of penalties.
PENALTIES: dict[str, Penalty] = {
    "alpha": KernelL2(),
    "code_penalty": CodeL1(),
    "contraction": Contraction(),
}


def describe(
    params: Mapping[str, Any],
    routed: Mapping[str, Any],
    shape: tuple[int, int],
    values: ValueRange,
    *,
    bounded: bool,
    table: Probabilities | None = None,
    weighted: bool = False,
) -> ProgramSpec:
    """Make the spec of a fit's program: resolve "auto", and check loss, output and data together.

    Parameters
    ----------
    params, routed : mapping of str to object
        The estimator's parameters, and those of its optimizer and its loss, such as
        ``optimizer__beta_1``.
    shape : tuple of (int, int)
        Shape of the rows to train on.
    values : ValueRange
        The lowest and the highest value to reconstruct.
    bounded : bool
        Whether "auto" stands for the choice for values in [0, 1].
    table : Probabilities, default=None
        The columns of a table with categories.
    weighted : bool, default=False
        Whether columns have different weights in the loss.
    """
    from skae._engine.tensorflow import check_settings, compute_dtype

    check_settings()
    n_rows, n_features = shape
    if table is not None:
        _check_table(params)
    output = params["output_activation"]
    if output == "auto":
        output = "sigmoid" if bounded else "linear"
    objective = Objective(
        loss=_frozen("loss", _loss(params["loss"], output, bounded)),
        options=_options("loss", routed),
        penalties=tuple(of for name, of in PENALTIES.items() if params[name]),
        shown_weight=float(params.get("shown_weight", 1)),
        weighted=weighted,
    )
    objective.check(output, values)
    return ProgramSpec(
        network=dense_autoencoder(
            n_features,
            check_hidden_layer_sizes(params["hidden_layer_sizes"]),
            int(params["n_components"]),
            decoder_layer_sizes=check_decoder_layer_sizes(params["decoder_layer_sizes"]),
            activation=_activation(params["activation"]),
            code_activation=_activation(params["code_activation"]),
            output_activation=_activation(output),
            dropout=float(params["dropout"]),
            shortcut=params["init"] == "pca",
            gaps=takes_gaps(params),
            table=table,
        ),
        objective=objective,
        optimizer=_frozen("optimizer", params["optimizer"]),
        optimizer_options=_options("optimizer", routed),
        metrics=tuple(_frozen("metrics", metric) for metric in _as_list(params["metrics"])),
        batch_size=_batch_size(params["batch_size"], n_rows),
        compute_dtype=compute_dtype(),
        conditioned=table is None and output == "linear" and objective.degree is not None,
        tied=bool(params["tied_weights"]),
    )


def _check_table(params: Mapping[str, Any]) -> None:
    """Refuse parameters that do not suit rows with categories."""
    defaults = {"output_activation": "auto", "tied_weights": False, "metrics": None}
    for name, default in defaults.items():
        value = params[name]
        if value not in (default, []):
            raise ValueError(
                f"X has categories or booleans, so {name} must be {default!r}; got {value!r}. Set "
                f"it to {default!r}, or encode X as numbers (OneHotEncoder)."
            )


def takes_gaps(params: Mapping[str, Any]) -> bool:
    """Return whether NaN stands for an unknown value in an estimator with these attributes."""
    return bool(params.get("missing_values") == "mask")


def penalty_weights(params: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the weights of an objective's penalties, in the order of its ``penalties``."""
    return tuple(float(params[name]) for name in PENALTIES if params[name])


def _loss(loss: Any, output: Any, bounded: bool) -> Any:
    if loss != "auto":
        return loss
    return "binary_crossentropy" if bounded and output == "sigmoid" else "mean_squared_error"


def _batch_size(batch_size: Any, n_rows: int) -> int:
    return auto_batch_size(n_rows) if batch_size == "auto" else int(batch_size)


def auto_batch_size(n_rows: int) -> int:
    """Choose a power of two from 32 to 256 that gives at least 32 steps in each epoch.

    With fewer steps, a network for a small data set is undertrained after the default 20 epochs;
    see docs/performance.md.  Fewer than 1,000 rows give 32, and fewer steps.
    """
    return 1 << min(max((n_rows // 32).bit_length() - 1, 5), 8)


def _as_list(metrics: Any) -> list[Any]:
    if metrics is None:
        return []
    return list(metrics) if isinstance(metrics, list | tuple) else [metrics]


def _options(target: str, routed: Mapping[str, Any]) -> Options:
    """Freeze the parameters of the optimizer or of the loss."""
    prefix = f"{target}__"
    return tuple(
        (name.removeprefix(prefix), _frozen(name, value))
        for name, value in sorted(routed.items())
        if name.startswith(prefix)
    )


def _activation(value: Any) -> Hashable:
    """Replace Keras' own activation functions by their names, and freeze everything else.

    Activations with a name have a NumPy and an ONNX form.  `skae._engine.lookup.check_names`
    reports invalid values later.
    """
    if not callable(value):
        return freeze(value)
    from skae._engine.lookup.names import activation_name

    return freeze(activation_name(value))


def _frozen(name: str, value: Any) -> Hashable:
    """Freeze a parameter, or raise an error that names it."""
    try:
        frozen = freeze(value)
        hash(frozen)
    except (TypeError, AttributeError) as error:
        raise TypeError(
            f"{name} must be made of numbers, strings, lists, functions and Keras' objects; "
            f"got {value!r}."
        ) from error
    return frozen
