"""The box, stroke and brightness at which a reader of print tells this patient's letters best; found at start-up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prosthesis.calibration import Calibration
from prosthesis.letters.drawing import Shape, draw
from prosthesis.letters.legibility import Legibility
from prosthesis.letters.strokes import LETTERS
from prosthesis.messages import F32
from prosthesis.view import Field, View

STEPS = (1.25, 1.1)  # factors tried on sizes and level, largest first; places move by half as much of the box
STROKE, ASPECT = 0.16, 0.75  # of the height, where the search begins: common on road signs
TRIM = 5.0  # per cent of the phosphenes left outside on each side where the search begins
MOST = 60  # sets of letters compared
# what stays an ordinary letter: width and stroke over height; and not fainter than half
ASPECTS, STROKES, LEVELS = (0.6, 0.9), (0.14, 0.26), (0.5, 1.0)


def begin(calibration: Calibration) -> Shape:
    """Return the box over the enabled phosphenes, where the search for a better one begins."""
    enabled = calibration.column("enabled").astype(bool)
    x, y = calibration.column("x_deg")[enabled], calibration.column("y_deg")[enabled]
    (left, right), (low, high) = (np.percentile(values, [TRIM, 100 - TRIM]) for values in (x, y))
    height = max(float(high - low), float(right - left) / 2, 1e-3)
    width = ASPECT * height
    return Shape(float(left + right) / 2, float(low + high) / 2, width, height, STROKE * height, 1.0)


def plain_shape(field: Field) -> Shape:
    """Return letters that fill the middle half of a field of which nothing else is known."""
    height = (field.y1_deg - field.y0_deg) / 2
    x_deg, y_deg = (field.x0_deg + field.x1_deg) / 2, (field.y0_deg + field.y1_deg) / 2
    return Shape(x_deg, y_deg, ASPECT * height, height, STROKE * height, 1.0)


def shape_letters(calibration: Calibration, view: View, side: int) -> Shape:
    """Return the shape of least ``Legibility.surprise``, by descent along one number after another.

    Nothing random, and about a second: ``MOST`` sets of letters at most are compared.
    """
    legibility = Legibility(calibration, view, side)

    def cost(shape: Shape) -> float:
        if not _ordinary(shape, view.field):
            return np.inf
        ideal = alphabet(replace(shape, level=1.0), view.field, side)
        return legibility.surprise(shape.level * ideal, ideal)

    best = begin(calibration)
    least, tried = cost(best), 1
    for step in STEPS:
        improved = True
        while improved and tried < MOST:
            improved = False
            for candidate in _neighbours(best, step):
                tried += 1
                found = cost(candidate)
                if found < least:
                    best, least, improved = candidate, found, True
    return best


def alphabet(shape: Shape, field: Field, side: int) -> F32:
    """Return the maps f32[26, side, side] of the capital letters, all in one box."""
    return np.stack([draw(letter, (shape,), field, side) for letter in LETTERS])


def _neighbours(shape: Shape, step: float) -> list[Shape]:
    """Return the shapes one step away along each number."""
    sizes = [
        replace(shape, **{name: getattr(shape, name) * factor})
        for name in ("width_deg", "height_deg", "stroke_deg", "level")
        for factor in (step, 1 / step)
    ]
    move = (step - 1) / 2
    places = [replace(shape, x_deg=shape.x_deg + sign * move * shape.width_deg) for sign in (1, -1)]
    return sizes + places + [replace(shape, y_deg=shape.y_deg + sign * move * shape.height_deg) for sign in (1, -1)]


def _ordinary(shape: Shape, field: Field) -> bool:
    """Return whether these are still ordinary letters, and the middles of their strokes within the field."""
    return (
        ASPECTS[0] <= shape.width_deg / shape.height_deg <= ASPECTS[1]
        and STROKES[0] <= shape.stroke_deg / shape.height_deg <= STROKES[1]
        and LEVELS[0] <= shape.level <= LEVELS[1]
        and shape.x_deg - shape.width_deg / 2 >= field.x0_deg
        and shape.x_deg + shape.width_deg / 2 <= field.x1_deg
        and shape.y_deg - shape.height_deg / 2 >= field.y0_deg
        and shape.y_deg + shape.height_deg / 2 <= field.y1_deg
    )
