"""Films of what came of driving pictures, their panels and their watermark."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis.messages import F32, U8
from prosthesis.processes import quiet_stderr

PANEL = 256  # pixels of a panel in a film
MARK = "artificial"
LONGEST_S = 60.0  # between two pictures; beyond it is another clock, as of a device that was started anew
CODECS = {".webm": "VP80", ".mp4": "mp4v"}


class Film:
    """A film being written; ``add`` takes rows of panels, ``close`` finishes it."""

    def __init__(self, path: Path, fps: float) -> None:
        if path.suffix not in CODECS:
            raise ProsthesisError(f"{path}: films are {' or '.join(CODECS)}; choose another name for --out")
        self.path, self.fps = path, fps
        self._out: cv2.VideoWriter | None = None

    def add(self, rgb: U8) -> None:
        """Write one picture u8[h,w,3]; ``ProsthesisError`` when OpenCV cannot."""
        if self._out is None:
            codec = cv2.VideoWriter.fourcc(*CODECS[self.path.suffix])
            with quiet_stderr():
                self._out = cv2.VideoWriter(str(self.path), codec, self.fps, (rgb.shape[1], rgb.shape[0]))
            if not self._out.isOpened():
                raise ProsthesisError(f"{self.path}: cannot be written; is its folder there and writable?")
        self._out.write(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file."""
        if self._out is not None:
            self._out.release()


class Paced:
    """Writes a film that lasts as long as what was seen: each picture stands until the next one.

    The last one stands for as long as the one before. Pictures that come faster than the film's pace are left out.
    """

    def __init__(self, film: Film) -> None:
        self._film = film
        self._last: U8 | None = None
        self._count = 0
        self._began_s = self._at_s = self._stood_s = 0.0

    def add(self, rgb: U8, at_s: float) -> None:
        """Write u8[h,w,3] seen at ``at_s`` seconds, after what was seen before for as long as it stood."""
        if self._last is None:
            self._began_s = self._at_s = at_s
        stood_s = at_s - self._at_s
        if 0 <= stood_s < LONGEST_S:
            self._stood_s = stood_s
        else:
            self._began_s += stood_s - 1 / self._film.fps
        self._at_s = at_s
        due = self._due(at_s)
        self._stand_until(due)
        self._last = rgb
        self._stand_until(due + 1)

    def close(self) -> None:
        """Let the last picture stand, and finish the file."""
        self._stand_until(self._due(self._at_s + self._stood_s))
        self._film.close()

    def _due(self, at_s: float) -> int:
        return round((at_s - self._began_s) * self._film.fps)

    def _stand_until(self, count: int) -> None:
        while self._last is not None and self._count < count:
            self._film.add(self._last)
            self._count += 1


def panel(rgb: U8, text: str = "") -> U8:
    """Return a picture enlarged to a panel, with ``text`` in its corner."""
    large = np.array(cv2.resize(rgb, (PANEL, PANEL), interpolation=cv2.INTER_CUBIC), np.uint8)
    if text:
        for colour, thick in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(large, text, (8, PANEL - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.55, colour, thick, cv2.LINE_AA)
    return large


def flow_picture(flow: F32) -> U8:
    """Return a motion f32[h,w,2] (places in -1..1) as colours: hue is where from, strength how far (white: still)."""
    h, w = flow.shape[:2]
    x, y = ((2 * np.arange(n) + 1) / n - 1 for n in (w, h))
    away = flow - np.stack(np.meshgrid(x, y), axis=-1)
    hue = (np.degrees(np.arctan2(away[..., 1], away[..., 0])) % 360) / 2
    strength = np.clip(np.hypot(away[..., 0], away[..., 1]) / 0.4, 0, 1) * 255
    hsv = np.stack([hue, strength, np.full_like(hue, 255)], axis=-1).astype(np.uint8)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def gray_picture(values: F32) -> U8:
    """Return f32[h,w] in 0..1 as u8[h,w,3]."""
    gray = (np.clip(np.nan_to_num(values), 0, 1) * 255).astype(np.uint8)
    return np.asarray(np.repeat(gray[..., None], 3, axis=2), np.uint8)
