"""What a task's encoder is trained on: camera crops, what is in them, and what a patient should be shown of it.

No font family, garment or photograph is in both parts; the fonts are those of the tasks. Letters are single capitals;
objects are Fashion-MNIST's clothes; half of both stand before a photograph, half on dark ground as in the tasks. An
obstacle is a box on a floor, as in the tasks, in the part's own photographs.
"""

from __future__ import annotations

import hashlib
import string
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.images import I64, U8, open_images
from prosthesis_train.data.photographs import WHEELS, patches
from prosthesis_train.tasks.drawing import placed
from prosthesis_train.tasks.fonts import any_glyph
from prosthesis_train.tasks.obstacles import drawn
from prosthesis_train.tasks.task import Part

Task = Literal["letters", "objects", "obstacle"]
HEIGHTS = (0.4, 0.9)  # of the crop
SIDES = ("none", "left", "middle", "right")
DISTANCES_M, FARTHEST_LIGHT = (1.2, 9.0), 0.3  # obstacles, and how bright the farthest of them is


@dataclass(frozen=True, slots=True)
class Sights:
    """Crops u8[n,side,side,3], what a percept should show u8[n,cells,cells], and labels i64[n] into ``classes``."""

    crops: U8
    wanted: U8
    labels: I64
    classes: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Return the SHA-256 of all pixels and labels."""
        out = hashlib.sha256()
        for part in (self.crops, self.wanted, self.labels):
            out.update(np.ascontiguousarray(part).tobytes())
        return out.hexdigest()


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
            return _obstacles("test" if held_out else "train", n, side, cells, random)
    raise ProsthesisError(f"no sights of task '{task}'; there are: letters, objects, obstacle")


def _letters(behind: U8, cells: int, held_out: bool, random: np.random.Generator) -> Sights:
    letters, side = string.ascii_uppercase, behind.shape[1]
    labels = random.integers(len(letters), size=len(behind))
    masks, crops = [], []
    for photo, k in zip(behind, labels, strict=True):
        drawn = placed(any_glyph("test" if held_out else "train", letters[k], random), random, HEIGHTS)
        mask = np.asarray(cv2.resize(drawn * 255, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
        plain = bool(random.random() < 0.5)
        crops.append(_lit(mask, random) if plain else _inked(photo, mask, random))
        masks.append(mask)
    return Sights(np.stack(crops), _to_cells(masks, cells), labels, tuple(letters))


def _lit(shade: U8, random: np.random.Generator) -> U8:
    ground = random.uniform(0, 40)
    return _as_camera(
        np.repeat((ground + shade / 255.0 * (random.uniform(190, 255) - ground))[..., None], 3, 2), random
    )


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
        drawn = placed(cv2.resize(pictures[k, ..., 0], (128, 128), interpolation=cv2.INTER_CUBIC), random, (0.55, 0.9))
        garment = np.asarray(cv2.resize(drawn * 255, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
        plain = bool(random.random() < 0.5)
        crops.append(_lit(garment, random) if plain else _worn(photo, garment, random))
        wanted.append(garment)
    return Sights(np.stack(crops), _to_cells(wanted, cells), labels[chosen], clothes.classes)


def _worn(behind: U8, garment: U8, random: np.random.Generator) -> U8:
    """Return a garment of any colour before a dimmed photograph."""
    share = np.minimum(garment / 64.0, 1.0)[..., None]  # the set's ground is black, its garments are mostly not
    dyed = garment[..., None] * random.uniform(0.6, 1, 3)
    return _as_camera(behind * random.uniform(0.1, 0.5) * (1 - share) + dyed * share, random)


def _obstacles(part: Part, n: int, side: int, cells: int, random: np.random.Generator) -> Sights:
    """Boxes at the sides and distances of the tasks, or none; what is wanted is the box, as bright as it is near."""
    labels = random.integers(len(SIDES), size=n)
    crops, wanted = [], []
    for label in labels:
        z_m = float(random.uniform(*DISTANCES_M))
        aside = random.uniform(0.10, 0.22) * (int(label) - 2) if label != 2 else random.uniform(-0.08, 0.08)
        # what is out of sight, far to the side, is none
        frames, covered = drawn(part, random, z_m * (aside if label else 9.0), z_m, 1.0, 1)
        near = 1 - (1 - FARTHEST_LIGHT) * (z_m - DISTANCES_M[0]) / (DISTANCES_M[1] - DISTANCES_M[0])
        tinted = cv2.resize(frames[0], (side, side), interpolation=cv2.INTER_AREA)[..., None] * random.uniform(
            0.85, 1.15, 3
        )
        crops.append(_as_camera(tinted, random))
        wanted.append(np.asarray(np.rint(255 * near * covered), np.uint8))
    return Sights(np.stack(crops), _to_cells(wanted, cells), labels, SIDES)


def _as_camera(shown: np.ndarray[tuple[int, ...], np.dtype[np.float64]], random: np.random.Generator) -> U8:
    """Return what a camera makes of it: exposure, blur, noise."""
    blurred = cv2.GaussianBlur(shown, (3, 3), float(random.uniform(0.1, 0.9)))
    noisy = blurred * random.uniform(0.7, 1.1) + random.normal(0, random.uniform(0, 6), shown.shape)
    return np.asarray(np.rint(noisy.clip(0, 255)), np.uint8)


def _to_cells(masks: list[U8], cells: int) -> U8:
    return np.stack([np.asarray(cv2.resize(m, (cells, cells), interpolation=cv2.INTER_AREA), np.uint8) for m in masks])
