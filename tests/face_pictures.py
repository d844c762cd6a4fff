"""Photographs of two people that lie in packages of the development environment; both are in the public domain."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest


@cache
def astronaut() -> np.ndarray:
    """Eileen Collins, u8[512, 512, 3]."""
    data = pytest.importorskip("skimage.data", reason="photographs need prosthesis[train]")
    return data.astronaut()


@cache
def admiral() -> np.ndarray:
    """Grace Hopper, u8[600, 512, 3]."""
    matplotlib = pytest.importorskip("matplotlib", reason="photographs need prosthesis[sim]")
    path = Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg"
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def in_scene(portrait, face_px, centre, size=(320, 180), face_at=(222, 125), face_width=104):
    """Return a gray scene of ``size`` with the portrait in it, its face ``face_px`` wide at ``centre`` (x, y)."""
    scale = face_px / face_width
    shift = np.array([[scale, 0, centre[0] - scale * face_at[0]], [0, scale, centre[1] - scale * face_at[1]]])
    small = cv2.GaussianBlur(portrait, (0, 0), max(0.01, 0.4 / scale)) if scale < 1 else portrait
    return cv2.warpAffine(small, shift, size, flags=cv2.INTER_LINEAR, borderValue=(90, 90, 90))
