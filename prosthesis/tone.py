"""Brightness and contrast of what an encoder sees, as on a user's own controls; the camera's frames stay."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from prosthesis.errors import ConfigError
from prosthesis.messages import U8, Frame, readonly

MIDDLE = 127.5


@dataclass(frozen=True, slots=True)
class Tone:
    """``brightness`` in -1..1 is added as a share of full scale, ``contrast`` in 0..4 spreads around the middle.

    Raises ``ConfigError`` for values beyond that.
    """

    brightness: float = 0.0
    contrast: float = 1.0

    def __post_init__(self) -> None:
        if not (-1 <= self.brightness <= 1 and 0 <= self.contrast <= 4):
            raise ConfigError(
                f"tone: brightness {self.brightness:g} must be in -1..1, contrast {self.contrast:g} in 0..4; "
                "0 and 1 change nothing"
            )

    @property
    def table(self) -> U8:
        """Return what becomes of each level, u8[256].

        >>> [int(Tone(0.1, 2.0).table[level]) for level in (0, 64, 128, 255)]
        [0, 26, 154, 255]
        """
        levels = (np.arange(256) - MIDDLE) * self.contrast + MIDDLE + 255 * self.brightness
        table: U8 = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
        return table

    def apply(self, frame: Frame) -> Frame:
        """Return ``frame`` with these, the very same where nothing changes."""
        if self == Tone():
            return frame
        return Frame(frame.seq, frame.t_ns, readonly(cv2.LUT(frame.rgb, self.table), np.uint8))
