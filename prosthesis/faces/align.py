"""A face turned upright, at the size and place where the embedder expects it: the ArcFace template."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis.messages import U8

F64 = npt.NDArray[np.float64]

SIDE = 112
# The five-point template of Deng et al. 2019 ("ArcFace", their published code): eyes, nose tip, corners of the mouth.
# BlazeFace gives the mouth's middle, so the corners are averaged; its ears have no place in the template.
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [(41.5493 + 70.7299) / 2, (92.3655 + 92.2041) / 2]]
)


def similarity(source: F64, target: F64) -> F64:
    """Return f64[2, 3], the turn, scaling and shift that carry ``source`` [n, 2] nearest to ``target`` [n, 2].

    Least squares, never mirrored (Umeyama 1991). Points that all coincide are only shifted.
    """
    from_mean, to_mean = source.mean(axis=0), target.mean(axis=0)
    a, b = source - from_mean, target - to_mean
    spread = float((a**2).sum()) / len(a)
    if spread == 0:
        return np.column_stack([np.eye(2), to_mean - from_mean])
    u, strength, v = np.linalg.svd(b.T @ a / len(a))
    sign = np.array([1.0, math.copysign(1.0, np.linalg.det(u) * np.linalg.det(v))])
    turn = (u * sign) @ v
    scale = float(strength @ sign) / spread
    return np.column_stack([scale * turn, to_mean - scale * turn @ from_mean])


def aligned(rgb: U8, points: F64) -> U8:
    """Return the face with BlazeFace's ``points`` f64[6, 2] as u8[112, 112, 3]; black beyond the picture."""
    matrix = similarity(points[:4], TEMPLATE)
    scale = math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))
    # a warp takes four pixels a sample: what is much too large is averaged down first
    shrink = 2.0 ** max(0, math.floor(math.log2(1 / scale))) if scale > 0 else 1.0
    if shrink > 1:
        x0, y0, part = _around(rgb, matrix)
        size = (max(1, round(part.shape[1] / shrink)), max(1, round(part.shape[0] / shrink)))
        ratio = np.array([part.shape[1] / size[0], part.shape[0] / size[1]])
        # centres of pixels: x = (x_small + 0.5) * ratio - 0.5 + x0
        shift = np.array([x0, y0]) + (ratio - 1) / 2
        matrix = np.column_stack([matrix[:, :2] * ratio, matrix[:, 2] + matrix[:, :2] @ shift])
        rgb = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    face: U8 = cv2.warpAffine(rgb, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
    return face


def _around(rgb: U8, matrix: F64) -> tuple[int, int, U8]:
    """Return left, top and pixels of the part of ``rgb`` that the template covers; at least one pixel."""
    inverse = np.linalg.inv(matrix[:, :2])
    corners = (np.array([[0, 0], [0, SIDE], [SIDE, 0], [SIDE, SIDE]]) - matrix[:, 2]) @ inverse.T
    low, high = np.floor(corners.min(axis=0)).astype(int) - 2, np.ceil(corners.max(axis=0)).astype(int) + 2
    height, width = rgb.shape[:2]
    x0, y0 = int(np.clip(low[0], 0, width - 1)), int(np.clip(low[1], 0, height - 1))
    x1, y1 = int(np.clip(high[0], x0 + 1, width)), int(np.clip(high[1], y0 + 1, height))
    return x0, y0, rgb[y0:y1, x0:x1]
