"""Objects: Fashion-MNIST (MIT licence), its own train and test pictures, light on dark."""

from __future__ import annotations

import functools

import cv2
import numpy as np

from prosthesis_train.data.fashion import CLASSES, fashion
from prosthesis_train.tasks.drawing import noisy, placed
from prosthesis_train.tasks.task import I64, U8, Part, Random, Task


@functools.lru_cache(maxsize=1)
def _pictures() -> dict[str, tuple[U8, I64]]:
    images = fashion()
    return {
        "train": (images.train[..., 0], images.train_labels),
        "test": (images.test[..., 0], images.test_labels),
    }


def draw(part: Part, label: int, random: Random) -> U8:
    """Return one object of the class, enlarged, its gray kept."""
    images, labels = _pictures()[part]
    chosen = images[int(random.choice(np.flatnonzero(labels == label)))]
    large = cv2.resize(chosen, (128, 128), interpolation=cv2.INTER_CUBIC)
    shade = placed(large, random, (0.55, 0.75))
    return noisy(shade * random.uniform(200, 255), random)[None]


TASKS = (
    Task(
        "objects",
        "one of ten kinds of clothes, shoes and bags",
        CLASSES,
        draw,
        "Fashion-MNIST, its own test part",
        ("1024 phosphenes, sighted viewers of simulations: about 63 % of indoor objects (Sanchez-Garcia 2020; recalled)",),
    ),
)
