"""`Table`: the columns of a frame with categories, and the matrix that a network takes."""

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from scipy import sparse

from skae._rows.rows import FEW
from skae._tables.columns import Boolean, Category, Number
from skae._tables.frames import (
    ARRAY,
    Data,
    columns_of,
    has_only_numbers,
    library_of,
    make_frame,
)
from skae._typing import Array, Matrix

KINDS: dict[str, Any] = {"number": Number, "boolean": Boolean, "category": Category}
ORDER = tuple(KINDS)  # of the columns in the matrix
MANY_VALUES = 1 << 24  # a matrix of more values is sparse if few of them are not zero


@dataclass(frozen=True)
class Table:
    """The columns of a table.

    Attributes
    ----------
    columns : list of Number, Boolean or Category
        What each column of the frame holds.
    formats : list of Data
        The name and the dtype of each column, without its values.
    library : str
        The library of the frame, or "array".
    """

    columns: list[Any]
    formats: list[Data]
    library: str

    @classmethod
    def of(
        cls, X: Any, categorical: Any, min_frequency: float | None, missing: Any = None
    ) -> Self | None:
        """Describe a frame or an array; return None if it has neither categories nor booleans.

        Parameters
        ----------
        X : frame or array of shape (n_samples, n_features)
            The rows.
        categorical : "from_dtype" or list of str or int
            The columns with categories: those with such a dtype, or names or places of columns.
        min_frequency : float, int or None
            A category in fewer rows, or in a smaller share of them, is rare.
        missing : object, default=None
            Another value that marks unknown cells, besides None and NaN.
        """
        if isinstance(categorical, str) and has_only_numbers(X):
            return None
        columns: list[Any] = []
        data = columns_of(X, missing)
        chosen = None if isinstance(categorical, str) else _places(categorical, data)
        for place, column in enumerate(data):
            if column.is_category if chosen is None else place in chosen:
                columns.append(Category.of(column, min_frequency))
            else:
                columns.append(Boolean() if column.is_boolean else Number.of(column))
        if all(isinstance(column, Number) for column in columns):
            return None
        if not any(column.size for column in columns):
            raise ValueError("All values of X are missing: give at least one known value.")
        formats = [column._replace(values=(), unknown=()) for column in data]
        return cls(columns, formats, library_of(X) or ARRAY)

    @property
    def names(self) -> list[str]:
        return [data.name for data in self.formats]

    @functools.cached_property
    def order(self) -> list[int]:
        """The places of the frame's columns, in the order that they have in the matrix."""
        keys = [(ORDER.index(column.kind), column.size) for column in self.columns]
        places = sorted(range(len(keys)), key=keys.__getitem__)
        return [place for place in places if self.columns[place].size]

    @property
    def layout(self) -> tuple[int, int, tuple[int, ...]]:
        """Number of numbers and of booleans, and the sizes of the categories."""
        kinds = [self.columns[place].kind for place in self.order]
        sizes = [self.columns[place].size for place in self.order]
        n_plain = len(kinds) - kinds.count("category")
        return kinds.count("number"), kinds.count("boolean"), tuple(sizes[n_plain:])

    @property
    def n_plain(self) -> int:
        """Number of columns of the matrix before those of the categories."""
        return sum(self.layout[:2])

    def encode(self, X: Any, handle_unknown: str, *, gaps: bool = True, name: str = "X") -> Matrix:
        """Return the matrix of a frame, in float32.

        Unknown numbers and booleans are NaN.  Unknown categories are zero in all their columns.
        Without ``gaps``, missing values are an error.

        Raises
        ------
        ValueError
            If X has other columns, or a category that is not known and ``handle_unknown`` is
            "error"; and if a value is missing without ``gaps``.
        """
        data = columns_of(X)
        self.check_columns(data, name)
        if not gaps:
            _refuse_missing(data, name)
        return self.join(self.cells(data, handle_unknown, name))

    def cells(self, data: Sequence[Data], handle_unknown: str, name: str = "X") -> list[Array]:
        """Return a number for each cell, column by column in the order of the matrix.

        It is the scaled number, the boolean, or the place of the category.  Unknown numbers and
        booleans are NaN, and an unknown category is -1.
        """
        return [
            self._encode_column(place, data[place], handle_unknown, name) for place in self.order
        ]

    def join(self, cells: Sequence[Array]) -> Matrix:
        """Return the matrix of the numbers that `cells` returns."""
        n_plain = self.n_plain
        plain = np.zeros((len(cells[0]), n_plain), np.float32)
        for place, column in enumerate(cells[:n_plain]):
            plain[:, place] = column
        return _joined(plain, cells[n_plain:], self.layout[2])

    def _encode_column(self, place: int, data: Data, handle_unknown: str, name: str) -> Array:
        encoded: Array = self.columns[place].encode(data)
        if self.columns[place].kind == "number":
            _refuse_infinity(encoded, data.name, name)
        if self.columns[place].kind == "category" and handle_unknown == "error":
            unseen = (encoded < 0) & ~data.unknown
            if unseen.any():
                values = sorted(map(str, set(data.values[unseen].tolist())))[:5]
                raise ValueError(
                    f"Column {data.name!r} of {name} has categories that fit did not see: "
                    f"{', '.join(values)}. Leave these rows out, or set handle_unknown='ignore'."
                )
        return encoded

    def check_columns(self, data: Sequence[Data], name: str) -> None:
        """Raise ValueError unless columns have the names and the order of fit."""
        names = [column.name for column in data]
        if names != self.names:
            raise ValueError(
                f"{name} must have the columns of fit, in the same order: {self.names}; got "
                f"{names}."
            )

    def parts(self, outputs: Array) -> dict[int, Array]:
        """Split a matrix into the columns of the frame; returns them by their places."""
        widths = [self.columns[place].size for place in self.order]
        blocks = np.split(outputs, np.cumsum(widths)[:-1], axis=1)
        return dict(zip(self.order, blocks, strict=True))

    def decode(self, outputs: Array, index: Any = None) -> Any:
        """Return the frame, or the array of objects, that a matrix stands for."""
        parts = self.parts(outputs)
        empty = np.empty((len(outputs), 0))
        columns = {}
        for place, (column, data) in enumerate(zip(self.columns, self.formats, strict=True)):
            block = parts.get(place, empty)
            block = block if column.kind == "category" else block[:, 0]
            columns[data.name] = column.decode(block, data)
        if self.library == ARRAY:
            rows = np.column_stack([column.astype(object) for column in columns.values()])
            dtype = np.dtype(self.formats[0].dtype)
            return rows.astype(dtype) if dtype.kind in "biuf" else rows
        return make_frame(self.library, columns, self.formats, index)

    def probabilities(self, outputs: Array) -> dict[str, Array]:
        """Return the probabilities of all categories of each categorical column, by its name."""
        parts = self.parts(outputs)
        return {
            self.names[place]: parts[place]
            for place in sorted(parts)
            if self.columns[place].kind == "category"
        }

    @property
    def categories(self) -> dict[str, list[Any]]:
        """The categories of each categorical column, by its name."""
        pairs = zip(self.names, self.columns, strict=True)
        return {
            name: list(column.categories) for name, column in pairs if column.kind == "category"
        }

    def pack(self) -> dict[str, Any]:
        """Return plain values, which any file format can hold."""
        columns = [{"kind": column.kind, **asdict(column)} for column in self.columns]
        formats = [data._asdict() for data in self.formats]
        return {"columns": columns, "formats": formats, "library": self.library}

    @classmethod
    def unpack(cls, packed: dict[str, Any]) -> Self:
        """Undo `pack`."""
        columns = [
            KINDS[values["kind"]](**{name: values[name] for name in values if name != "kind"})
            for values in packed["columns"]
        ]
        return cls(columns, [Data(**values) for values in packed["formats"]], packed["library"])


