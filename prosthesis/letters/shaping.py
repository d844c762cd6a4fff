"""The box and the stroke that keep this patient's letters furthest apart, found once when the encoder starts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prosthesis.calibration import Calibration
from prosthesis.letters.drawing import Shape, draw
from prosthesis.letters.legibility import Legibility
from prosthesis.letters.strokes import LETTERS
from prosthesis.messages import F32
from prosthesis.view import Field, View

STEPS = (1.4, 1.18, 1.07)  # factors tried on sizes, largest first; places move by as much of the box
STROKE = 0.16  # of the height, where the search begins: a common weight of road signs
ASPECT = 0.75
TRIM = 5.0  # per cent of the phosphenes left outside on each side where the search begins
MOST = 120  # sets of letters compared


def begin(calibration: Calibration) -> Shape:
    """Return the box over the enabled phosphenes, where the search for a better one begins."""
    enabled = calibration.column("enabled").astype(bool)
    x, y = calibration.column("x_deg")[enabled], calibration.column("y_deg")[enabled]
    (left, right), (low, high) = (np.percentile(values, [TRIM, 100 - TRIM]) for values in (x, y))
    height = max(float(high - low), float(right - left) / 2, 1e-3)
    width = min(float(right - left), ASPECT * height) or ASPECT * height
    return Shape(float(left + right) / 2, float(low + high) / 2, width, height, STROKE * height)


def plain_shape(field: Field) -> Shape:
    """Return letters that fill the middle half of a field of which nothing else is known."""
    height = (field.y1_deg - field.y0_deg) / 2
    x_deg, y_deg = (field.x0_deg + field.x1_deg) / 2, (field.y0_deg + field.y1_deg) / 2
    return Shape(x_deg, y_deg, ASPECT * height, height, STROKE * height)


def shape_letters(calibration: Calibration, view: View, side: int) -> Shape:
    """Return the shape of least ``Legibility.confusion``, by descent along one number after another."""
    legibility = Legibility(calibration, view, side)

    def cost(shape: Shape) -> float:
        return legibility.confusion(alphabet(shape, view.field, side)) if _inside(shape, view.field) else np.inf

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
        for name in ("width_deg", "height_deg", "stroke_deg")
        for factor in (step, 1 / step)
    ]
    move = (step - 1) / 2
    places = [replace(shape, x_deg=shape.x_deg + sign * move * shape.width_deg) for sign in (1, -1)]
    return sizes + places + [replace(shape, y_deg=shape.y_deg + sign * move * shape.height_deg) for sign in (1, -1)]


def _inside(shape: Shape, field: Field) -> bool:
    """Return whether the middles of the strokes stay within the field."""
    return (
        shape.x_deg - shape.width_deg / 2 >= field.x0_deg
        and shape.x_deg + shape.width_deg / 2 <= field.x1_deg
        and shape.y_deg - shape.height_deg / 2 >= field.y0_deg
        and shape.y_deg + shape.height_deg / 2 <= field.y1_deg
    )
