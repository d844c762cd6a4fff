"""Patterns that stand for people: coarse shapes with names, those that this patient can best tell apart, or a file.

The first is every stranger's; person number k (in order of enrolment, kept for life) has pattern k + 1.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis.calibration.table import Calibration
from prosthesis.errors import ConfigError
from prosthesis.faces.layout import SHAPE, Layout
from prosthesis.messages import F32, MachineCode, readonly
from prosthesis.translators.retinotopic import RetinotopicTranslator
from prosthesis.view import View, cell_centres_deg

F64 = npt.NDArray[np.float64]
Shape = Callable[[F64, F64], npt.NDArray[np.bool_]]

PEOPLE = 10

# x to the right and y down, -1 to 1 over the picture's window
SHAPES: dict[str, Shape] = {
    "ring": lambda x, y: (np.hypot(x, y) <= 1) & (np.hypot(x, y) >= 0.55),
    "disc": lambda x, y: np.hypot(x, y) <= 0.5,
    "level": lambda x, y: np.abs(y) <= 0.25,
    "upright": lambda x, y: np.abs(x) <= 0.25,
    "plus": lambda x, y: (np.abs(x) <= 0.2) | (np.abs(y) <= 0.2),
    "cross": lambda x, y: np.abs(np.abs(x) - np.abs(y)) <= 0.25,
    "slash": lambda x, y: np.abs(x + y) <= 0.35,
    "backslash": lambda x, y: np.abs(x - y) <= 0.35,
    "top": lambda x, y: y <= -0.1,
    "bottom": lambda x, y: y >= 0.1,
    "left": lambda x, y: x <= -0.1,
    "right": lambda x, y: x >= 0.1,
    "two bars": lambda x, y: np.abs(np.abs(x) - 0.7) <= 0.25,
    "two rows": lambda x, y: np.abs(np.abs(y) - 0.7) <= 0.25,
    "T": lambda x, y: (y <= -0.55) | (np.abs(x) <= 0.2),
    "L": lambda x, y: (x <= -0.55) | (y >= 0.55),
    "seven": lambda x, y: (x >= 0.55) | (y <= -0.55),
    "U": lambda x, y: (np.abs(x) >= 0.6) | (y >= 0.6),
    "roof": lambda x, y: (np.abs(x) >= 0.6) | (y <= -0.6),
    "corners": lambda x, y: (np.abs(x) >= 0.45) & (np.abs(y) >= 0.45),
    "upper left": lambda x, y: x + y <= -0.1,
    "upper right": lambda x, y: x - y >= 0.1,
    "checks": lambda x, y: (x > 0) == (y > 0),
    "other checks": lambda x, y: (x > 0) != (y > 0),
    "all": lambda x, y: np.hypot(x, y) >= 0,
}


@dataclass(frozen=True, slots=True)
class Code:
    """Patterns ``maps`` f32[k, 64, 64] in 0..1 with their ``names``; the first is the stranger's.

    ``distinctness`` is the least difference of any two through the phosphenes, 0 (the same) to 2 (opposite).
    """

    names: tuple[str, ...]
    maps: F32
    distinctness: float


def bank(layout: Layout) -> F32:
    """Return every shape drawn in the picture's window, f32[shapes, 64, 64]."""
    width, height = layout.picture.size
    x, y = np.meshgrid((np.arange(width) + 0.5) / width * 2 - 1, (np.arange(height) + 0.5) / height * 2 - 1)
    maps = np.zeros((len(SHAPES), *SHAPE), np.float32)
    rows, columns = layout.picture.slices
    for drawn, shape in zip(maps, SHAPES.values(), strict=True):
        drawn[rows, columns] = shape(x, y)
    return maps


def choose(view: View, calibration: Calibration | None, layout: Layout, people: int = PEOPLE) -> Code:
    """Return the stranger's ring and, for ``people``, the shapes that differ most through the calibrated phosphenes.

    Greedy: each next one is the shape whose nearest among those taken is farthest, in one minus the correlation of what
    is seen. Without a calibration every cell of the map counts as a phosphene.
    """
    maps = bank(layout)
    difference = 1 - correlations(seen(maps, view, calibration))
    taken = [0]
    while len(taken) <= people:
        nearest = difference[:, taken].min(axis=1)
        nearest[taken] = -1
        taken.append(int(np.argmax(nearest)))
    among = difference[np.ix_(taken, taken)] + 3 * np.eye(len(taken))
    names = tuple(SHAPES)
    return Code(tuple(names[i] for i in taken), readonly(maps[taken], np.float32), float(among.min()))


def seen(maps: F32, view: View, calibration: Calibration | None) -> F64:
    """Return what maps f32[k, rows, columns] look like, f64[k, cells]: phosphenes at their calibrated places.

    A phosphene is drawn as wide as its receptive field, the only width that a calibration knows.
    """
    if calibration is None:
        return maps.reshape(len(maps), -1).astype(np.float64)
    shape = (maps.shape[1], maps.shape[2])
    translator = RetinotopicTranslator(calibration, view, shape)
    codes = [MachineCode(0, 0, readonly(picture.ravel(), np.float32), "map", shape) for picture in maps]
    activity = np.array([translator.translate(code).activity for code in codes], np.float64)
    enabled = np.asarray(calibration.enabled, dtype=bool)
    x, y = (grid.ravel() for grid in cell_centres_deg(view.field, (32, 32)))
    squared = (x[None] - calibration.column("x_deg")[enabled, None]) ** 2
    squared += (y[None] - calibration.column("y_deg")[enabled, None]) ** 2
    # no narrower than the cells that it is drawn on
    sigma = np.maximum(calibration.column("rf_sigma_deg")[enabled], (view.field.x1_deg - view.field.x0_deg) / 64)
    picture: F64 = activity[:, enabled] @ np.exp(-squared / (2 * sigma[:, None] ** 2))
    return picture


def correlations(pictures: F64) -> F64:
    """Return how alike pictures [k, cells] are, f64[k, k]; a blank one is like none but itself."""
    centred = pictures - pictures.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
    alike: F64 = unit @ unit.T
    np.fill_diagonal(alike, 1.0)
    return alike


def load_code(path: Path, view: View, calibration: Calibration | None) -> Code:
    """Return the patterns of an ``.npz`` file: ``maps`` f32[k, rows, columns] in 0..1 over the view's field.

    Optional ``names`` [k]. Raises ``ConfigError`` when the file is not that.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            maps = np.asarray(content["maps"], np.float32)
            names = tuple(str(name) for name in content["names"]) if "names" in content else ()
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"{path}: no code of patterns ({error}); give an .npz with 'maps' f32[k, rows, columns]"
        ) from error
    names = names or tuple(f"pattern {number}" for number in range(len(maps)))
    # NaN fails the comparison too
    if maps.ndim != 3 or len(maps) < 2 or len(names) != len(maps) or not (maps.min() >= 0 and maps.max() <= 1):
        raise ConfigError(f"{path}: 'maps' must be f32[k, rows, columns] in 0..1, k at least 2, 'names' as many")
    resized = np.stack([cv2.resize(picture, SHAPE[::-1], interpolation=cv2.INTER_AREA) for picture in maps])
    difference = 1 - correlations(seen(resized, view, calibration)) + 3 * np.eye(len(maps))
    return Code(names, readonly(resized, np.float32), float(difference.min()))


def save_code(code: Code, path: Path) -> None:
    """Write patterns as ``load_code`` reads them."""
    with path.open("wb") as file:
        np.savez_compressed(file, maps=code.maps, names=np.array(code.names))
