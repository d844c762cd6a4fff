"""Dead leaves: pictures of overlapping discs, with the edges and the spectrum of natural scenes (Lee et al. 2001)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
LEAVES = 60
SMALLEST, LARGEST = 0.04, 0.6  # radii as fractions of the picture; between them their number falls as its cube


def dead_leaves(n: int, side: int, random: np.random.Generator) -> F32:
    """Return pictures f32[n, side, side] in 0..1."""
    axis = (np.arange(side) + 0.5) / side
    out = np.empty((n, side, side), np.float32)
    out[:] = random.random((n, 1, 1))
    for _ in range(LEAVES):
        x, y, gray = (
            random.uniform(-0.2, 1.2, (n, 1, 1)),
            random.uniform(-0.2, 1.2, (n, 1, 1)),
            random.random((n, 1, 1)),
        )
        rank = random.random((n, 1, 1))
        squared = 1 / (SMALLEST**-2 + rank * (LARGEST**-2 - SMALLEST**-2))
        covered = (axis[None, None, :] - x) ** 2 + (axis[None, :, None] - y) ** 2 < squared
        out = np.where(covered, gray, out).astype(np.float32)
    return out


def contrast(images: F32, side: int) -> F32:
    """Return images f32[b, h, w] in 0..1 as f32[b, h * w], each less its own mean: the eye adapts to light.

    Raises ``ValueError`` when they are not ``side`` pixels square.
    """
    if images.ndim != 3 or images.shape[1:] != (side, side):
        raise ValueError(
            f"this brain takes gray images [b, {side}, {side}] in 0..1, not {list(images.shape)}; resize them"
        )
    flat = np.asarray(images, np.float32).reshape(len(images), -1)
    return np.asarray(flat - flat.mean(axis=1, keepdims=True), np.float32)
