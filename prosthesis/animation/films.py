"""Driving pictures from files and cameras, and films of what came of them, watermarked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from prosthesis.cameras import open_camera
from prosthesis.cameras.opencv import Movie
from prosthesis.config import CameraConfig
from prosthesis.errors import ProsthesisError
from prosthesis.messages import F32, U8
from prosthesis.processes import quiet_stderr
from prosthesis.protocols import FrameSource
from prosthesis.timing import MonotonicClock

PANEL = 256  # pixels of a panel in a film
MARK = "artificial"
CAMERA = {"width": 640, "height": 480, "fps": 30.0, "field_deg": (60.0, 45.0)}
CODECS = {".webm": "VP80", ".mp4": "mp4v"}


def driving(source: str) -> tuple[Iterator[U8], float]:
    """Return the pictures u8[h,w,3] RGB of a movie's file, or of a camera by its URI (``0``), and their pace in 1/s.

    Raises ``ProsthesisError`` when there is no such file or camera, or it cannot be read.
    """
    config = CameraConfig.model_validate({"source": source, **CAMERA})
    if source.isdecimal() or ":" in source:
        return _live(open_camera(config, MonotonicClock())), config.fps
    path = Path(source)
    if not path.is_file():
        raise ProsthesisError(f"{path}: no such film; check --driving, or give a camera's number")
    movie = Movie(path, config)
    return (np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8) for bgr in movie), movie.fps


def _live(camera: FrameSource) -> Iterator[U8]:
    try:
        while True:
            frame = camera.read(2.0)
            if frame is not None:
                yield frame.rgb
    except EOFError:
        return
    finally:
        camera.close()


class Film:
    """A film being written; ``add`` takes rows of panels. Use as a context."""

    def __init__(self, path: Path, fps: float) -> None:
        if path.suffix not in CODECS:
            raise ProsthesisError(f"{path}: films are {' or '.join(CODECS)}; choose another name for --out")
        self.path, self._fps = path, fps
        self._out: cv2.VideoWriter | None = None

    def add(self, rgb: U8) -> None:
        """Write one picture u8[h,w,3]; ``ProsthesisError`` when OpenCV cannot."""
        if self._out is None:
            codec = cv2.VideoWriter.fourcc(*CODECS[self.path.suffix])
            with quiet_stderr():
                self._out = cv2.VideoWriter(str(self.path), codec, self._fps, (rgb.shape[1], rgb.shape[0]))
            if not self._out.isOpened():
                raise ProsthesisError(f"{self.path}: cannot be written; is its folder there and writable?")
        self._out.write(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file."""
        if self._out is not None:
            self._out.release()


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
