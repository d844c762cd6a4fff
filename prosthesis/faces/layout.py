"""Where on the map things can be seen: a person's picture above, and below it the bar that says where they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prosthesis.calibration.table import Calibration
from prosthesis.view import View

F64 = npt.NDArray[np.float64]

SHAPE = (64, 64)
BAR_SHARE = 0.2  # of the electrodes that the bar takes, from the lowest up


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the map in cells: columns ``left``..``right``, rows ``top``..``bottom``, ends not included."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index a map with."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in cells, as OpenCV counts."""
        return self.right - self.left, self.bottom - self.top


@dataclass(frozen=True, slots=True)
class Layout:
    """``picture`` for a face or pattern, ``bar`` for position and approach; the bar is below, nothing overlaps."""

    picture: Window
    bar: Window


def lay_out(view: View, calibration: Calibration | None) -> Layout:
    """Return where the calibration has phosphenes: the lowest fifth of them for the bar, the box of the rest above.

    Without a calibration the whole field is taken.
    """
    if calibration is None:
        split = round(SHAPE[0] * (1 - BAR_SHARE))
        return Layout(Window(0, 0, SHAPE[1], split), Window(0, split, SHAPE[1], SHAPE[0]))
    enabled = np.asarray(calibration.enabled, dtype=bool)
    field = view.field
    x = (calibration.column("x_deg")[enabled] - field.x0_deg) / (field.x1_deg - field.x0_deg) * SHAPE[1]
    y = (field.y1_deg - calibration.column("y_deg")[enabled]) / (field.y1_deg - field.y0_deg) * SHAPE[0]
    split = int(np.clip(round(float(np.quantile(y, 1 - BAR_SHARE))), 1, SHAPE[0] - 1))
    above, below = y < split, y >= split
    return Layout(_box(x[above], y[above], 0, split), _box(x[below], y[below], split, SHAPE[0]))


def _box(x: F64, y: F64, top: int, bottom: int) -> Window:
    """Return the cells around the points, between rows ``top`` and ``bottom``; all of these when there is no point."""
    if not len(x):
        return Window(0, top, SHAPE[1], bottom)
    left, right = int(np.floor(x.min())), int(np.ceil(x.max() + 1e-9))
    low, high = int(np.floor(y.min())), int(np.ceil(y.max() + 1e-9))
    left, low = int(np.clip(left, 0, SHAPE[1] - 1)), int(np.clip(low, top, bottom - 1))
    return Window(left, low, int(np.clip(right, left + 1, SHAPE[1])), int(np.clip(high, low + 1, bottom)))
