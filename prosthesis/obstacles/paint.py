"""Findings as a task map: the nearer in time the brighter, where they are; an alarm is a flashing frame."""

from __future__ import annotations

import cv2
import numpy as np

from prosthesis.messages import F32
from prosthesis.obstacles.expansion import STEP
from prosthesis.obstacles.finder import Findings
from prosthesis.obstacles.urgency import BESIDE, Obstacle, brightness
from prosthesis.timing import NS_PER_S
from prosthesis.view import View

PRESENT = 0.2  # how bright an object is that nobody approaches
LEAST_SIZE = 0.12  # of the map's width and height: what is smaller would fall between phosphenes
FRAME = 1 / 8  # the flashing frame's width
FLASH_S = 0.4  # 2.5 flashes a second; WCAG 2.3.1 calls three a second the limit for people with epilepsy


def paint(findings: Findings, view: View, shape: tuple[int, int], now_ns: int) -> F32:
    """Return the map f32[rows, columns] in 0..1 of what lies in the view; things outside it are not shown."""
    out = _patches(findings.patches, view, shape)
    for thing in findings.obstacles:
        if thing.kind:
            _box(out, thing, view)
    if findings.alarm_ns is not None and _flash(now_ns - findings.alarm_ns):
        edge = max(1, round(FRAME * min(shape)))
        inner = out[edge:-edge, edge:-edge].copy()
        out[:] = 1.0
        out[edge:-edge, edge:-edge] = inner
    return out


def _flash(since_ns: int) -> bool:
    return since_ns % round(FLASH_S * NS_PER_S) < FLASH_S * NS_PER_S / 2


def _patches(light: F32, view: View, shape: tuple[int, int]) -> F32:
    """Sample the patches, which lie at every ``STEP``th cell of the frame, at the map's cells."""
    left, top, right, bottom = view.crop
    places = []
    for low, high, cells, patches in ((left, right, shape[1], light.shape[1]), (top, bottom, shape[0], light.shape[0])):
        at = low + (np.arange(cells) + 0.5) / cells * (high - low)
        places.append(np.where((at < 0) | (at > 1), -10.0, at * patches - 0.5 / STEP))
    x, y = (part.astype(np.float32) for part in np.meshgrid(*places))
    # to the frame's edges the outermost patches, beyond them black
    wide = cv2.copyMakeBorder(light, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.remap(wide, x + 1, y + 1, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT))


def _box(out: F32, thing: Obstacle, view: View) -> None:
    """Fill an object's box, at least ``LEAST_SIZE`` large, where it is not brighter already."""
    light = max(PRESENT, float(brightness(thing.time_s)) * (1.0 if thing.ahead else BESIDE))
    left, top, right, bottom = view.crop
    spans = []
    for low, high, near, far, cells in (
        (thing.left, thing.right, left, right, out.shape[1]),
        (thing.top, thing.bottom, top, bottom, out.shape[0]),
    ):
        middle, half = ((low + high) / 2 - near) / (far - near), max((high - low) / (far - near), LEAST_SIZE) / 2
        spans.append(_cover(middle - half, middle + half, cells))
    across, down = spans
    np.maximum(out, np.float32(light) * np.outer(down, across), out=out)


def _cover(low: float, high: float, cells: int) -> F32:
    """Return how much of each cell the span from ``low`` to ``high`` (fractions of all) covers."""
    edges = np.arange(cells + 1) / cells
    covered = np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0.0, 1.0 / cells) * cells
    return np.asarray(covered, np.float32)
