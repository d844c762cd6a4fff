"""Acuity: Landolt's C at four sizes and gratings at four, whose gap or bar in degrees of the view says how fine.

Sizes are shares of the square: the gap is a fifth of the C's diameter. Train and test differ in everything continuous
(size, place, turn, light, noise), which is all that there is.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np

from prosthesis_train.tasks.drawing import SHIFT, lit, noisy
from prosthesis_train.tasks.task import SQUARE, U8, Part, Random, Task

SIDES = ("right", "up", "left", "down")
DIAMETERS = (0.2, 0.3, 0.45, 0.6)
BARS = (1 / 32, 1 / 16, 1 / 8, 1 / 5)
UP = 4


def landolt(part: Part, label: int, random: Random, diameter: float | None = None) -> U8:
    """Return a C with its gap on one of four sides; ``diameter`` None takes one of ``DIAMETERS``."""
    size = (diameter or float(random.choice(DIAMETERS))) * random.uniform(0.95, 1.05) * SQUARE * UP
    centre = SQUARE * UP * (0.5 + random.uniform(-SHIFT, SHIFT, 2))
    image = np.zeros((SQUARE * UP, SQUARE * UP), np.uint8)
    middle = (int(centre[0]), int(centre[1]))
    cv2.circle(image, middle, int(0.4 * size), 255, int(0.2 * size))
    angle = np.deg2rad(90 * label + random.uniform(-4, 4))
    out, side = np.array([np.cos(angle), -np.sin(angle)]), np.array([np.sin(angle), np.cos(angle)])
    corners = [out * 0.1 * size + side * 0.1 * size, out * 0.7 * size + side * 0.1 * size]
    corners += [out * 0.7 * size - side * 0.1 * size, out * 0.1 * size - side * 0.1 * size]
    cv2.fillPoly(image, [np.rint(centre + np.array(corners)).astype(np.int32)], (0,))
    small = cv2.resize(image, (SQUARE, SQUARE), interpolation=cv2.INTER_AREA)
    return lit(small.astype(np.float32) / 255, random)[None]


def grating(part: Part, label: int, random: Random, bar: float | None = None) -> U8:
    """Return bars, upright (0) or level (1), over the whole square; ``bar`` None takes one of ``BARS``."""
    width = (bar or float(random.choice(BARS))) * random.uniform(0.95, 1.05) * SQUARE
    y, x = np.mgrid[:SQUARE, :SQUARE].astype(np.float32)
    turn = np.deg2rad(90 * label + random.uniform(-4, 4))
    along = np.cos(turn) * x + np.sin(turn) * y
    wave = 0.5 + 0.5 * np.clip(4 * np.sin(np.pi * along / width + random.uniform(0, 2 * np.pi)), -1, 1)
    return noisy((wave * random.uniform(190, 255)).astype(np.float32), random)[None]


TASKS = (
    Task(
        "landolt",
        "on which of four sides a Landolt C is open, four sizes",
        SIDES,
        landolt,
        "drawn",
        ("one Argus II user read Landolt's C with a Lanczos2 filter",),
        levels=tuple((size / 5, functools.partial(landolt, diameter=size)) for size in DIAMETERS),
    ),
    Task(
        "grating",
        "whether bars stand or lie, four widths",
        ("upright", "level"),
        grating,
        "drawn",
        ("60 electrodes: 9 of 27 Argus II users better than 2.9 logMAR at 3 years, 8 of 21 at 5",),
        levels=tuple((bar, functools.partial(grating, bar=bar)) for bar in BARS),
    ),
)
