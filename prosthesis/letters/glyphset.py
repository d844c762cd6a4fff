"""What a letter looks like as a task map: drawn in ordinary form, or learned and read from a file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from prosthesis.errors import ConfigError
from prosthesis.letters.drawing import Shape, draw
from prosthesis.letters.strokes import DRAWN, LETTERS
from prosthesis.messages import F32, readonly
from prosthesis.view import Field

FIELD_FACTOR = 1.5  # a learned set fits patients of its rig, whose fields differ; not another rig's


class Glyphs:
    """Maps f32[side, side] in 0..1 over ``field`` of letters and digits, alone or side by side.

    A single letter is the one of ``learned``, where it has it; everything else is drawn in ``shape``, ``looks`` of 1,
    or in the boxes of its first looks: learned letters do not move.
    """

    def __init__(
        self, shape: Shape, field: Field, side: int, learned: Mapping[str, F32] | None = None, looks: int = 1
    ) -> None:
        self.shape, self.field, self.side = shape, field, side
        self._boxes = tuple(shape.look(k) for k in range(looks)) if looks > 1 else (shape,)
        known = learned or {}
        self._single = {
            name: [
                readonly(known[name] if name in known else draw(name, (box,), field, side), np.float32)
                for box in self._boxes
            ]
            for name in DRAWN
        }
        self._nothing: F32 = readonly(np.zeros((side, side)), np.float32)

    def of(self, text: str, look: int = 0) -> F32:
        """Return the map of what is shown at once: nothing, one letter, or a few side by side; read-only."""
        if len(text) < 2:
            return self._single[text][look] if text in self._single else self._nothing
        return draw(text, self._boxes[look].places(len(text)), self.field, self.side)

    def passing(self, text: str, progress: float) -> F32:
        """Return the map of ``text`` on its way through the field, right to left, letters as large as single ones.

        The first letter stands in its box at ``progress`` 0, the second at 1; from -1 to ``len(text)`` something is
        to be seen.
        """
        step_deg = self.field.x1_deg - self.field.x0_deg
        step_deg = min(step_deg, (self.shape.width_deg + self.shape.stroke_deg) * 1.25)
        near = [k for k in range(len(text)) if abs((k - progress) * step_deg) < self.field.x1_deg - self.field.x0_deg]
        boxes = tuple(self.shape.moved((k - progress) * step_deg) for k in near)
        return draw("".join(text[k] for k in near), boxes, self.field, self.side)


def drawable(text: str) -> str:
    """Return what of ``text`` can be shown: its letters in upper case, and its digits."""
    return "".join(character for character in text.upper() if character in DRAWN)


def load_letters(path: Path, field: Field, side: int) -> dict[str, F32]:
    """Read a learned set: an ``.npz`` of ``letters`` U1[26], ``maps`` f32[26, rows, columns], ``field_deg``.

    Maps are in 0..1, row 0 on top, over a square field ``field_deg`` wide (one number). Raises ``ConfigError`` when the
    file is not that, or was learned for a field much larger or smaller than ``field``.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            letters = [str(letter) for letter in content["letters"]]
            maps, field_deg = np.asarray(content["maps"], np.float32), float(content["field_deg"].item())
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"{path}: no set of letters ({error}); give an .npz with 'letters', 'maps' and 'field_deg'"
        ) from error
    if sorted(letters) != sorted(LETTERS) or maps.ndim != 3 or len(maps) != len(letters):
        raise ConfigError(f"{path}: 'letters' must be A to Z, each once, and 'maps' f32[26, rows, columns] for them")
    if not (maps.min(initial=0) >= 0 and maps.max(initial=0) <= 1):  # NaN fails the comparison too
        raise ConfigError(f"{path}: 'maps' must be within 0..1; scale them")
    ours_deg = field.x1_deg - field.x0_deg
    if not 1 / FIELD_FACTOR <= field_deg / ours_deg <= FIELD_FACTOR:
        raise ConfigError(
            f"{path}: learned for a field of {field_deg:g} deg, this patient's is {ours_deg:.3g} deg; learn one for "
            "this rig, or set 'glyphs: ordinary'"
        )
    resized = (cv2.resize(task_map, (side, side), interpolation=cv2.INTER_LINEAR) for task_map in maps)
    return {letter: np.asarray(task_map, np.float32) for letter, task_map in zip(letters, resized, strict=True)}
