"""What a camera on glasses may see: half patches of photographs, half views of walks; no part shares its source."""

from __future__ import annotations

import numpy as np

from prosthesis_train.data.images import ImageSet
from prosthesis_train.data.photographs import photographs
from prosthesis_train.data.walks import walks

CLASSES = ("photograph", "walk")


def scenes(side: int, channels: int, train: int = 20_000, test: int = 5_000, seed: int = 0) -> ImageSet:
    """Return both sets mixed, labelled by where a picture is from."""
    halves = [make(side, channels, train // 2, test // 2, seed=seed) for make in (photographs, walks)]
    mixed, labels = [], []
    for part in ("train", "test"):
        pictures = [getattr(half, part) for half in halves]
        origin = np.repeat(np.arange(2), [len(p) for p in pictures])
        order = np.random.default_rng([seed, len(origin)]).permutation(len(origin))
        mixed.append(np.concatenate(pictures)[order])
        labels.append(origin[order].astype(np.int64))
    return ImageSet(
        name="scenes",
        train=mixed[0],
        test=mixed[1],
        train_labels=labels[0],
        test_labels=labels[1],
        classes=CLASSES,
        licence="; ".join(half.licence for half in halves),
        source="; ".join(half.source for half in halves),
    )
