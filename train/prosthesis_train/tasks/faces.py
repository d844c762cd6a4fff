"""Faces of known identity, drawn from parameters: no permissively licensed pictures of people with identities install.

A person is two dozen numbers (proportions, hair, skin, brows, beard, glasses); a picture adds turn of the head,
expression, light, size and place. Train and test are different people. Easier than photographs in some ways (clean
contours) and harder in others (no texture): figures on them say how encoders compare, not how well faces are known.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np

from prosthesis_train.tasks.drawing import F32, SHIFT, noisy
from prosthesis_train.tasks.task import SQUARE, U8, Part, Random, Task

PEOPLE = {"train": 1000, "test": 40}
TRAITS = (
    *("width", "jaw", "chin", "hairline", "hair_gray", "skin_gray", "eye_gap", "eye_size", "eye_y", "brow_y"),
    *("brow_thick", "brow_tilt", "nose_long", "nose_wide", "mouth_y", "mouth_wide", "lip", "ear", "hair_side"),
)
UP = 2
MIDDLE = SQUARE * UP / 2


@functools.lru_cache(maxsize=512)
def person(part: Part, number: int) -> dict[str, float]:
    """Return a person's traits, each about -1..1, and what they have: ``hair`` 0..3, ``beard``, ``glasses`` 0 or 1."""
    random = np.random.default_rng([number, 0 if part == "train" else 1, 77])
    traits = {name: float(np.clip(random.normal(0, 0.6), -1.3, 1.3)) for name in TRAITS}
    traits["hair"] = float(random.integers(4))
    traits["beard"], traits["glasses"] = float(random.random() < 0.25), float(random.random() < 0.25)
    return traits


def draw(part: Part, label: int, random: Random) -> U8:
    """Return one picture of person ``label``."""
    face = _face(person(part, label), random)
    size = random.uniform(0.68, 0.8) * SQUARE
    matrix = cv2.getRotationMatrix2D((SQUARE * UP / 2, SQUARE * UP / 2), random.uniform(-5, 5), size / (SQUARE * UP))
    matrix[:, 2] += SQUARE * (0.5 + random.uniform(-SHIFT, SHIFT, 2)) - SQUARE * UP / 2
    small = cv2.warpAffine(cv2.GaussianBlur(face, (0, 0), 1.0), matrix, (SQUARE, SQUARE), flags=cv2.INTER_AREA)
    side = 1 + random.uniform(-0.25, 0.25) * np.linspace(-1, 1, SQUARE, dtype=np.float32)
    return noisy(small * side * random.uniform(0.85, 1.1), random)[None]


class _Sketch:
    """A face being drawn: f32[360, 360], black around; ``turn`` is that of the head, in radians."""

    def __init__(self, p: dict[str, float], random: Random) -> None:
        self.p, self.image = p, np.zeros((SQUARE * UP, SQUARE * UP), np.float32)
        self.turn, self.smile = random.uniform(-0.35, 0.35), random.uniform(-1, 1)
        self.gape = max(0.0, random.uniform(-1, 1))
        self.wide, self.high = 95 + 14 * p["width"], 130.0
        self.skin, self.hair = 165 + 40 * p["skin_gray"], float(np.clip(90 + 80 * p["hair_gray"], 15, 235))

    def at(self, x: float, y: float) -> tuple[int, int]:
        """Return a place on the face: x in half widths, turned with the head, y in half heights, down."""
        across = x * np.cos(self.turn) + np.sin(self.turn) * (1 - 0.5 * x * x)
        return int(MIDDLE + self.wide * across), int(MIDDLE + self.high * y)

    def oval(self, centre: tuple[int, int], rx: float, ry: float, light: float, tilt: float = 0.0) -> None:
        """Fill an ellipse."""
        axes = (max(1, int(rx)), max(1, int(ry)))
        cv2.ellipse(self.image, centre, axes, tilt, 0, 360, light, -1, cv2.LINE_AA)

    def line(self, places: list[tuple[int, int]], light: float, thick: float) -> None:
        """Draw a line through places."""
        cv2.polylines(self.image, [np.array(places)], False, light, int(thick), cv2.LINE_AA)


def _face(p: dict[str, float], random: Random) -> F32:
    """Return the face f32[360, 360], about 300 high."""
    sketch = _Sketch(p, random)
    _behind(sketch)
    _head(sketch.image, p, sketch.wide, sketch.high, sketch.skin)
    _fringe(sketch)
    _eyes(sketch)
    _nose_and_mouth(sketch)
    return sketch.image


