"""Where an array's contacts are, and in which raster slot each may pulse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prosthesis.config import ArrayConfig, ArrayPlacement, GridLayout
from prosthesis.messages import U8

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Contacts:
    """One array's contacts in index order: ``x_um``, ``y_um`` f64[n] from the centre (y up); ``row``, ``column``."""

    x_um: F64
    y_um: F64
    row: I64
    column: I64


def contacts(array: ArrayConfig) -> Contacts:
    """Return the contacts of one array; of listed points, those of one y and depth are a row, numbered by x in it.

    Depth tells the contacts of one thread apart, which lie under each other and must not pulse together.
    """
    layout = array.layout
    if not isinstance(layout, GridLayout):
        xy = np.asarray(layout.xy_um, dtype=np.float64)
        return Contacts(xy[:, 0], xy[:, 1], *_rows(xy, np.asarray(array.depths_um)))
    kept = np.setdiff1d(np.arange(layout.rows * layout.columns), layout.omit)
    row, column = np.divmod(kept, layout.columns)
    x = (column - (layout.columns - 1) / 2) * layout.pitch_um[0] + (row % 2) * layout.stagger_um
    y = ((layout.rows - 1) / 2 - row) * layout.pitch_um[1]
    return Contacts(x - (layout.stagger_um / 2 if layout.stagger_um else 0.0), y, row, column)


def _rows(xy: F64, depth: F64) -> tuple[I64, I64]:
    """Return row and column of listed points; a column over all rows would leave slots of staggered rows empty."""
    lines = np.round(np.stack([-xy[:, 1], depth], axis=1), 3)
    row = np.unique(lines, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    order = np.lexsort((xy[:, 0], row))
    column = np.empty_like(row)
    column[order] = np.arange(len(row)) - np.searchsorted(row[order], row[order])
    return row, column


def places_mm(array: ArrayConfig, placements: Sequence[ArrayPlacement]) -> tuple[F64, F64]:
    """Return where all electrodes stand on the flattened tissue, x and y f64[n] in mm, array after array."""
    c, xs, ys = contacts(array), [], []
    for place in placements:
        angle = np.deg2rad(place.rotation_deg)
        cos, sin = np.cos(angle), np.sin(angle)
        xs.append(place.x_mm + (cos * c.x_um - sin * c.y_um) * 1e-3)
        ys.append(place.y_mm + (sin * c.x_um + cos * c.y_um) * 1e-3)
    return np.concatenate(xs), np.concatenate(ys)


def raster_slots(array: ArrayConfig, arrays: int, groups: int, order: str) -> U8:
    """Return each electrode's raster slot, u8[n], over ``arrays`` equal arrays.

    ``checkerboard`` keeps neighbours in different slots, which beat the other orders in Kasowski & Beyeler 2025
    (arXiv 2501.02084); ``rows`` and ``columns`` sweep.

    >>> from prosthesis.config import load_rig
    >>> np.bincount(raster_slots(load_rig("utah96").array, 1, 7, "checkerboard")).tolist()
    [14, 14, 13, 14, 14, 14, 13]
    """
    c = contacts(array)
    if order == "rows":
        rank = np.lexsort((c.column, c.row)).argsort()
    elif order == "columns":
        rank = np.lexsort((c.row, c.column)).argsort()
    else:
        # a step per row that shares no factor with the group count puts vertical neighbours apart as well
        step = next(k for k in (3, 5, 7, 1) if np.gcd(k, groups) == 1)
        slot = (c.column + step * c.row) % groups
        return np.tile(slot.astype(np.uint8), arrays)
    slot = rank * groups // len(c.row)
    return np.tile(slot.astype(np.uint8), arrays)
