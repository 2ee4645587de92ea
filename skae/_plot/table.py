"""Rows of a table beside their reconstructions, as text."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from skae._plot.style import BLUE, GREY, ORANGE, axes_or_new
from skae._typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_COLUMNS, MOST_LETTERS, MOST_OF_NAME = 20, 18, 28
# Inches, for a font of 9 points.
FONT, LETTER, LINE, GAP = 9.0, 0.079, 0.24, 0.14
MISSING, DARK = "missing", "#222222"


@dataclass(frozen=True)
class Cells:
    """A column of a table: its values in some rows, and those of versions of these rows.

    Attributes
    ----------
    name : str
        Name of the column.
    versions : list of list
        The values of the originals, of the corrupted rows if there are any, and of the
        reconstructions; None if unknown.
    shares : ndarray of shape (n_rows,) or None
        Probabilities of the reconstructions, if they are categories.
    errors : ndarray of shape (n_rows,)
        Errors of the reconstructions, from 0 to 1: those of numbers in standard deviations, up to
        one; 1 for other categories, and else one minus their probability.  NaN for unknown
        originals.
    digits : int
        Number of decimals.
    """

    name: str
    versions: list[list[Any]]
    shares: Array | None
    errors: Array
    digits: int

    def text(self, version: int, row: int) -> str:
        """Return a cell as text, with the probability of a reconstructed category."""
        text = _text(self.versions[version][row], self.digits)
        if self.shares is None or version < len(self.versions) - 1:
            return text
        return f"{text}  {self.shares[row]:.0%}"

    @property
    def has_gaps(self) -> bool:
        """Whether an original is unknown."""
        return None in self.versions[0]

    def is_other(self, row: int) -> bool:
        """Return whether a value that is no number is reconstructed as another one."""
        original, result = self.versions[0][row], self.versions[-1][row]
        return original is not None and not is_number(original) and original != result


def is_table(X: Any) -> bool:
    """Return whether rows have columns that are no numbers."""
    if isinstance(X, np.ndarray):
        return X.ndim == 2 and X.dtype.kind in "OUS"
    if hasattr(X, "iloc"):
        return any(dtype.kind not in "iufc" for dtype in X.dtypes)
    frame = _frame(X)
    return frame is not None and not all(dtype.is_numeric() for dtype in frame.schema.values())


def spreads_of(X: Any) -> dict[str, float]:
    """Return the standard deviation of each column of numbers, by its name."""
    found = {}
    for name, values in _columns(X).items():
        numbers = [float(value) for value in values if is_number(value)]
        if numbers:
            found[name] = float(np.std(numbers))
    return found


def read_cells(
    versions: Sequence[Any], probabilities: Mapping[str, Any], spreads: Mapping[str, float]
) -> list[Cells]:
    """Return the columns to draw: all, or those with the largest errors if there are too many."""
    tables = [_columns(rows) for rows in versions]
    if any(list(table) != list(tables[0]) for table in tables):
        raise ValueError(
            f"Rows and reconstructions must have the same columns; got {list(tables[0])} and "
            f"{list(tables[-1])}."
        )
    cells = [
        _cells(name, [table[name] for table in tables], probabilities.get(name), spreads.get(name))
        for name in tables[0]
    ]
    means = [np.nan_to_num(column.errors).mean() for column in cells]
    chosen = np.sort(np.argsort(means, kind="stable")[::-1][:MOST_COLUMNS])
    return [cells[place] for place in chosen]


def _cells(name: str, versions: list[list[Any]], shares: Any, spread: float | None) -> Cells:
    originals, results = versions[0], versions[-1]
    unit = spread or 1.0
    errors = np.array([_error(*pair, unit) for pair in zip(originals, results, strict=True)])
    largest = None
    if shares is not None:
        largest = np.max(shares, axis=1)
        errors = np.where(errors == 0, 1 - largest, errors)
    digits = min(max(0, 1 - math.floor(math.log10(unit))), 6)
    is_whole = all(isinstance(value, int | None) for value in originals)
    return Cells(name, versions, largest, errors, 0 if is_whole else digits)


def _error(original: Any, result: Any, unit: float) -> float:
    if original is None:
        return math.nan
    if is_number(original) and is_number(result):
        return min(abs(float(original) - float(result)) / unit, 1.0)
    return float(original != result)


def draw_table(
    ax: "Axes | None", cells: list[Cells], labels: list[str], title: str, names: Sequence[str]
) -> "Axes":
    """Draw the columns of a table from top to bottom, and the versions of each row side by side.

    Parameters
    ----------
    ax : Axes or None
        Axes to fill; None makes a new figure.
    cells : list of Cells
        The columns.
    labels : list of str
        Names of the versions.
    title : str
        A line above the table.
    names : list of str
        A name for each row.
    """
    n_rows, n_versions = len(names), len(labels)
    widths = [
        [
            _width([labels[version], *(column.text(version, row) for column in cells)])
            for version in range(n_versions)
        ]
        for row in range(n_rows)
    ]
    left = _width([_short(column.name, MOST_OF_NAME) for column in cells])
    width = max(left + sum(map(sum, widths)) + GAP * (n_rows + 1), _width([title]))
    height = LINE * (len(cells) + 3.8)
    ax = axes_or_new(ax, (width, height), rect=(0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.set_axis_off()
    size = FONT * _shrinkage(ax, width, height)
    write = _Writer(ax, size)
    write(GAP, 0.7 * LINE, title, color=GREY)
    first = 3.3 * LINE
    for line, column in enumerate(cells):
        y = first + (line + 0.5) * LINE
        write(GAP, y, _short(column.name, MOST_OF_NAME), color=DARK)
        ax.axhline(first + line * LINE, color="#DDDDDD", linewidth=0.6)
    x = left + GAP
    for row, own in enumerate(widths):
        write(x + GAP, 1.8 * LINE, names[row], color=DARK, weight="bold")
        for version, wide in enumerate(own):
            write(x + GAP, 2.75 * LINE, labels[version], color=GREY)
            for line, column in enumerate(cells):
                y = first + line * LINE
                if version == n_versions - 1:
                    _shade(ax, (x, y, wide, LINE), column.errors[row])
                write(x + GAP, y + 0.5 * LINE, *_styled(column, version, row))
            x += wide
        x += GAP
    return ax


class _Writer:
    """Writes text of one size on axes."""

    def __init__(self, ax: "Axes", size: float) -> None:
        self.ax, self.size = ax, size

    def __call__(self, x: float, y: float, text: str, color: str, weight: str = "normal") -> None:
        self.ax.text(
            x, y, text, color=color, weight=weight, va="center", size=self.size, parse_math=False
        )


def _styled(column: Cells, version: int, row: int) -> tuple[str, str, str]:
    """Return the text of a cell, its colour and its weight."""
    text = column.text(version, row)
    if column.versions[version][row] is None:
        return text, GREY, "normal"
    is_result = version == len(column.versions) - 1
    if is_result and column.versions[0][row] is None:
        return text, BLUE, "normal"
    return text, DARK, "bold" if is_result and column.is_other(row) else "normal"


def _shade(ax: "Axes", box: tuple[float, float, float, float], error: float) -> None:
    from matplotlib.patches import Rectangle

    if error > 0:
        x, y, width, height = box
        alpha = 0.55 * error
        ax.add_patch(Rectangle((x, y), width, height, color=ORANGE, alpha=alpha, linewidth=0))


def _shrinkage(ax: "Axes", width: float, height: float) -> float:
    """Return the factor that makes the text fit into given axes."""
    box, dpi = ax.get_window_extent(), ax.figure.dpi
    return min(1.0, box.width / dpi / width, box.height / dpi / height)


def _width(texts: Sequence[str]) -> float:
    return LETTER * max(map(len, texts)) + 2 * GAP


def _text(value: Any, digits: int) -> str:
    if value is None:
        return MISSING
    if not is_number(value):
        return _short(str(value))
    is_long = abs(value) >= 1e7 or digits > 4
    text = f"{value:.3g}" if is_long else f"{value:.{digits}f}"
    return text if any(digit in text for digit in "123456789") else text.removeprefix("-")


def _short(text: str, most: int = MOST_LETTERS) -> str:
    """Leave out the middle of a long text."""
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


def is_number(value: Any) -> bool:
    """Return whether a value is a number; true and false are none."""
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def _columns(X: Any) -> dict[str, list[Any]]:
    """Return the values of each column, with None for those that are missing."""
    if isinstance(X, np.ndarray):
        columns = {str(place): column.tolist() for place, column in enumerate(X.T)}
    elif hasattr(X, "iloc"):
        columns = {str(name): X[name].astype(object).tolist() for name in X.columns}
    else:
        columns = {series.name: series.to_list() for series in _frame(X).iter_columns()}
    return {name: list(map(_known, values)) for name, values in columns.items()}


def _known(value: Any) -> Any:
    """Return a value, or None for NaN, NaT and NA, which are not equal to themselves."""
    if value is None or type(value).__name__ == "NAType":
        return None
    return value if value == value else None  # noqa: PLR0124


def _frame(X: Any) -> Any:
    """Return a frame of any library that narwhals knows, or None for anything else."""
    import narwhals.stable.v2 as nw

    frame = nw.from_native(X, eager_only=True, pass_through=True)
    return frame if isinstance(frame, nw.DataFrame) else None
