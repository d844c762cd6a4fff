"""Scenes from a formula, with the truth about what they show: a moving bar, letters, a corridor with obstacles.

Each scene is a pure function of time, picture width and height; frame ``seq`` shows it at ``(seq - 1) / fps`` seconds.
Lengths and places in a picture are in pixels from its upper left corner, where pixel (0, 0) spans -0.5 to 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis.cameras.newest import PacedCamera
from prosthesis.config import CameraConfig
from prosthesis.errors import CameraError
from prosthesis.messages import U8
from prosthesis.protocols import Clock

F32 = npt.NDArray[np.float32]
DARK, LIGHT = 24, 232

SWEEP_S = 2.0
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LETTER_S = 1.0
DRIFT_S = (5.0, 7.0)  # periods of the letter's wander in x and y

FIELD_DEG = 60.0  # the corridor camera's horizontal field of view
EYE_M, HALF_WIDTH_M, CEILING_M = 1.5, 1.0, 2.6
WALK_M_PER_S, SPACING_M, BOX_DEPTH_M = 1.2, 4.0, 0.5
NEAR_M, FAR_M, FADE_M = 0.3, 24.0, 8.0
GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0  # multiples modulo 1 never repeat and fill 0..1 evenly


@dataclass(frozen=True, slots=True)
class BarTruth:
    """Where the bar is: its centre line lies ``offset_px`` from the picture's centre along its direction of motion.

    ``direction_deg`` is 0 to the right and 90 up.
    """

    direction_deg: float
    offset_px: float
    width_px: float


@dataclass(frozen=True, slots=True)
class LetterTruth:
    """Which letter is shown, the centre of its ink and the ink's height."""

    letter: str
    x_px: float
    y_px: float
    height_px: float


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A box on the floor: distance to its front, extent to the right (``x_m``) and up, and its front in the picture.

    ``distance_m`` goes below 0 while one walks past it; ``front_px`` is (left, top, right, bottom) and may reach beyond
    the picture.
    """

    distance_m: float
    side: str
    x_m: tuple[float, float]
    height_m: float
    front_px: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class CorridorTruth:
    """The obstacles ahead or still beside the viewer, nearest first."""

    obstacles: tuple[Obstacle, ...]


Truth = BarTruth | LetterTruth | CorridorTruth
Scene = Callable[[float, int, int], tuple[U8, Truth]]


def bar(t_s: float, width: int, height: int) -> tuple[U8, BarTruth]:
    """Return a light bar that sweeps across the dark picture every 2 s, in eight directions in turn."""
    sweep, phase = divmod(t_s / SWEEP_S, 1.0)
    degrees = 45.0 * (sweep % 8)
    bar_px = height / 8
    reach_px = (math.hypot(width, height) + bar_px) / 2  # from wholly outside one corner to outside the other
    offset_px = (2.0 * phase - 1.0) * reach_px
    x = (np.arange(width, dtype=np.float32) - (width - 1) / 2) * np.float32(math.cos(math.radians(degrees)))
    y = ((height - 1) / 2 - np.arange(height, dtype=np.float32)) * np.float32(math.sin(math.radians(degrees)))
    distance = np.abs(np.add.outer(y, x - np.float32(offset_px)))
    covered = np.clip(bar_px / 2 + 0.5 - distance, 0.0, 1.0)  # how much of each pixel the bar covers
    return _gray_to_rgb(covered.astype(np.float32)), BarTruth(degrees, offset_px, bar_px)


def letters(t_s: float, width: int, height: int) -> tuple[U8, LetterTruth]:
    """Return one light capital letter at a time on the dark, A to Z, a second each, wandering slowly."""
    letter = LETTERS[int(t_s / LETTER_S) % len(LETTERS)]
    size_px = min(width, height) // 2
    x_px = (width - 1) / 2 + 0.1 * width * math.sin(2 * math.pi * t_s / DRIFT_S[0])
    y_px = (height - 1) / 2 + 0.1 * height * math.sin(2 * math.pi * t_s / DRIFT_S[1])
    glyph = _glyph(letter, size_px)
    shift = np.array([[1, 0, x_px - (glyph.shape[1] - 1) / 2], [0, 1, y_px - (glyph.shape[0] - 1) / 2]])
    covered = cv2.warpAffine(glyph, shift, (width, height), flags=cv2.INTER_LINEAR)
    return _gray_to_rgb(covered), LetterTruth(letter, x_px, y_px, float(size_px - 2))


@lru_cache(maxsize=64)
def _glyph(letter: str, size_px: int) -> F32:
    """Return the letter's ink in 0..1, ``size_px`` high with an empty pixel all around, whatever OpenCV's font is."""
    canvas = np.zeros((512, 512), np.uint8)
    cv2.putText(canvas, letter, (96, 400), cv2.FONT_HERSHEY_SIMPLEX, 12.0, 255, 36, cv2.LINE_AA)
    left, top, ink_width, ink_height = cv2.boundingRect(canvas)
    ink = canvas[top : top + ink_height, left : left + ink_width].astype(np.float32) / 255
    inner = size_px - 2
    scaled = cv2.resize(ink, (max(1, round(ink_width * inner / ink_height)), inner), interpolation=cv2.INTER_AREA)
    return np.pad(scaled, 1)


def corridor(t_s: float, width: int, height: int) -> tuple[U8, CorridorTruth]:
    """Return the view of someone who walks down a corridor, with boxes standing along it left and right."""
    walked_m = WALK_M_PER_S * t_s
    project = _Projection(width, height)
    picture = np.zeros((height, width, 3), np.uint8)
    _draw_walls(picture, project, walked_m)
    obstacles = tuple(_obstacles(walked_m, project))
    for obstacle in reversed(obstacles):
        _draw_obstacle(picture, project, obstacle)
    return picture, CorridorTruth(obstacles)


class _Projection:
    """A pinhole camera at eye height in the middle of the corridor, looking along it."""

    def __init__(self, width: int, height: int) -> None:
        self.focal_px = width / 2 / math.tan(math.radians(FIELD_DEG / 2))
        self._centre = ((width - 1) / 2, (height - 1) / 2)

    def __call__(self, x_m: float, up_m: float, z_m: float) -> tuple[float, float]:
        scale = self.focal_px / z_m
        return self._centre[0] + scale * x_m, self._centre[1] + scale * (EYE_M - up_m)


Corner = tuple[float, float, float]


def _fill(picture: U8, project: _Projection, corners: list[Corner], colour: tuple[int, int, int], light: float) -> None:
    points = np.array([project(*corner) for corner in corners])
    shaded = tuple(round(part * light) for part in colour)
    # corners in sixteenths of a pixel and blended edges, so that things grow smoothly
    cv2.fillConvexPoly(picture, np.round(points * 16).astype(np.int32), shaded, cv2.LINE_AA, 4)


def _fade(z_m: float) -> float:
    return math.exp(-z_m / FADE_M)


def _draw_walls(picture: U8, project: _Projection, walked_m: float) -> None:
    """Draw metre-long tiles, each as all that lies beyond its near edge, so that neighbours leave no seam."""
    first = math.floor(walked_m + NEAR_M)
    low, high, side = 0.0, CEILING_M, HALF_WIDTH_M
    for tile in range(first, first + int(FAR_M)):
        near, far = max(tile - walked_m, NEAR_M), FAR_M
        light = _fade(near) * (1.0 if tile % 2 else 0.75)
        floor = [(-side, low, near), (side, low, near), (side, low, far), (-side, low, far)]
        ceiling = [(-side, high, near), (side, high, near), (side, high, far), (-side, high, far)]
        _fill(picture, project, floor, (120, 105, 90), light)
        _fill(picture, project, ceiling, (150, 150, 150), light)
        for x_m in (-side, side):
            wall = [(x_m, low, near), (x_m, high, near), (x_m, high, far), (x_m, low, far)]
            _fill(picture, project, wall, (110, 120, 130), light)


def _obstacles(walked_m: float, project: _Projection) -> list[Obstacle]:
    """Return the boxes, which stand at half, one and a half, ... times their spacing, as far as they can be seen."""
    first = math.ceil((walked_m + NEAR_M - BOX_DEPTH_M) / SPACING_M - 0.5)
    last = math.floor((walked_m + FAR_M) / SPACING_M - 0.5)
    return [_obstacle(number, (number + 0.5) * SPACING_M - walked_m, project) for number in range(first, last + 1)]


def _obstacle(number: int, distance_m: float, project: _Projection) -> Obstacle:
    chance = number * GOLDEN % 1.0
    inner_m = 0.2 + 0.2 * (7 * chance % 1.0)
    height_m = 0.7 + (3 * chance % 1.0)
    side, x_m = ("left", (-HALF_WIDTH_M, -inner_m)) if chance < 0.5 else ("right", (inner_m, HALF_WIDTH_M))
    front_m = max(distance_m, NEAR_M)
    left, top = project(x_m[0], height_m, front_m)
    right, bottom = project(x_m[1], 0.0, front_m)
    return Obstacle(distance_m, side, x_m, height_m, (left, top, right, bottom))


def _draw_obstacle(picture: U8, project: _Projection, obstacle: Obstacle) -> None:
    (left, right), up, near = obstacle.x_m, obstacle.height_m, max(obstacle.distance_m, NEAR_M)
    far, light = obstacle.distance_m + BOX_DEPTH_M, _fade(near)
    inner = right if obstacle.side == "left" else left
    flank = [(inner, 0.0, near), (inner, up, near), (inner, up, far), (inner, 0.0, far)]
    top = [(left, up, near), (right, up, near), (right, up, far), (left, up, far)]
    front = [(left, 0.0, near), (left, up, near), (right, up, near), (right, 0.0, near)]
    for corners, colour in ((flank, (170, 110, 40)), (top, (210, 160, 90)), (front, (250, 190, 90))):
        _fill(picture, project, corners, colour, light)


def _gray_to_rgb(covered: F32) -> U8:
    gray = cv2.convertScaleAbs(covered, alpha=LIGHT - DARK, beta=DARK)  # rounds
    rgb: U8 = cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)
    return rgb


SCENES: dict[str, Scene] = {"bar": bar, "letters": letters, "corridor": corridor}


class SyntheticCamera(PacedCamera):
    """A scene by name, at the configured size and pace; ``CameraError`` lists the scenes there are."""

    def __init__(self, name: str, config: CameraConfig, clock: Clock) -> None:
        if name not in SCENES:
            raise CameraError(f"no scene named '{name}'; there are: {', '.join(SCENES)}")
        scene = SCENES[name]
        super().__init__(lambda index: scene(index / config.fps, config.width, config.height)[0], config.fps, clock)
