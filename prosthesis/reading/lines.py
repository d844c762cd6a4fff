"""From the detector's map to lines of text, and from a line to the upright strip that the recogniser reads.

Differentiable binarisation (Liao et al. 2020): the map is text shrunk to its core, so each core found is grown again by
``area * UNCLIP / perimeter``. Thresholds are those PP-OCR is used with.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis.messages import F32, U8

F64 = npt.NDArray[np.float64]

CORE, LINE = 0.3, 0.5  # probability of a pixel to belong to a core, and a core's mean to be a line
UNCLIP = 1.6
LEAST_PX = 3  # a core smaller than this, in the detector's pixels, is no text that could be read


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text: a rectangle of any tilt in the picture, in its pixels.

    ``corners`` f64[4, 2] are (x, y) clockwise from the upper left as one reads it; ``score`` is the detector's.
    """

    corners: F64
    score: float

    @property
    def size_px(self) -> tuple[float, float]:
        """Length and height."""
        upper_left, upper_right, _, lower_left = self.corners
        return float(np.linalg.norm(upper_right - upper_left)), float(np.linalg.norm(lower_left - upper_left))

    def part(self, start: float, end: float) -> F64:
        """Return the corners of the part from ``start`` to ``end`` (0 left to 1 right) of the line."""
        upper_left, upper_right, lower_right, lower_left = self.corners
        above, below = upper_right - upper_left, lower_right - lower_left
        return np.array(
            [upper_left + start * above, upper_left + end * above, lower_left + end * below, lower_left + start * below]
        )


def shrink(rgb: U8, size_px: tuple[int, int]) -> tuple[U8, float]:
    """Fit a picture u8[h, w, 3] into ``size_px`` (width, height), shape kept, black to the right and below.

    Returns it as u8[height, width, 3] with the scale it was shrunk by (pixels of the result over the picture's).
    """
    (width, height), (rows, columns) = size_px, rgb.shape[:2]
    scale = min(width / columns, height / rows)
    inside = max(1, round(columns * scale)), max(1, round(rows * scale))
    out = np.zeros((height, width, 3), np.uint8)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    out[: inside[1], : inside[0]] = cv2.resize(rgb, inside, interpolation=method)
    return out, scale


def find_lines(text: F32, scale: float) -> list[Line]:
    """Return the lines in the detector's map ``text`` f32[h, w], in pixels of the picture shrunk by ``scale``."""
    core = cv2.dilate((text > CORE).astype(np.uint8), np.ones((2, 2), np.uint8))
    outlines, _ = cv2.findContours(core, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found = (_line(text, outline, scale) for outline in outlines)
    return [line for line in found if line is not None]


def _line(text: F32, outline: npt.NDArray[np.int32], scale: float) -> Line | None:
    (x, y), (width, height), angle_deg = cv2.minAreaRect(outline)
    if min(width, height) < LEAST_PX:
        return None
    score = _mean_inside(text, outline)
    if score < LINE:
        return None
    quarters = round(
        angle_deg / 90
    )  # OpenCV's versions count differently; the axis nearer to level is the way one reads
    angle_deg -= 90 * quarters
    if quarters % 2:
        width, height = height, width
    grow = width * height * UNCLIP / (2 * (width + height))
    half = np.array([width / 2 + grow, height / 2 + grow])
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    turn = np.deg2rad(angle_deg)
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    corners = (np.array([x, y]) + 0.5 + (signs * half) @ axes) / scale
    return Line(corners, score)


def _mean_inside(text: F32, outline: npt.NDArray[np.int32]) -> float:
    left, top, width, height = cv2.boundingRect(outline)
    inside = np.zeros((height, width), np.uint8)
    cv2.fillPoly(inside, [outline - (left, top)], 1)
    return float(cv2.mean(text[top : top + height, left : left + width], inside)[0])


def cut(rgb: U8, corners: F64, size_px: tuple[int, int]) -> tuple[U8, float]:
    """Return the upright strip u8[height, width, 3] between ``corners`` (as ``Line.corners``), and how far it reaches.

    A strip too long for ``size_px`` (width, height) is squeezed, a shorter one ends at the share returned, in mid grey,
    which is what the recogniser was padded with in training.
    """
    (width, height), line = size_px, Line(corners, 1.0)
    length, tall = line.size_px
    native = max(1, round(length)), max(1, round(tall))
    frame = np.array([[0, 0], [native[0], 0], [0, native[1]]], np.float32)
    place = cv2.getAffineTransform(corners[[0, 1, 3]].astype(np.float32) - 0.5, frame - 0.5)
    strip = cv2.warpAffine(rgb, place, native, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    filled = min(width, max(1, round(length / tall * height)))
    shrinks = native[1] > height
    out = np.full((height, width, 3), 127, np.uint8)
    out[:, :filled] = cv2.resize(strip, (filled, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return out, filled / width
