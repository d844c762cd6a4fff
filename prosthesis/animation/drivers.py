"""Driving pictures from films, cameras and recordings, each with the time at which it was seen."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np

from prosthesis.cameras import open_camera
from prosthesis.cameras.opencv import CLIPS, PICTURES, Movie
from prosthesis.config import CameraConfig
from prosthesis.errors import CameraError, ProsthesisError
from prosthesis.messages import U8, Frame
from prosthesis.processes import quiet_stderr
from prosthesis.protocols import FrameSource
from prosthesis.recording.recorder import read
from prosthesis.timing import NS_PER_S, MonotonicClock

WIDTH, HEIGHT, FPS, FIELD_DEG = 640, 480, 30.0, (60.0, 45.0)  # asked of a camera; its field is not used here
LARGEST = 1920  # pixels of the longer side that is asked of a camera layer: faces need no more
SMALLEST = 16  # pixels, the least that may be asked of it
FIRST_S = 5.0  # a camera opens within this or says why; only another device's tap can be silent for longer


@dataclass(frozen=True, slots=True)
class Seen:
    """A driving picture u8[h,w,3] RGB, and when it was seen, in seconds of any beginning."""

    rgb: U8
    at_s: float


def driving(source: str) -> tuple[Iterator[Seen], float]:
    """Return the pictures of a movie's file, or of a camera by its URI (``0``), and the pace for their film in 1/s.

    Raises ``ProsthesisError`` when there is no such file or camera, or it cannot be read.
    """
    path, config = _movie(source), _config(source)
    if path is None:
        with quiet_stderr():
            camera = open_camera(config, MonotonicClock())
        return _live(camera, source), config.fps
    if not path.is_file():
        raise ProsthesisError(f"{path}: no such film; check --driving, or give a camera's number")
    with quiet_stderr():
        movie = Movie(path.absolute() if ":" in str(path) else path, config)  # FFmpeg takes 'a:b.avi' for a URI
    return _film(movie), movie.fps


def file_behind(source: str) -> Path | None:
    """Return the file or folder that a driving source is read from, ``None`` for cameras."""
    rest = source.partition(":")[2].removeprefix("//")
    match _scheme(source):
        case "":
            return Path(source)
        case "file":
            return Path(unquote(rest))
        case "replay":
            return Path(rest)
        case "clip":
            return CLIPS / f"{rest}.mp4"
    return None


def _scheme(source: str) -> str:
    """Return what stands before the colon of a URI; nothing for a path, which may have a colon in a file's name too."""
    if source.isdecimal():
        return "v4l2"
    return "" if ":" not in source or os.path.isfile(source) else source.partition(":")[0]


def _movie(source: str) -> Path | None:
    """Return the movie that is read picture by picture; ``None`` for what the camera layer plays in its own time."""
    path, scheme = file_behind(source), _scheme(source)
    played = scheme == "file" and path is not None and path.is_file() and path.suffix.lower() not in PICTURES
    return path if played or not scheme else None


def _config(source: str) -> CameraConfig:
    """Return what to ask of the camera layer, which stretches: a size of the source's own shape where files tell."""
    height, width = _first_shape(source) or (HEIGHT, WIDTH)
    scale = min(1.0, LARGEST / max(height, width))
    size = {"width": max(SMALLEST, round(scale * width)), "height": max(SMALLEST, round(scale * height))}
    return CameraConfig.model_validate({"source": source, "fps": FPS, "field_deg": FIELD_DEG} | size)


def _first_shape(source: str) -> tuple[int, int] | None:
    """Return height and width of the first picture behind a URI; ``None`` where none is: who opens it says why."""
    path, scheme = file_behind(source), _scheme(source)
    if path is None or not scheme:
        return None
    if scheme == "replay":
        try:
            frame = next((message for _, message in read(path, ["frame"]) if isinstance(message, Frame)), None)
        except ProsthesisError:
            return None
        return None if frame is None else frame.rgb.shape[:2]
    if path.is_dir():
        path = min((item for item in path.iterdir() if item.suffix.lower() in PICTURES), default=path)
    with quiet_stderr():
        if path.suffix.lower() in PICTURES:
            picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        else:
            picture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG).read()[1]
    return None if picture is None else picture.shape[:2]


def _film(movie: Movie) -> Iterator[Seen]:
    pictures, count = iter(movie), 0
    while True:
        with quiet_stderr():  # FFmpeg complains of damage as it decodes
            bgr = next(pictures, None)
        if bgr is None:
            return
        yield Seen(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8), count / movie.fps)
        count += 1


def _live(camera: FrameSource, source: str) -> Iterator[Seen]:
    """Yield what a camera sees until it ends; ``CameraError`` when nothing came in the first ``FIRST_S``."""
    deadline_s: float | None = time.monotonic() + FIRST_S
    try:
        while True:
            frame = camera.read(2.0 if deadline_s is None else max(0.0, deadline_s - time.monotonic()))
            if frame is not None:
                deadline_s = None
                yield Seen(frame.rgb, frame.t_ns / NS_PER_S)
            elif deadline_s is not None and time.monotonic() >= deadline_s:
                raise CameraError(f"{source}: no first picture came in {FIRST_S:g} s; start what it is to come from")
    except EOFError:
        return
    finally:
        camera.close()
