"""The square of a picture that is animated: around its face, as large beside it as in the pictures learned from."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis.faces.detect import find_faces
from prosthesis.messages import U8
from prosthesis.protocols import Engine

FACE_SHARE = 0.52  # of the square's side that a face's box takes, as in the drawn portraits that are found
BELOW = 0.1  # of the square's side that its middle lies above the box's, in the same


@dataclass(frozen=True, slots=True)
class Square:
    """A square of a picture: ``left`` and ``top`` in pixels (may be outside), ``size`` in pixels."""

    left: float
    top: float
    size: float

    def cut(self, rgb: U8, side: int) -> U8:
        """Return the square u8[side,side,3]; what lies outside the picture is its border gone on."""
        scale = side / self.size
        matrix = np.array([[scale, 0, -self.left * scale], [0, scale, -self.top * scale]], np.float64)
        if scale < 1:  # warpAffine does not average what it shrinks
            rgb = cv2.GaussianBlur(rgb, (0, 0), 0.4 / scale)
        cut = cv2.warpAffine(rgb, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(cut, np.uint8)


def middle(rgb: U8) -> Square:
    """Return the largest square in a picture's middle."""
    height, width = rgb.shape[:2]
    size = min(height, width)
    return Square((width - size) / 2, (height - size) / 2, size)


def portrait(rgb: U8, detector: Engine, what: str) -> Square:
    """Return the square around the widest face; ``ProsthesisError`` naming ``what`` when there is none."""
    faces = find_faces(rgb, detector)
    if not faces:
        raise ProsthesisError(
            f"{what}: no face found; give one that looks at the camera, or --whole for the middle square"
        )
    face = max(faces, key=lambda one: one.width)
    size = face.width / FACE_SHARE
    x, y = face.centre
    return Square(x - size / 2, y - (0.5 + BELOW) * size, size)
