"""Handwritten digits: scikit-learn's 1,797 of 8x8 (UCI, CC BY 4.0), the last quarter held out.

Whether the writers of that quarter are others is not documented.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np

from prosthesis_train.data.images import imported
from prosthesis_train.tasks.drawing import lit, placed
from prosthesis_train.tasks.task import I64, U8, Part, Random, Task

HELD_OUT = 450


@functools.lru_cache(maxsize=1)
def _digits() -> tuple[U8, I64]:
    data = imported("sklearn.datasets", "train", "digits").load_digits()
    return (data.images * (255 / 16)).astype(np.uint8), data.target.astype(np.int64)


def draw(part: Part, label: int, random: Random) -> U8:
    """Return one digit, enlarged smoothly, light on dark."""
    images, labels = _digits()
    rows = np.flatnonzero(labels == label)
    rows = rows[rows < len(labels) - HELD_OUT] if part == "train" else rows[rows >= len(labels) - HELD_OUT]
    small = images[int(random.choice(rows))]
    large = cv2.resize(small, (128, 128), interpolation=cv2.INTER_CUBIC)
    ink = np.clip((large.astype(np.float32) - 60) * 1.8, 0, 255).astype(np.uint8)
    return lit(placed(ink, random, (0.45, 0.65)), random)[None]


TASKS = (
    Task(
        "digits",
        "one of ten handwritten digits, light on dark",
        tuple("0123456789"),
        draw,
        "scikit-learn load_digits; the last 450 are the test part",
    ),
)
