"""Letters drawn into a map over the field of view."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from prosthesis.letters.strokes import strokes
from prosthesis.messages import F32
from prosthesis.view import Field

FINER = 4  # drawn so many times larger and averaged down
# looks at a letter: up and right, up and left, below; other electrodes miss other parts of it each time (docs/text.md)
LOOKS = ((1, 1), (-1, 1), (1, -1), (-1, -1))
ASIDE = 0.08  # of a letter's width and height
BETWEEN = 0.25  # gap between letters side by side, of a letter's width


@dataclass(frozen=True, slots=True)
class Shape:
    """The box in which a letter stands, by its centre and the middles of its outermost strokes, and their width."""

    x_deg: float
    y_deg: float
    width_deg: float
    height_deg: float
    stroke_deg: float

    def look(self, number: int) -> Shape:
        """Return the box of one of the ``LOOKS`` at a letter."""
        right, up = LOOKS[number]
        x_deg, y_deg = self.x_deg + right * ASIDE * self.width_deg, self.y_deg + up * ASIDE * self.height_deg
        return replace(self, x_deg=x_deg, y_deg=y_deg)

    def moved(self, right_deg: float) -> Shape:
        """Return the same box so far to the right."""
        return replace(self, x_deg=self.x_deg + right_deg)

    def places(self, count: int) -> tuple[Shape, ...]:
        """Return the boxes of ``count`` letters side by side in this one, with thinner strokes where needed."""
        width = self.width_deg / (count + BETWEEN * (count - 1))
        start = self.x_deg - self.width_deg / 2 + width / 2
        stroke = min(self.stroke_deg, width / 2)
        return tuple(
            replace(self, x_deg=start + k * (1 + BETWEEN) * width, width_deg=width, stroke_deg=stroke)
            for k in range(count)
        )


def draw(letters: str, boxes: tuple[Shape, ...], field: Field, side: int) -> F32:
    """Return the map f32[side, side] in 0..1 over ``field`` with each letter in its box; unknown ones are left out."""
    canvas = np.zeros((side * FINER, side * FINER), np.uint8)
    scale = canvas.shape[0] / (field.x1_deg - field.x0_deg)
    for letter, box in zip(letters, boxes, strict=True):
        thickness = max(1, round(box.stroke_deg * scale))
        size = np.array([box.width_deg, -box.height_deg]) * scale
        corner = np.array(
            [box.x_deg - box.width_deg / 2 - field.x0_deg, field.y1_deg - (box.y_deg - box.height_deg / 2)]
        )
        for line in strokes(letter):
            points = np.rint(corner * scale + line * size - 0.5).astype(np.int32)
            cv2.polylines(canvas, [points], False, 255, thickness)
    small = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(small.astype(np.float32) / 255, np.float32)
