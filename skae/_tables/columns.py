"""The columns of a table as frozen values: numbers, booleans and categories."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from skae._tables.frames import Data
from skae._typing import Array

# The interquartile range of a normal distribution with a standard deviation of one.
NORMAL_RANGE = 1.349


@dataclass(frozen=True)
class Number:
    """A numerical column, on a scale that a few extreme values do not change."""

    centre: float
    scale: float
    kind: ClassVar[str] = "number"
    size: ClassVar[int] = 1

    @classmethod
    def of(cls, data: Data) -> Self:
        values = _as_floats(data)
        values = values[np.isfinite(values)]
        if not len(values):
            return cls(0.0, 1.0)
        if values.min() == values.max():  # rounding may give a standard deviation above zero
            return cls(float(values[0]), 1.0)
        low, centre, high = np.percentile(values, [25, 50, 75])
        scale = (high - low) / NORMAL_RANGE or values.std()
        return cls(float(centre), float(scale) or 1.0)

    def encode(self, data: Data) -> Array:
        return (_as_floats(data) - self.centre) / self.scale

    def decode(self, outputs: Array, data: Data) -> Array:
        return as_number(outputs.astype(np.float64) * self.scale + self.centre, data)


@dataclass(frozen=True)
class Boolean:
    """A column of true and false."""

    kind: ClassVar[str] = "boolean"
    size: ClassVar[int] = 1

    def encode(self, data: Data) -> Array:
        column = np.full(len(data.values), np.nan)
        known = data.values[~data.unknown]
        others = set(known.tolist()) - {False, True}
        if others:
            raise ValueError(
                f"Column {data.name!r} must hold true and false, as in fit; got "
                f"{min(map(repr, others))}."
            )
        column[~data.unknown] = known.astype(bool)
        return column

    def decode(self, outputs: Array, data: Data) -> Array:
        return outputs > 0.5


@dataclass(frozen=True)
class Category:
    """A categorical column.

    Attributes
    ----------
    categories : tuple
        The categories that have a one-hot column.
    pooled : tuple
        Rare categories, which share the last one-hot column: that of the most frequent of them.
    """

    categories: tuple[Any, ...]
    pooled: tuple[Any, ...] = ()
    kind: ClassVar[str] = "category"

    @property
    def size(self) -> int:
        return len(self.categories)

    @classmethod
    def of(cls, data: Data, min_frequency: float | None) -> Self:
        counts = Counter(data.values[~data.unknown].tolist())
        least = min_frequency or 0
        if isinstance(least, float):
            least *= len(data.values)
        rare = sorted((value for value in counts if counts[value] < least), key=_order)
        frequent = sorted((value for value in counts if counts[value] >= least), key=_order)
        if not rare:
            return cls(tuple(frequent))
        rare.sort(key=counts.__getitem__, reverse=True)
        return cls((*frequent, rare[0]), tuple(rare))

    @property
    def places(self) -> dict[Any, int]:
        """The number of the one-hot column of each category, of the pooled ones too."""
        places = {value: place for place, value in enumerate(self.categories)}
        return places | dict.fromkeys(self.pooled, len(self.categories) - 1)

    def encode(self, data: Data) -> Array:
        """Return the place of each value among the categories; -1 if it is not one of them."""
        places = self.places
        found = np.full(len(data.values), -1)
        known = data.values[~data.unknown].tolist()
        found[~data.unknown] = [places.get(value, -1) for value in known]
        return found

    def decode(self, outputs: Array, data: Data) -> Array:
        values = np.empty(len(outputs), object)
        if self.categories:
            chosen = outputs.argmax(axis=1).tolist()
            values[:] = [self.categories[place] for place in chosen]
        return values


def as_number(values: Array, data: Data) -> Array:
    """Return numbers as a column can hold them: whole ones if its dtype is one of integers."""
    return _as_whole(values, data.dtype) if "int" in data.dtype.lower() else values


def _as_floats(data: Data) -> Array:
    values = np.full(len(data.values), np.nan)
    try:
        values[~data.unknown] = data.values[~data.unknown].astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Column {data.name!r} (dtype {data.dtype}) has values that are not numbers ({error}). "
            "Convert it to numbers or to strings, or name it in categorical_features."
        ) from error
    return values


def _as_whole(values: Array, dtype: str) -> Array:
    """Round values, and limit them to the range of a dtype of integers, which is named."""
    found = re.search(r"u?int(8|16|32|64)\b", dtype.lower())
    limits = np.iinfo(found[0] if found else np.int64)
    high = float(limits.max)
    if int(high) > limits.max:
        high = np.nextafter(high, 0)
    return np.clip(np.rint(values), limits.min, high).astype(limits.dtype)


def _order(value: Any) -> tuple[str, Any]:
    """Return a key that sorts values of different types, too."""
    return type(value).__name__, value
