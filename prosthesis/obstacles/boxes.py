"""Object boxes: from the network's anchors to people, vehicles and furniture, in fractions of the frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis.bundles.bundle import MANIFEST, Bundle
from prosthesis.errors import ConfigError
from prosthesis.messages import F32, U8
from prosthesis.protocols import Engine

LEAST_SCORE = 0.4
MOST_OVERLAP = 0.5
GRAY = 114  # what fills up a picture of another shape, as in the network's training
# of COCO's 80 classes those that one walks into, by number
KINDS = {
    0: "person", 1: "bicycle", 2: "car", 3: "motorcycle", 5: "bus", 6: "train", 7: "truck", 9: "traffic light",
    10: "hydrant", 11: "stop sign", 12: "parking meter", 13: "bench", 15: "cat", 16: "dog", 17: "horse", 18: "sheep",
    19: "cow", 24: "backpack", 28: "suitcase", 36: "skateboard", 56: "chair", 57: "couch", 58: "plant", 59: "bed",
    60: "table", 61: "toilet", 62: "television", 72: "refrigerator",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Box:
    """One object: its edges in fractions of the frame (rows down), what it is and how sure that is."""

    left: float
    top: float
    right: float
    bottom: float
    kind: str
    score: float

    def overlap(self, other: Box) -> float:
        """Return the area of both over the area of either."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        both = max(0.0, width) * max(0.0, height)
        return both / max(self.area + other.area - both, 1e-9)

    @property
    def area(self) -> float:
        """Return the share of the frame."""
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)


class ObjectFinder:
    """Runs a bundle ``objects`` on whole frames; raises ``ConfigError`` when the bundle's graph is another."""

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        manifest = bundle.manifest
        outputs = {tensor.name: tensor.shape[2:] for tensor in manifest.graphs[0].outputs}
        if (manifest.kind, manifest.task) != ("task", "objects") or outputs != {"scores": (80,), "boxes": (4,)}:
            raise ConfigError(
                f"{bundle.folder / MANIFEST}: processor obstacle 1 runs a graph to 'scores' [1, n, 80] and 'boxes' "
                "[1, n, 4]; use the model 'objects'"
            )
        self._engine, self._size = engine, manifest.input_size

    def find(self, rgb: U8) -> list[Box]:
        """Return the objects in a frame u8[h, w, 3], surest first."""
        picture, scale = letterbox(rgb, self._size)
        found = self._engine.run({"frame": picture[None]})
        return decode(found["scores"][0], found["boxes"][0] / scale, (rgb.shape[1], rgb.shape[0]))


def letterbox(rgb: U8, size: tuple[int, int]) -> tuple[U8, float]:
    """Return the frame shrunk into (width, height) from the upper left, the rest gray, and by how much it shrank."""
    width, height = size
    scale = min(width / rgb.shape[1], height / rgb.shape[0])
    inner = (min(width, round(rgb.shape[1] * scale)), min(height, round(rgb.shape[0] * scale)))
    out = np.full((height, width, 3), GRAY, np.uint8)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    out[: inner[1], : inner[0]] = cv2.resize(rgb, inner, interpolation=way)
    return out, scale


def decode(scores: F32, boxes: F32, size: tuple[int, int]) -> list[Box]:
    """Return the boxes of ``KINDS`` above ``LEAST_SCORE``, the surest of those that overlap.

    ``scores`` f32[n, 80] in 0..1, ``boxes`` f32[n, 4] in pixels of a frame of ``size`` (width, height).
    """
    numbers = np.array(list(KINDS))
    ours = scores[:, numbers]
    which, best = ours.argmax(axis=1), ours.max(axis=1)
    order = np.flatnonzero(best >= LEAST_SCORE)
    order = order[np.argsort(-best[order])]
    edges = np.clip(boxes / np.array([*size, *size]), 0.0, 1.0)
    out: list[Box] = []
    for k in order:
        left, top, right, bottom = edges[k].tolist()
        box = Box(left, top, right, bottom, KINDS[int(numbers[which[k]])], float(best[k]))
        if box.area > 0 and all(box.overlap(other) <= MOST_OVERLAP for other in out):
            out.append(box)
    return out


def inside(box: Box, x: F32, y: F32) -> npt.NDArray[np.bool_]:
    """Return which places (fractions of the frame) lie in a box."""
    return np.asarray((x >= box.left) & (x <= box.right) & (y >= box.top) & (y <= box.bottom))
