"""Shapes put onto the square that the rigs see: where, how large, how turned, in what light; camera noise."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis_train.tasks.task import SQUARE, Random

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
# of the square: what the arrays show of the view is its middle half, since the view reaches beyond the phosphenes
HEIGHTS = (0.40, 0.60)
SHIFT, TURN_DEG, NOISE = 0.03, 4.0, 3.0


def placed(mask: U8, random: Random, heights: tuple[float, float] = HEIGHTS, turn_deg: float = TURN_DEG) -> F32:
    """Return a shape u8[h, w] as coverage f32[180, 180] in 0..1, near the middle, its longer side in ``heights``."""
    scale = random.uniform(*heights) * SQUARE / max(mask.shape)
    turn = random.uniform(-turn_deg, turn_deg)
    matrix = cv2.getRotationMatrix2D((mask.shape[1] / 2, mask.shape[0] / 2), turn, scale)
    centre = SQUARE * (0.5 + random.uniform(-SHIFT, SHIFT, 2))
    matrix[:, 2] += centre - np.array([mask.shape[1], mask.shape[0]]) / 2
    if scale < 0.5:
        mask = cv2.GaussianBlur(mask, (0, 0), 0.4 / scale)
    drawn = cv2.warpAffine(mask, matrix, (SQUARE, SQUARE), flags=cv2.INTER_LINEAR)
    covered: F32 = drawn.astype(np.float32) / 255
    return covered


def lit(shape: F32, random: Random) -> U8:
    """Return the shape light on a dark ground, both by chance, with a camera's noise: u8[180, 180]."""
    ground, figure = random.uniform(0, 40), random.uniform(190, 255)
    return noisy(ground + shape * (figure - ground), random)


def noisy(light: F32, random: Random) -> U8:
    """Return light 0..255 with the noise of a camera, rounded."""
    seen = light + random.normal(0.0, NOISE, light.shape)
    return np.clip(np.rint(seen), 0, 255).astype(np.uint8)
