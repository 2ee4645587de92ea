"""Strips of panels; a strip has one panel for each row of a `ReconstructionDisplay`."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skae._plot.style import BLUE, GREY, ORANGE, axes_or_new
from skae._typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches, for a figure that the display makes itself.
IMAGE_WIDTH, CHART_WIDTH, CHART_HEIGHT = 0.95, 2.1, 1.2
LABEL_SPACE, TICK_SPACE, MARGIN = 0.3, 0.4, 0.1

Style = dict[str, Any]  # keywords of matplotlib's functions


@dataclass(frozen=True)
class Strip:
    """Panels side by side: their label, how to draw the i-th, and their height in inches."""

    label: str
    draw: Callable[["Axes", int], None]
    height: float
    chart: bool

    @property
    def total_height(self) -> float:
        return LABEL_SPACE + self.height + (TICK_SPACE if self.chart else MARGIN)


def image_strip(
    label: str, rows: Any, shape: tuple[int, ...], limits: tuple[float, float]
) -> Strip:
    """Draw each row as an image; ``limits`` are the values of black and white."""
    images = np.reshape(rows, (-1, *(shape[:2] if shape[2:] == (1,) else shape)))
    if images.ndim == 4:  # the limits do not apply to colours, and imshow warns outside their range
        images = np.clip(images, 0, 255 if images.dtype.kind in "iu" else 1)

    def draw(panel: "Axes", i: int) -> None:
        low, high = limits
        panel.imshow(images[i], cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        panel.set_axis_off()

    return Strip(label, draw, IMAGE_WIDTH * shape[0] / shape[1], False)


def line_strip(lines: Sequence[tuple[str, Any, Style]]) -> Strip:
    """Draw rows as lines over the features; ``lines`` are triples of name, rows and style."""
    n_features = np.shape(lines[0][1])[1]
    low = min(np.min(rows) for _, rows, _ in lines)
    high = max(np.max(rows) for _, rows, _ in lines)
    padding = 0.05 * (high - low) or 1.0

    def draw(panel: "Axes", i: int) -> None:
        for name, rows, style in lines:
            panel.plot(np.arange(n_features), rows[i], label=name, **style)
        panel.set_ylim(low - padding, high + padding)
        _style_chart(panel, i)

    return Strip("rows: value of each feature", draw, CHART_HEIGHT, True)


def line_styles(n_features: int) -> tuple[Style, Style, Style]:
    """Return the styles of noisy rows, originals and reconstructions.

    Up to 40 features have markers; more markers would hide the lines.
    """
    marker = "o" if n_features <= 40 else None
    return (
        {"color": GREY, "linestyle": "none", "marker": "."},
        {"color": BLUE, "marker": marker, "ms": 4},
        {"color": ORANGE, "marker": marker, "ms": 3, "linestyle": "--"},
    )


def code_strip(codes: Any, shape: tuple[int, int] | None, width: float) -> Strip:
    """Draw codes as images of ``shape``, or as bars if ``shape`` is None."""
    largest = float(np.max(np.abs(codes))) or 1.0
    if shape is None:
        bars = functools.partial(_draw_bars, codes, 1.05 * largest)
        return Strip("codes: value of each component", bars, min(width, CHART_HEIGHT), True)

    def draw(panel: "Axes", i: int) -> None:
        image = np.reshape(codes[i], shape)
        panel.imshow(image, cmap="PuOr", vmin=-largest, vmax=largest, interpolation="nearest")
        panel.set_axis_off()

    label = f"code: {np.shape(codes)[1]} numbers, orange below 0 and purple above"
    return Strip(label, draw, width * shape[0] / shape[1], False)


def near_square(n_cells: int) -> tuple[int, int] | None:
    """Return height and width of the rectangle of ``n_cells`` that is closest to a square.

    Return None if that rectangle is more than four times as wide as high.
    """
    height = next(n for n in range(math.isqrt(n_cells), 0, -1) if n_cells % n == 0)
    return (height, n_cells // height) if n_cells <= 4 * height**2 else None


def make_panels(
    ax: "Axes | None", strips: Sequence[Strip], n_panels: int, width: float
) -> tuple["Axes", Array]:
    """Make the panels of each strip, below the strip's label; ``ax=None`` makes a figure."""
    left = MARGIN + TICK_SPACE * any(strip.chart for strip in strips)
    step = width + MARGIN
    # labels and legend need the width of three panels
    size = left + max(n_panels, 3) * step, sum(strip.total_height for strip in strips)
    ax = axes_or_new(ax, size, rect=(0, 0, 1, 1))
    ax.set_axis_off()
    panels = np.empty((len(strips), n_panels), dtype=object)
    y = size[1]
    for row, strip in enumerate(strips):
        position = left / size[0], (y - 0.8 * MARGIN) / size[1]
        ax.text(*position, strip.label, va="top", transform=ax.transAxes)
        bottom = (y - LABEL_SPACE - strip.height) / size[1]
        for i in range(n_panels):
            box = ((left + i * step) / size[0], bottom, width / size[0], strip.height / size[1])
            panels[row, i] = ax.inset_axes(box)
        y -= strip.total_height
    return ax, panels


def _draw_bars(codes: Any, limit: float, panel: "Axes", i: int) -> None:
    panel.bar(np.arange(len(codes[i])), codes[i], color=BLUE)
    panel.axhline(0, color=GREY, linewidth=0.8)
    panel.set_ylim(-limit, limit)
    _style_chart(panel, i)


def _style_chart(panel: "Axes", i: int) -> None:
    """Show the numbers of the y axis in the first panel only; all panels share its scale."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize="small", labelleft=i == 0)
    panel.locator_params(axis="x", nbins=3, integer=True)
