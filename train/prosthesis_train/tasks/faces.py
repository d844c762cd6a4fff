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

PEOPLE = {"train": 200, "test": 40}
TRAITS = (
    "width jaw chin hairline hair_gray skin_gray eye_gap eye_size eye_y brow_y brow_thick brow_tilt nose_long nose_wide "
    "mouth_y mouth_wide lip ear hair_side"
).split()
UP = 2


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


def _face(p: dict[str, float], random: Random) -> F32:
    """Return the face f32[360, 360], about 300 high, black around."""
    side, middle = SQUARE * UP, SQUARE * UP / 2
    image = np.zeros((side, side), np.float32)
    turn, smile, gape = random.uniform(-0.35, 0.35), random.uniform(-1, 1), max(0.0, random.uniform(-1, 1))
    wide, high = 95 + 14 * p["width"], 130.0
    skin, hair = 165 + 40 * p["skin_gray"], np.clip(90 + 80 * p["hair_gray"], 15, 235)

    def at(x: float, y: float) -> tuple[int, int]:
        """Return a place on the face: x in half widths, turned with the head, y in half heights, down."""
        return int(middle + wide * (x * np.cos(turn) + np.sin(turn) * (1 - 0.5 * x * x))), int(middle + high * y)

    def oval(x: float, y: float, rx: float, ry: float, light: float, tilt: float = 0.0) -> None:
        cv2.ellipse(image, at(x, y), (max(1, int(rx)), max(1, int(ry))), tilt, 0, 360, light, -1, cv2.LINE_AA)

    head = (int(middle), int(middle))
    if p["hair"] == 2:  # long
        cv2.ellipse(image, (head[0], head[1] + 15), (int(wide * 1.22), int(high * 1.12)), 0, 0, 360, hair, -1, cv2.LINE_AA)
    if p["hair"] > 0:
        cv2.ellipse(image, (head[0], head[1] - 22), (int(wide * 1.08), int(high * 0.98)), 0, 180, 360, hair, -1, cv2.LINE_AA)
    for x in (-1, 1):
        cv2.ellipse(image, (int(middle + x * wide), int(middle)), (9 + int(4 * p["ear"]), 22), 0, 0, 360, skin * 0.85, -1)
    _head(image, p, wide, high, skin)
    if p["hair"] > 0:
        line = -0.62 + 0.12 * p["hairline"] + (0.22 if p["hair"] == 3 else 0.0)
        top = np.array([[-wide * 0.95, line * high], [p["hair_side"] * wide * 0.5, (line - 0.1) * high], [wide * 0.95, line * high],
                        [wide * 0.8, -high * 1.02], [-wide * 0.8, -high * 1.02]])
        cv2.fillPoly(image, [np.rint(top + middle).astype(np.int32)], hair, cv2.LINE_AA)
    gap, eye_y = 0.40 + 0.07 * p["eye_gap"], -0.12 + 0.06 * p["eye_y"]
    for x in (-gap, gap):
        size = 15 + 4 * p["eye_size"]
        oval(x, eye_y, size, size * 0.55, 235)
        oval(x + 0.15 * turn, eye_y, size * 0.45, size * 0.5, 25)
        lift = eye_y - 0.17 - 0.04 * p["brow_y"] - 0.04 * max(smile, 0)
        oval(x, lift, size * 1.4, 4 + 2.5 * p["brow_thick"], hair * 0.6, np.sign(x) * (6 + 10 * p["brow_tilt"]))
        if p["glasses"]:
            cv2.circle(image, at(x, eye_y), int(size * 1.7), 30, 5, cv2.LINE_AA)
    if p["glasses"]:
        cv2.line(image, at(-gap * 0.4, eye_y), at(gap * 0.4, eye_y), 30, 5, cv2.LINE_AA)
    nose_y = 0.22 + 0.07 * p["nose_long"]
    cv2.line(image, at(0.05, eye_y + 0.1), at(0.08 + 0.1 * turn, nose_y), skin * 0.75, 6, cv2.LINE_AA)
    oval(0.0, nose_y, 16 + 6 * p["nose_wide"], 8, skin * 0.7)
    mouth_y, mouth = 0.5 + 0.06 * p["mouth_y"], 0.34 + 0.08 * p["mouth_wide"] + 0.05 * smile
    if p["beard"]:
        oval(0.0, mouth_y + 0.2, wide * 0.72, high * 0.36, hair * 0.8)
    bend = 0.10 * smile
    lips = [at(x * mouth, mouth_y - bend * (x * x - 0.5)) for x in np.linspace(-1, 1, 9)]
    cv2.polylines(image, [np.array(lips)], False, 70, int(10 + 4 * p["lip"]), cv2.LINE_AA)
    if gape > 0.3:
        oval(0.0, mouth_y + 0.06, mouth * wide * 0.6, 18 * gape, 25)
    return image


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
        "drawn from parameters; 200 people to train, 40 others to test",
        (
            "10x10 to 32x32 phosphenes, sighted viewers, 4-AFC: highly significant at high contrast (Thompson 2003)",
            "16x16 and 32x32 with 30 % dropout, old or new: at chance (Irons et al.)",
        ),
        zoomable=True,
        match=4,
        test_people=PEOPLE["test"],
    ),
)