def _places(categorical: Sequence[Any], data: Sequence[Data]) -> set[int]:
    """Return the places of columns that are given by names or numbers."""
    names = [column.name for column in data]
    places = set()
    for column in categorical:
        place = names.index(column) if column in names else column
        if isinstance(place, str) or not 0 <= place < len(names):
            raise ValueError(
                f"categorical_features has {column!r}, but the columns of X are {names}."
            )
        places.add(int(place))
    return places


def _refuse_missing(data: Sequence[Data], name: str) -> None:
    for column in data:
        if column.unknown.any():
            raise ValueError(
                f"Input {name} contains NaN: column {column.name!r} has no value in row "
                f"{int(column.unknown.argmax())}. Set missing_values='mask', or impute such values "
                "(SimpleImputer)."
            )


def _refuse_infinity(encoded: Array, column: str, name: str) -> None:
    beyond = np.abs(encoded) > np.finfo(np.float32).max
    if beyond.any():
        raise ValueError(
            f"{name} contains infinity, or a number that is too large for float32 on the scale of "
            f"its column: first in row {int(beyond.argmax())}, column {column!r}."
        )


def _joined(plain: Array, codes: Sequence[Array], sizes: Sequence[int]) -> Matrix:
    """Append one-hot columns to numbers and booleans."""
    width = plain.shape[1] + sum(sizes)
    share = (plain.shape[1] + len(sizes)) / width
    if len(plain) * width > MANY_VALUES and share < FEW:
        return _sparse(plain, codes, sizes)
    joined = np.zeros((len(plain), width), np.float32)
    joined[:, : plain.shape[1]] = plain
    start = plain.shape[1]
    for code, size in zip(codes, sizes, strict=True):
        known = np.flatnonzero(code >= 0)
        joined[known, start + code[known]] = 1
        start += size
    return joined


def _sparse(plain: Array, codes: Sequence[Array], sizes: Sequence[int]) -> Matrix:
    blocks = [sparse.csr_array(plain)]
    for code, size in zip(codes, sizes, strict=True):
        known = np.flatnonzero(code >= 0)
        ones = np.ones(len(known), np.float32)
        blocks.append(sparse.csr_array((ones, (known, code[known])), (len(plain), size)))
    return sparse.hstack(blocks, format="csr")