def _behind(s: _Sketch) -> None:
    """Draw hair and ears, which the head covers in part."""
    middle = int(MIDDLE)
    if s.p["hair"] == 2:  # long
        s.oval((middle, middle + 15), s.wide * 1.22, s.high * 1.12, s.hair)
    if s.p["hair"] > 0:
        axes = (int(s.wide * 1.08), int(s.high * 0.98))
        cv2.ellipse(s.image, (middle, middle - 22), axes, 0, 180, 360, s.hair, -1, cv2.LINE_AA)
    for side in (-1, 1):
        s.oval((int(MIDDLE + side * s.wide), middle), 9 + 4 * s.p["ear"], 22, s.skin * 0.85)


def _fringe(s: _Sketch) -> None:
    if s.p["hair"] == 0:
        return
    line = -0.62 + 0.12 * s.p["hairline"] + (0.22 if s.p["hair"] == 3 else 0.0)
    places = [(-0.95, line), (s.p["hair_side"] * 0.5, line - 0.1), (0.95, line), (0.8, -1.02), (-0.8, -1.02)]
    outline = np.array(places) * (s.wide, s.high) + MIDDLE
    cv2.fillPoly(s.image, [np.rint(outline).astype(np.int32)], s.hair, cv2.LINE_AA)


def _eyes(s: _Sketch) -> None:
    p, gap, y, size = s.p, 0.40 + 0.07 * s.p["eye_gap"], -0.12 + 0.06 * s.p["eye_y"], 15 + 4 * s.p["eye_size"]
    for side in (-1.0, 1.0):
        s.oval(s.at(side * gap, y), size, size * 0.55, 235)
        s.oval(s.at(side * gap + 0.15 * s.turn, y), size * 0.45, size * 0.5, 25)
        lift = y - 0.17 - 0.04 * p["brow_y"] - 0.04 * max(s.smile, 0)
        s.oval(
            s.at(side * gap, lift),
            size * 1.4,
            4 + 2.5 * p["brow_thick"],
            s.hair * 0.6,
            side * (6 + 10 * p["brow_tilt"]),
        )
        if p["glasses"]:
            cv2.circle(s.image, s.at(side * gap, y), int(size * 1.7), 30, 5, cv2.LINE_AA)
    if p["glasses"]:
        s.line([s.at(-gap * 0.4, y), s.at(gap * 0.4, y)], 30, 5)


def _nose_and_mouth(s: _Sketch) -> None:
    p, nose = s.p, 0.22 + 0.07 * s.p["nose_long"]
    s.line([s.at(0.05, 0.06 * p["eye_y"]), s.at(0.08 + 0.1 * s.turn, nose)], s.skin * 0.75, 6)
    s.oval(s.at(0.0, nose), 16 + 6 * p["nose_wide"], 8, s.skin * 0.7)
    y, half = 0.5 + 0.06 * p["mouth_y"], 0.34 + 0.08 * p["mouth_wide"] + 0.05 * s.smile
    if p["beard"]:
        s.oval(s.at(0.0, y + 0.2), s.wide * 0.72, s.high * 0.36, s.hair * 0.8)
    bend = 0.10 * s.smile
    s.line([s.at(x * half, y - bend * (x * x - 0.5)) for x in np.linspace(-1, 1, 9)], 70, 10 + 4 * p["lip"])
    if s.gape > 0.3:
        s.oval(s.at(0.0, y + 0.06), half * s.wide * 0.6, 18 * s.gape, 25)


def _head(image: F32, p: dict[str, float], wide: float, high: float, skin: float) -> None:
    """Fill the head's contour: an ellipse whose lower half is a super-ellipse of this person's jaw."""
    t = np.linspace(0, 2 * np.pi, 90)
    power = np.where(np.sin(t) > 0, 1.0 + 0.3 * p["jaw"], 1.0)
    x = np.sign(np.cos(t)) * np.abs(np.cos(t)) ** power * wide
    y = np.sin(t) * high * np.where(np.sin(t) > 0, 1 + 0.1 * p["chin"], 1.0)
    outline = np.stack([x, y], axis=1) + SQUARE * UP / 2
    cv2.fillPoly(image, [np.rint(outline).astype(np.int32)], skin, cv2.LINE_AA)


TASKS = (
    Task(
        "faces",
        "whose face it is: which of four pictures shows the same person",
        tuple(f"person {k}" for k in range(PEOPLE["train"])),
        draw,
        "drawn from parameters; 1000 people to train, 40 others to test",
        (
            "10x10 to 32x32 phosphenes, sighted viewers, 4-AFC: highly significant at high contrast (Thompson 2003)",
            "16x16 and 32x32 with 30 % dropout, old or new: at chance (Irons et al.)",
        ),
        zoomable=True,
        match=4,
        test_people=PEOPLE["test"],
    ),
)
