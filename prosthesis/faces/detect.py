"""Faces and their landmarks in a picture, by BlazeFace: anchors, decoding, suppression. Nothing is kept.

Bazarevsky et al. 2019, "BlazeFace"; the layout of anchors and outputs is MediaPipe's.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis.messages import F32, U8
from prosthesis.protocols import Engine

F64 = npt.NDArray[np.float64]

SIDE = 256
GRIDS = ((16, 2), (8, 6))  # cells along each axis, anchors in each cell
LEAST_SCORE = 0.5  # MediaPipe's
SAME_OVERLAP = 0.3  # MediaPipe's: boxes that overlap more are one face


@dataclass(frozen=True, slots=True)
class Face:
    """One face: ``box`` (left, top, right, bottom) and ``points`` f64[6, 2] (x, y), all in the picture's pixels.

    The points are the right eye, left eye (the person's own sides), nose tip, mouth, right ear and left ear.
    """

    score: float
    box: tuple[float, float, float, float]
    points: F64

    @property
    def width(self) -> float:
        """The width of the box in pixels."""
        return self.box[2] - self.box[0]

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the box, (x, y)."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


def anchors() -> F64:
    """Return the centres of the anchors, f64[896, 2] (x, y) in fractions of the network's picture."""
    scales = []
    for cells, each in GRIDS:
        middle = (np.arange(cells) + 0.5) / cells
        y, x = np.meshgrid(middle, middle, indexing="ij")
        scales.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), each, axis=0))
    return np.concatenate(scales)


ANCHORS_PX = anchors() * SIDE


def letterbox(rgb: U8, side: int = SIDE) -> tuple[U8, float, tuple[int, int]]:
    """Return ``rgb`` fitted into u8[side, side, 3] with black around it, the scale it took and its (left, top)."""
    height, width = rgb.shape[:2]
    scale = side / max(height, width)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    left, top = (side - w) // 2, (side - h) // 2
    picture = np.zeros((side, side, 3), np.uint8)
    picture[top : top + h, left : left + w] = cv2.resize(rgb, (w, h), interpolation=how)
    return picture, scale, (left, top)


def decode(scores: F32, boxes: F32) -> list[Face]:
    """Return the faces that scores f32[896] and boxes f32[896, 16] tell of, in the network's pixels, best first."""
    likely = np.flatnonzero(scores >= LEAST_SCORE)
    likely = likely[np.argsort(-scores[likely], kind="stable")]
    shape = boxes[likely].reshape(-1, 8, 2).astype(np.float64)
    shape[:, [0, *range(2, 8)]] += ANCHORS_PX[likely][:, None]
    corners = np.concatenate([shape[:, 0] - shape[:, 1] / 2, shape[:, 0] + shape[:, 1] / 2], axis=1)
    valid = np.all(shape[:, 1] > 0, axis=1) & np.isfinite(shape).all(axis=(1, 2))
    return _merge(scores[likely][valid].astype(np.float64), corners[valid], shape[valid, 2:])


def _merge(scores: F64, corners: F64, points: F64) -> list[Face]:
    """Return one face a group of overlapping boxes: their mean weighted by score, steadier than the best alone."""
    faces, left = [], np.arange(len(scores))
    while len(left):
        same = overlap(corners[left[0]], corners[left]) > SAME_OVERLAP
        same[0] = True
        group, weight = left[same], scores[left[same]]
        box = np.average(corners[group], axis=0, weights=weight)
        mean = np.average(points[group], axis=0, weights=weight)
        faces.append(Face(float(weight[0]), (float(box[0]), float(box[1]), float(box[2]), float(box[3])), mean))
        left = left[~same]
    return faces


def overlap(one: npt.ArrayLike, others: npt.ArrayLike) -> F64:
    """Return the intersection over union of box ``one`` [4] with each of ``others`` [n, 4]."""
    a, b = np.asarray(one, np.float64), np.asarray(others, np.float64)
    low, high = np.maximum(a[:2], b[:, :2]), np.minimum(a[2:], b[:, 2:])
    common = np.prod(np.maximum(high - low, 0.0), axis=1)
    both = np.prod(a[2:] - a[:2]) + np.prod(b[:, 2:] - b[:, :2], axis=1) - common
    shares: F64 = np.divide(common, both, out=np.zeros_like(common), where=both > 0)
    return shares


def find_faces(rgb: U8, engine: Engine) -> list[Face]:
    """Return the faces in ``rgb`` u8[h, w, 3], the most certain first; ``engine`` runs the bundle's detector."""
    picture, scale, (left, top) = letterbox(rgb)
    found = engine.run({"picture": picture[None]})
    faces = decode(found["scores"][0], found["boxes"][0])
    return [_in_picture(face, scale, np.array([left, top], np.float64)) for face in faces]


def _in_picture(face: Face, scale: float, corner: F64) -> Face:
    box = (np.asarray(face.box).reshape(2, 2) - corner) / scale
    left, top, right, bottom = (float(value) for value in box.ravel())
    return Face(face.score, (left, top, right, bottom), (face.points - corner) / scale)
