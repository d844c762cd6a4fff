"""Obstacles in rendered scenes of known truth: on which side, how far, how soon; three frames 0.1 s apart are judged.

A floor and a far wall in textures of photographs, one box that stands on the floor, a camera at eye height that walks
straight on. In the test part a second of the same walk comes before, for encoders that measure movement. Photographs
are split between the parts (``data/photographs.py``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import cv2
import numpy as np

from prosthesis_train.data.photographs import WHEELS, patches
from prosthesis_train.tasks.drawing import F32, noisy
from prosthesis_train.tasks.task import SQUARE, U8, Part, Random, Task

EYE_M, WALL_M, STEP_S, FRAMES, LEAD = 1.6, 14.0, 0.1, 3, 10
# the square is the middle 34 of the camera's 60 degrees; the head is bent a little
HALF_DEG, PITCH_DEG = 17.0, 9.0
POOL = 160
NEAR_M = ((1.2, 1.8), (2.6, 3.8), (5.5, 9.0))
CONTACT_S = ((0.7, 1.2), (1.8, 2.8), (4.5, 8.0))
FOCAL_PX = SQUARE / 2 / np.tan(np.deg2rad(HALF_DEG))


@functools.lru_cache(maxsize=2)
def _textures(part: Part) -> U8:
    return patches([p for p in WHEELS if p.held_out is (part == "test")], POOL, 96, 1, 5)[..., 0]


def scene(part: Part, random: Random, x_m: float, z_m: float, speed: float) -> U8:
    """Return the frames of an approach at ``speed`` m/s that ends with the box ``z_m`` ahead, ``x_m`` right."""
    return drawn(part, random, x_m, z_m, speed, FRAMES + (LEAD if part == "test" else 0))[0]


def drawn(part: Part, random: Random, x_m: float, z_m: float, speed: float, count: int) -> tuple[U8, F32]:
    """Return the last ``count`` frames of an approach u8[count, s, s], and how much of each pixel the box covers."""
    textures = _textures(part)
    floor, wall, skin = (textures[int(k)].astype(np.float32) for k in random.integers(POOL, size=3))
    wide, high = random.uniform(0.35, 0.8), random.uniform(0.9, 1.9)
    light = random.uniform(0.75, 1.1)
    # something that cannot be told from its ground is no obstacle in this task: at least 60 gray levels apart
    gray = float(np.clip(floor.mean() * 0.6 + random.choice((-1, 1)) * random.uniform(60, 110), 10, 245))
    skin = np.clip(gray + 0.4 * (skin - skin.mean()), 0, 255)
    frames = []
    for k in range(count):
        back = (count - 1 - k) * STEP_S * speed
        image = _ground(0.6 * floor, 0.5 * wall, back)
        covered = _box(image, skin, x_m, z_m + back, wide, high)
        frames.append(noisy(image * light, random))
    return np.stack(frames), covered


def _project(x_m: float, y_m: float, z_m: float) -> tuple[float, float]:
    """Return where a point (right, above the floor, ahead) falls on the square, in pixels."""
    pitch = np.deg2rad(PITCH_DEG)
    y, z = y_m - EYE_M, max(z_m, 0.05)
    down, ahead = -y * np.cos(pitch) - z * np.sin(pitch), z * np.cos(pitch) - y * np.sin(pitch)
    return SQUARE / 2 + FOCAL_PX * x_m / ahead, SQUARE / 2 + FOCAL_PX * down / ahead


def _ground(floor: F32, wall: F32, back_m: float) -> F32:
    """Return floor and far wall, seen from ``back_m`` behind the last frame's place."""
    near, far, half = 1.5 + back_m, WALL_M + back_m, 6.0
    edges = ((-half, far), (half, far), (half, near), (-half, near))
    corners = np.array([_project(x, 0.0, z) for x, z in edges], np.float32)
    n = floor.shape[0]
    matrix = cv2.getPerspectiveTransform(np.array([(0, 0), (n, 0), (n, n), (0, n)], np.float32), corners)
    image = cv2.warpPerspective(floor, matrix, (SQUARE, SQUARE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    horizon = max(1, int(corners[0][1]))
    image[:horizon] = cv2.resize(wall, (SQUARE, horizon))
    return np.asarray(image, np.float32)


def _box(image: F32, skin: F32, x_m: float, z_m: float, wide: float, high: float) -> F32:
    """Draw a box and return how much of each pixel it covers."""
    left, top = _project(x_m - wide / 2, high, z_m)
    right, bottom = _project(x_m + wide / 2, 0.0, z_m)
    n = skin.shape[0]
    matrix = np.array([((right - left) / n, 0, left), (0, (bottom - top) / n, top)], np.float32)
    painted = cv2.warpAffine(skin, matrix, (SQUARE, SQUARE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # edges between pixels, or growth would come in jumps of a pixel
    cover = np.outer(_cover(top, bottom), _cover(left, right))
    image += cover * (painted - image)
    return cover


def _cover(low: float, high: float) -> F32:
    """Return how much of each pixel the span from ``low`` to ``high`` covers."""
    pixel = np.arange(SQUARE)
    return np.clip(np.minimum(pixel + 1, high) - np.maximum(pixel, low), 0, 1).astype(np.float32)


def side(part: Part, label: int, random: Random) -> U8:
    """Return a box 1.5 to 4 m ahead, left or right of the way."""
    z = random.uniform(1.5, 4.0)
    offset = random.uniform(0.10, 0.22) * z
    return scene(part, random, offset * (1 if label else -1), z, random.uniform(0.5, 1.5))


def distance(part: Part, label: int, random: Random) -> U8:
    """Return a box near, at middle distance, or far."""
    z = random.uniform(*NEAR_M[label])
    return scene(part, random, random.uniform(-0.12, 0.12) * z, z, random.uniform(0.5, 1.5))


def contact(part: Part, label: int, random: Random) -> U8:
    """Return an approach that touches soon, later or not for long; speeds overlap, so distance alone does not tell."""
    speed = random.uniform(0.7, 2.0)
    z = random.uniform(*CONTACT_S[label]) * speed
    return scene(part, random, random.uniform(-0.12, 0.12) * z, z, speed)


def _task(name: str, summary: str, classes: tuple[str, ...], draw: Callable[[Part, int, Random], U8]) -> Task:
    published = ("26x26 phosphenes, sighted walkers: 90 % of the collisions saved, simple scene (de Ruyter 2022)",)
    source = "rendered, textures of photographs"
    return Task(name, summary, classes, draw, source, published, zoomable=False, lead=LEAD)


TASKS = (
    _task("obstacle-side", "whether an obstacle is left or right of the way", ("left", "right"), side),
    _task(
        "obstacle-distance",
        "whether an obstacle is near, at middle distance or far",
        ("near", "middle", "far"),
        distance,
    ),
    _task(
        "obstacle-contact",
        "whether an approaching obstacle touches soon, later or late",
        ("soon", "later", "late"),
        contact,
    ),
)
