"""A window fixed in the field of view, onto a line of text as the camera sees it, larger and upright."""

from __future__ import annotations

import cv2
import numpy as np

from prosthesis.letters.drawing import Shape
from prosthesis.messages import F32, U8
from prosthesis.reading.lines import F64, Line
from prosthesis.reading.reader import Word
from prosthesis.view import View

FAINT = 24  # of 255: less contrast than this between ink and ground is no text


def window(rgb: U8, lines: tuple[tuple[Word, ...], ...], view: View, shape: Shape, side: int) -> F32:
    """Return the map f32[side, side] of the line nearest to the view's centre, ink bright, as high as letters are.

    The wearer reads on by turning the head: what stands in the middle is what the view's centre points at along the
    line. Nothing is shown when no line is in view.
    """
    out, frame_px = np.zeros((side, side), np.float32), (rgb.shape[1], rgb.shape[0])
    left, top, right, bottom = view.crop
    centre = np.array([(left + right) / 2, (top + bottom) / 2]) * frame_px
    found = [_line(words, frame_px) for words in lines if words]
    found = [line for line in found if _away(line, centre) < line.size_px[1]]
    if not found:
        return out
    line = min(found, key=lambda line: _away(line, centre))
    cells = side / (view.field.x1_deg - view.field.x0_deg)
    high = max(2, round((shape.height_deg + shape.stroke_deg) * cells))
    strip = _strip(rgb, line, _along(line, centre), (side, high))
    first = round((view.field.y1_deg - shape.y_deg) * cells - high / 2)
    first = min(max(first, 0), side - high)
    out[first : first + high] = _ink(strip)
    return out


def _line(words: tuple[Word, ...], frame_px: tuple[int, int]) -> Line:
    first, last = words[0].corners, words[-1].corners
    return Line(np.array([first[0], last[1], last[2], first[3]]) * frame_px, 1.0)


def _along(line: Line, point: F64) -> float:
    """Return how far along the line ``point`` is, 0 at its left end, 1 at its right, within these."""
    start, end = (line.corners[[0, 3]].mean(axis=0), line.corners[[1, 2]].mean(axis=0))
    way = end - start
    return float(np.clip((point - start) @ way / max(way @ way, 1e-9), 0.0, 1.0))


def _away(line: Line, point: F64) -> float:
    """Return the distance in pixels from ``point`` to the line's middle."""
    start, end = (line.corners[[0, 3]].mean(axis=0), line.corners[[1, 2]].mean(axis=0))
    return float(np.linalg.norm(start + _along(line, point) * (end - start) - point))


def _strip(rgb: U8, line: Line, middle: float, size: tuple[int, int]) -> U8:
    """Return the grey strip u8[height, width] of ``size``, around the share ``middle`` of the line, at its height."""
    length, tall = line.size_px
    half = 0.5 * size[0] / size[1] * tall / max(length, 1.0)
    corners = line.part(middle - half, middle + half)
    target = np.array([[0, 0], [size[0], 0], [0, size[1]]], np.float32)
    place = cv2.getAffineTransform(corners[[0, 1, 3]].astype(np.float32) - 0.5, target - 0.5)
    warped = cv2.warpAffine(rgb, place, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(warped, cv2.COLOR_RGB2GRAY), np.uint8)


def _ink(strip: U8) -> F32:
    """Return ink as 1 and ground as 0, f32 like ``strip``: of the two the ink is what there is less of."""
    low, high = np.percentile(strip, [5, 95])
    if high - low < FAINT:
        return np.zeros(strip.shape, np.float32)
    level, _ = cv2.threshold(strip, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    bright = np.clip((strip.astype(np.float32) - low) / (high - low), 0, 1)
    return np.asarray(bright if (strip > level).mean() < 0.5 else 1 - bright, np.float32)
