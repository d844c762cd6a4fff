"""Two cameras side by side: distances by semi-global matching (Hirschmueller 2008), over the patches of the flow.

A frame holds the left camera's picture in its left half and the right one's in its right half, both rectified: the same
point lies on the same row. The camera's ``field_deg`` is that of one eye.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from prosthesis.messages import F32, U8
from prosthesis.obstacles.flow import small_gray
from prosthesis.obstacles.urgency import SIGMA_FLOOR, WALK_M_PER_S, Patches

WINDOW_PX = 5
ERROR_PX = 0.5  # of a patch's disparity: measured against Middlebury's Motorcycle
LEAST_SHARE = 0.3  # of a patch's pixels that must match
LEAST_PX = 1.0  # farther things have no measurable distance


def split(rgb: U8) -> tuple[U8, U8]:
    """Return the pictures of the left and the right camera out of one frame."""
    middle = rgb.shape[1] // 2
    return rgb[:, :middle], rgb[:, middle : 2 * middle]


class Stereo:
    """Distances in front of two cameras ``baseline_m`` apart, each with the half width ``half`` (a tangent)."""

    def __init__(self, baseline_m: float, half: float) -> None:
        self._baseline_m, self._half = baseline_m, half

    def disparity(self, left: U8, right: U8) -> F32:
        """Return by how many pixels of the small picture each point lies farther left in the right one; NaN unknown."""
        small = [small_gray(picture) for picture in (left, right)]
        most = max(16, small[0].shape[1] // 5 // 16 * 16)
        wide = [cv2.copyMakeBorder(picture, 0, 0, most, 0, cv2.BORDER_REPLICATE) for picture in small]
        matcher: Any = cv2.StereoSGBM.create(
            0, most, WINDOW_PX, 8 * WINDOW_PX**2, 32 * WINDOW_PX**2, 1, 0, 10, 100, 2, cv2.STEREO_SGBM_MODE_SGBM_3WAY
        )
        found = matcher.compute(*wide)[:, most:].astype(np.float32) / 16
        return np.where(found >= LEAST_PX, found, np.nan).astype(np.float32)

    def scale_m_px(self, width_px: int) -> float:
        """Return distance times disparity for pictures ``width_px`` wide: focal length times baseline."""
        return width_px / 2 / self._half * self._baseline_m

    def over_patches_m(self, disparity: F32, shape: tuple[int, int]) -> F32:
        """Return each patch's distance f32[rows, columns], of the nearest quarter of what is in it; NaN unknown."""
        edges = [
            np.round(np.linspace(0, size, n + 1)).astype(int) for size, n in zip(disparity.shape, shape, strict=True)
        ]
        near = np.full(shape, np.nan, np.float32)
        for row, column in np.ndindex(*shape):
            cell = disparity[edges[0][row] : edges[0][row + 1], edges[1][column] : edges[1][column + 1]]
            known = cell[np.isfinite(cell)]
            if known.size >= LEAST_SHARE * cell.size:
                near[row, column] = np.quantile(known, 0.75)
        return np.asarray(np.float32(self.scale_m_px(disparity.shape[1])) / near)


def approach(before_m: F32, now_m: F32, dt_s: float, scale_m_px: float) -> tuple[F32, F32]:
    """Return growth (1 / time to contact) by the change of disparity in ``dt_s``, and its standard error, per patch.

    ``scale_m_px`` is distance times disparity. NaN distances give an infinite error.

    >>> rate, sigma = approach(np.float32([2.0]), np.float32([1.8]), 0.2, 28.0)
    >>> round(rate.item(), 3)
    0.556
    """
    known = np.isfinite(before_m) & np.isfinite(now_m)
    before, now = np.where(known, before_m, 1.0), np.where(known, now_m, 1.0)
    rate = (before / now - 1) / dt_s
    sigma = np.where(known, np.sqrt(2.0) * ERROR_PX * now / scale_m_px / dt_s, np.inf)
    return np.where(known, rate, 0.0).astype(np.float32), sigma.astype(np.float32)


def with_distance(patches: Patches, x: F32, y: F32, distance_m: F32, rate: F32, sigma: F32) -> Patches:
    """Return the patches with what stereo knows of them at ``x``, ``y`` (tangents, y down).

    Growths are averaged by certainty. What stands still is reached as if one walked straight on.
    """
    certainty = [1 / (error**2 + np.float32(SIGMA_FLOOR**2)) for error in (patches.sigma_per_s, sigma)]
    total = np.maximum(certainty[0] + certainty[1], 1e-6)
    both = (certainty[0] * patches.rate_per_s + certainty[1] * rate) / total
    error = np.where(total > 1e-6, total**-0.5, np.inf)
    walking = np.where(np.isfinite(distance_m), WALK_M_PER_S / np.maximum(distance_m, 0.1), 0.0)
    stands = walking > both
    return Patches(
        np.where(stands, walking, both).astype(np.float32),
        np.where(stands, SIGMA_FLOOR, error).astype(np.float32),
        np.where(stands, x * walking, patches.right_per_s).astype(np.float32),
        np.where(stands, y * walking, patches.down_per_s).astype(np.float32),
        distance_m,
    )
