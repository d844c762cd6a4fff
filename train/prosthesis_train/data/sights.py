"""What a task's encoder is trained on: camera crops, what is in them, and what a patient should be shown of it.

No font, garment or photograph is in both parts. Letters are single capitals; objects are Fashion-MNIST's clothes; an
obstacle is a textured block that stands before a photograph, nearer as it is larger.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.glyphs import TEST_FONTS, TRAIN_FONTS, render
from prosthesis_train.data.images import I64, U8, open_images
from prosthesis_train.data.photographs import WHEELS, patches

Task = Literal["letters", "objects", "obstacle"]
SIDES = ("none", "left", "middle", "right")


@dataclass(frozen=True, slots=True)
class Sights:
    """Crops u8[n,side,side,3], what a percept should show u8[n,cells,cells], and labels i64[n] into ``classes``."""

    crops: U8
    wanted: U8
    labels: I64
    classes: tuple[str, ...]


def sights(task: Task, n: int, side: int, cells: int, held_out: bool, seed: int = 0) -> Sights:
    """Return ``n`` labelled crops of one part, the same for the same arguments."""
    random = np.random.default_rng([seed, int(held_out), n])
    behind = patches([p for p in WHEELS if p.held_out is held_out], n, side, 3, seed)
    match task:
        case "letters":
            return _letters(behind, cells, held_out, random)
        case "objects":
            return _objects(behind, cells, held_out, random)
        case "obstacle":
            return _obstacles(behind, cells, held_out, random)
    raise ProsthesisError(f"no sights of task '{task}'; there are: letters, objects, obstacle")


def _letters(behind: U8, cells: int, held_out: bool, random: np.random.Generator) -> Sights:
    fonts, letters = TEST_FONTS if held_out else TRAIN_FONTS, string.ascii_uppercase
    labels = random.integers(len(letters), size=len(behind))
    masks = [render(letters[k], fonts[int(random.integers(len(fonts)))], behind.shape[1], random) for k in labels]
    crops = [_inked(photo, mask, random) for photo, mask in zip(behind, masks, strict=True)]
    return Sights(np.stack(crops), _to_cells(masks, cells), labels, tuple(letters))


def _inked(behind: U8, mask: U8, random: np.random.Generator) -> U8:
    """Return ink of any colour on a photograph dimmed or bleached so that the two differ by 25 % of white at least."""
    calm, light = random.uniform(0.2, 0.7), bool(random.random() < 0.5)
    ground = behind * calm + (0.0 if light else 255 * (1 - calm))
    ink = random.uniform(0, 1, 3) * 90 + (165 if light else 0)
    share = mask[..., None] / 255
    shown = ground * (1 - share) + ink * share
    return _as_camera(shown, random)


def _objects(behind: U8, cells: int, held_out: bool, random: np.random.Generator) -> Sights:
    clothes, side = open_images("fashion", 32, 1), behind.shape[1]
    pictures, labels = (clothes.test, clothes.test_labels) if held_out else (clothes.train, clothes.train_labels)
    assert labels is not None
    chosen = random.permutation(len(pictures))[: len(behind)]
    crops, wanted = [], []
    for photo, k in zip(behind, chosen, strict=True):
        garment = _placed(pictures[k, ..., 0], side, random)
        share = np.minimum(garment / 64.0, 1.0)[..., None]  # the set's ground is black, its garments are mostly not
        dimmed = photo * random.uniform(0.1, 0.5)
        crops.append(_as_camera(dimmed * (1 - share) + garment[..., None] * random.uniform(0.6, 1, 3) * share, random))
        wanted.append(garment)
    return Sights(np.stack(crops), _to_cells(wanted, cells), labels[chosen], clothes.classes)


def _placed(picture: U8, side: int, random: np.random.Generator) -> U8:
    scale = side / len(picture) * random.uniform(0.8, 1.1)
    turn = cv2.getRotationMatrix2D((len(picture) / 2, len(picture) / 2), float(random.uniform(-10, 10)), float(scale))
    turn[:, 2] += side / 2 - len(picture) / 2 + random.uniform(-0.05, 0.05, 2) * side
    return np.asarray(cv2.warpAffine(picture, turn, (side, side), flags=cv2.INTER_LINEAR), np.uint8)


def _obstacles(behind: U8, cells: int, held_out: bool, random: np.random.Generator) -> Sights:
    """Blocks stand on the ground; their foot is the lower the nearer they are; what is wanted is as bright as near."""
    n, side = len(behind), behind.shape[1]
    labels = random.integers(len(SIDES), size=n)
    textures = behind[random.permutation(n)]
    crops, wanted = [], []
    for k in range(n):
        photo, mask = behind[k].astype(np.float64), np.zeros((side, side), np.uint8)
        if labels[k]:
            near = random.uniform(0.3, 1.0)
            width, height = (round(side * near * random.uniform(*span)) for span in ((0.2, 0.35), (0.4, 0.9)))
            centre = side * ((labels[k] - 0.5) / 3 + random.uniform(-0.1, 0.1))
            left, foot = round(centre - width / 2), round(side * (0.45 + 0.5 * near))
            box = np.s_[max(0, foot - height) : foot, max(0, left) : max(0, left + width)]
            photo[box] = np.roll(textures[k], int(random.integers(side)), 0)[box] * random.uniform(0.3, 1.2, 3)
            mask[box] = round(255 * near)
        crops.append(_as_camera(photo, random))
        wanted.append(mask)
    return Sights(np.stack(crops), _to_cells(wanted, cells), labels, SIDES)


def _as_camera(shown: np.ndarray[tuple[int, ...], np.dtype[np.float64]], random: np.random.Generator) -> U8:
    """Return what a camera makes of it: exposure, blur, noise."""
    blurred = cv2.GaussianBlur(shown, (3, 3), float(random.uniform(0.1, 0.9)))
    noisy = blurred * random.uniform(0.7, 1.1) + random.normal(0, random.uniform(0, 6), shown.shape)
    return np.asarray(np.rint(noisy.clip(0, 255)), np.uint8)


def _to_cells(masks: list[U8], cells: int) -> U8:
    return np.stack([np.asarray(cv2.resize(m, (cells, cells), interpolation=cv2.INTER_AREA), np.uint8) for m in masks])
