"""Optical flow between pictures a tenth of a second apart, less what the camera's own rotation made of it.

Places and flow are in the camera's image plane in tangents: x to the right, y down, from the centre. Flow is measured
backwards, from the newest picture to an older one, so that it belongs to places of the newest picture. DIS (Kroeger
2016) finds it everywhere at a quarter of the picture's size; there, small things flow a third too slowly with what is
behind them, so the best corner of each cell is then followed at full size (Lucas & Kanade).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis.messages import F32, U8
from prosthesis.timing import NS_PER_S

F64 = npt.NDArray[np.float64]

WIDTH_PX = 320  # the picture is shrunk to this width, its height in whole cells
CELL_PX = 8
GAP_S = 0.12  # long enough for things 2 s away to grow by 6 %, short enough for 60 deg/s of turning to stay 7 deg
LEAST_GAP_S = 0.06
CORNER = 1e-4  # OpenCV's smaller eigenvalue at which a corner counts half
WINDOW_PX = 9
LOST_LEVELS = 20.0  # mean difference of gray around a corner and where it was found: after a cut most differ more
LEAST_KEPT = 0.55  # of the corners: below, the head turned too fast for flow (from 60 deg/s), or the picture changed
STRAY_PX = 3.0  # a corner that is found so far from where DIS saw it go is another corner
ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Flow:
    """Where the best corner of each cell of the newest picture was ``dt_s`` before: f32[rows, columns], y down.

    ``x`` and ``y`` are the corners' places, ``dx`` and ``dy`` older place less newer, in tangents; ``weight`` in 0..1
    says how much of a corner it is, 0 where it was lost. ``half`` is the picture's half width and half height.
    """

    x: F32
    y: F32
    dx: F32
    dy: F32
    weight: F32
    dt_s: float
    half: tuple[float, float]


class FlowMeter:
    """Keeps the last pictures of one camera of ``field_deg`` (width, height), and measures flow between them."""

    def __init__(self, field_deg: tuple[float, float]) -> None:
        self.half = (math.tan(math.radians(field_deg[0] / 2)), math.tan(math.radians(field_deg[1] / 2)))
        self._seen: deque[tuple[int, U8]] = deque(maxlen=32)
        self._dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def measure(self, rgb: U8, t_ns: int) -> Flow | None:
        """Return the flow up to this picture; ``None`` at the beginning, in a turn too fast, after a cut or a pause."""
        gray = small_gray(rgb)
        if self._seen and self._seen[-1][1].shape != gray.shape:
            self._seen.clear()
        while len(self._seen) > 1 and t_ns - self._seen[1][0] >= GAP_S * NS_PER_S:
            self._seen.popleft()
        older = self._seen[0] if self._seen else None
        self._seen.append((t_ns, gray))
        if older is None or not LEAST_GAP_S <= (t_ns - older[0]) / NS_PER_S <= 2 * GAP_S:
            return None
        return self._flow(gray, older[1], (t_ns - older[0]) / NS_PER_S)

    def _flow(self, gray: U8, older: U8, dt_s: float) -> Flow | None:
        at, quality = _corners(gray)
        dense = self._dis.calc(gray, older, None)
        start = at + dense[at[..., 1].astype(int), at[..., 0].astype(int)]
        found, ok, error = cv2.calcOpticalFlowPyrLK(
            gray,
            older,
            at.reshape(-1, 1, 2),
            start.reshape(-1, 1, 2).copy(),
            winSize=(WINDOW_PX, WINDOW_PX),
            maxLevel=0,
            criteria=(cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 10, 0.01),
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        )
        found = found.reshape(at.shape)
        height, width = gray.shape
        kept = (ok.astype(bool) & (error < LOST_LEVELS)).reshape(at.shape[:2])
        kept &= np.hypot(*np.moveaxis(found - start, 2, 0)) < STRAY_PX
        # what came from outside the picture was guessed
        kept &= (found >= 0).all(axis=2) & (found[..., 0] < width) & (found[..., 1] < height)
        if float((quality * kept).sum()) < LEAST_KEPT * float(quality.sum()):
            return None
        places, flow = np.zeros((2, *at.shape), np.float32)
        for axis, size in enumerate((width, height)):
            scale = np.float32(2 * self.half[axis] / size)
            places[..., axis] = (at[..., axis] + 0.5 - size / 2) * scale
            flow[..., axis] = np.where(kept, found[..., axis] - at[..., axis], 0.0) * scale
        return Flow(places[..., 0], places[..., 1], flow[..., 0], flow[..., 1], quality * kept, dt_s, self.half)


def _corners(gray: U8) -> tuple[F32, F32]:
    """Return the best corner of each cell, (x, y) in pixels f32[rows, columns, 2], and how good it is in 0..1."""
    strength = cv2.cornerMinEigenVal(gray, 3, ksize=3)
    rows, columns = gray.shape[0] // CELL_PX, gray.shape[1] // CELL_PX
    cells = strength[: rows * CELL_PX, : columns * CELL_PX].reshape(rows, CELL_PX, columns, CELL_PX)
    cells = cells.swapaxes(1, 2).reshape(rows, columns, -1)
    best = cells.argmax(axis=2)
    x = np.arange(columns) * CELL_PX + best % CELL_PX
    y = np.arange(rows)[:, None] * CELL_PX + best // CELL_PX
    value = np.take_along_axis(cells, best[..., None], 2)[..., 0]
    return np.stack([x, y], axis=2).astype(np.float32), value / (value + np.float32(CORNER))


def small_gray(rgb: U8) -> U8:
    """Return a picture u8[h, w, 3] as gray, ``WIDTH_PX`` wide and a whole number of cells high, at least 16."""
    height = max(4, round(rgb.shape[0] * WIDTH_PX / rgb.shape[1] / CELL_PX)) * CELL_PX
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    if gray.shape != (height, WIDTH_PX):
        gray = cv2.resize(gray, (WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    return np.asarray(gray)


def rotation_basis(x: F32, y: F32) -> tuple[F32, F32]:
    """Return the flow per radian of camera rotation about x, y, z: (dx, dy), each f32[3, ...] (Longuet-Higgins 1980).

    >>> dx, dy = rotation_basis(np.float32([0.0]), np.float32([0.0]))
    >>> dx[:, 0].tolist(), dy[:, 0].tolist()
    ([0.0, -1.0, 0.0], [1.0, -0.0, -0.0])
    """
    return np.stack([x * y, -(1 + x * x), y]), np.stack([1 + y * y, -x * y, -x])


def rotation(flow: Flow) -> F64:
    """Return the camera's rotation f64[3] in rad that explains most of the flow, deaf to what moves by itself.

    Least squares, reweighted by Cauchy's function of each cell's error; 0 where nothing can be seen.
    """
    dx, dy = (part.reshape(3, -1) for part in rotation_basis(flow.x, flow.y))
    basis = np.concatenate([dx, dy], axis=1).T.astype(np.float64)
    seen = np.concatenate([flow.dx.ravel(), flow.dy.ravel()]).astype(np.float64)
    texture = np.tile(flow.weight.ravel(), 2).astype(np.float64)
    if texture.sum() < 1.0:
        return np.zeros(3)
    weight, n = texture, len(seen) // 2
    turn = np.zeros(3)
    for _ in range(ROUNDS):
        scaled = basis * weight[:, None]
        turn = np.linalg.solve(scaled.T @ basis + 1e-9 * np.eye(3), scaled.T @ seen)
        error = seen - basis @ turn
        squared = error[:n] ** 2 + error[n:] ** 2
        spread = max(float(np.median(squared)), 1e-8)
        weight = texture * np.tile(1 / (1 + squared / (2 * spread)), 2)
    return turn


def without_rotation(flow: Flow) -> Flow:
    """Return what is left of the flow when the camera's own rotation is taken out."""
    turn = rotation(flow).astype(np.float32)
    dx, dy = rotation_basis(flow.x, flow.y)
    return replace(flow, dx=flow.dx - np.tensordot(turn, dx, 1), dy=flow.dy - np.tensordot(turn, dy, 1))
