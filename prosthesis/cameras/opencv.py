"""Webcams, network cameras and files through OpenCV; only what both OpenCV 4 and 5 have."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis.cameras.newest import NewestReader, PacedCamera
from prosthesis.config import CameraConfig
from prosthesis.errors import CameraError
from prosthesis.messages import U8
from prosthesis.protocols import Clock, FrameSource

# OpenCV warns once per back end that it cannot open a file; our one line says it better. Its errors stay.
if "OPENCV_LOG_LEVEL" not in os.environ:
    # OpenCV 4 has the first, 5 the second; 2 is LOG_LEVEL_ERROR in both
    (getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel)(2)

CLIPS = Path(__file__).resolve().parent.parent / "clips"
PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}
RTSP_TIMEOUT_MS = 4000
# TCP because lost UDP packets smear the picture; the rest keeps FFmpeg from buffering (a second otherwise)
RTSP_OPTIONS = "rtsp_transport;tcp|fflags;nobuffer|flags;low_delay"
_ENVIRONMENT = threading.Lock()


def to_rgb(bgr: npt.NDArray[Any], width: int, height: int) -> U8:
    """Return OpenCV's picture u8[h, w, 3] BGR as u8[height, width, 3] RGB, averaging areas where it shrinks."""
    if bgr.ndim != 3 or bgr.shape[2] != 3 or bgr.dtype != np.uint8:
        raise CameraError(
            f"the camera gives {bgr.dtype}{list(bgr.shape)}, not 8-bit colour; choose another pixel format"
        )
    if bgr.shape[:2] != (height, width):
        shrinks = bgr.shape[0] >= height and bgr.shape[1] >= width
        bgr = cv2.resize(bgr, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    rgb: U8 = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    return rgb


class CaptureDevice:
    """An opened ``cv2.VideoCapture`` as a ``Device``."""

    def __init__(self, capture: Any, name: str, config: CameraConfig) -> None:
        self._capture, self._name, self._config = capture, name, config

    def grab(self) -> None:
        """Wait for the next picture; ``CameraError`` when the camera is gone."""
        if not self._capture.grab():
            raise CameraError(f"{self._name}: gives no more pictures; is it still connected?")

    def retrieve(self) -> U8:
        """Return the picture just grabbed, RGB at the configured size."""
        ok, bgr = self._capture.retrieve()
        if not ok:
            raise CameraError(f"{self._name}: a picture could not be decoded")
        return to_rgb(bgr, self._config.width, self._config.height)

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()


def open_v4l2(node: str, config: CameraConfig, clock: Clock) -> FrameSource:
    """Open a webcam by its device node; it is opened again when it was unplugged."""
    return NewestReader(lambda: _v4l2_device(node, config), clock)


def _v4l2_device(node: str, config: CameraConfig) -> CaptureDevice:
    if not Path(node).exists():
        nodes = ", ".join(str(path) for path in sorted(Path("/dev").glob("video*"))) or "none"
        raise CameraError(f"{node}: no such camera; there are: {nodes}")
    if not os.access(node, os.R_OK | os.W_OK):
        raise CameraError(f"{node}: no permission; add yourself to its group ('sudo usermod -aG video $USER')")
    capture = cv2.VideoCapture(node, cv2.CAP_V4L2)
    if not capture.isOpened():
        raise CameraError(f"{node}: is not a camera, or another program uses it; close that program")
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, config.width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, config.height)
    capture.set(cv2.CAP_PROP_FPS, config.fps)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return CaptureDevice(capture, node, config)


def open_rtsp(uri: str, config: CameraConfig, clock: Clock) -> FrameSource:
    """Open a network camera with low latency; it is opened again when the connection breaks."""
    return NewestReader(lambda: _rtsp_device(uri, config), clock)


def _rtsp_device(uri: str, config: CameraConfig) -> CaptureDevice:
    name = f"rtsp://{urlsplit(uri).netloc.rpartition('@')[2]}"  # never the password: faults are recorded and shown
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, RTSP_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, RTSP_TIMEOUT_MS]
    with _ffmpeg_options(RTSP_OPTIONS):
        capture = cv2.VideoCapture(uri, cv2.CAP_FFMPEG, limits)
    if not capture.isOpened():
        raise CameraError(f"{name}: no video stream there; check host, port, path and password")
    return CaptureDevice(capture, name, config)


@contextmanager
def _ffmpeg_options(options: str) -> Iterator[None]:
    """Set the only knob OpenCV gives to FFmpeg's options, an environment variable, just while opening."""
    key = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
    with _ENVIRONMENT:
        before = os.environ.get(key)
        os.environ[key] = before or options
        try:
            yield
        finally:
            if before is None:
                del os.environ[key]


def has_gstreamer() -> bool:
    """Whether this OpenCV was built with GStreamer; no wheel on PyPI is, JetPack's and Debian's are."""
    return any("GStreamer:" in line and "YES" in line for line in cv2.getBuildInformation().splitlines())


def gstreamer_device(source: str, name: str, config: CameraConfig) -> CaptureDevice:
    """Open a GStreamer source inside OpenCV, keeping only its newest picture."""
    sink = "videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false"
    capture = cv2.VideoCapture(f"{source} ! {sink}", cv2.CAP_GSTREAMER)
    if not capture.isOpened():
        raise CameraError(f"{name}: GStreamer cannot open it; check the ribbon cable and 'nvargus-daemon'")
    return CaptureDevice(capture, name, config)


def open_clip(name: str, config: CameraConfig, clock: Clock) -> PacedCamera:
    """Open a packaged clip, which loops for ever; ``CameraError`` lists the clips there are."""
    path = CLIPS / f"{name}.mp4"
    if name not in clip_names():
        raise CameraError(f"no clip named '{name}'; there are: {', '.join(clip_names()) or 'none'}")
    movie = Movie(path, config)
    pictures = list(movie)  # small enough to keep (street: 24 MB), so that looping never hitches
    return PacedCamera(
        lambda index: to_rgb(pictures[index % len(pictures)], config.width, config.height), movie.fps, clock
    )


def clip_names() -> list[str]:
    """Return the names of the packaged clips, sorted."""
    return sorted(path.stem for path in CLIPS.glob("*.mp4"))


def open_file(path: Path, config: CameraConfig, clock: Clock) -> PacedCamera:
    """Open a movie (plays once at its own pace), a folder of pictures (once) or a picture (for ever) at ``fps``.

    Raises ``CameraError`` when it is missing, empty or no picture or movie.
    """
    if path.is_dir():
        folder = _folder(path)
        return PacedCamera(
            lambda index: read_picture(folder[index], config) if index < len(folder) else None, config.fps, clock
        )
    if not path.is_file():
        raise CameraError(f"{path}: no such file; check the path")
    if path.stat().st_size == 0:
        raise CameraError(f"{path}: the file is empty; copy or record it again")
    if path.suffix.lower() in PICTURES:
        rgb = read_picture(path, config)
        return PacedCamera(lambda index: rgb, config.fps, clock)
    movie = Movie(path, config)
    return PacedCamera(movie.picture, movie.fps, clock, movie.close)


def _folder(path: Path) -> list[Path]:
    pictures = sorted(item for item in path.iterdir() if item.suffix.lower() in PICTURES)
    if not pictures:
        raise CameraError(f"{path}: no pictures in this folder ({', '.join(sorted(PICTURES))}); check the path")
    for item in pictures:  # looks at the header only: better now than in the middle of an experiment
        if not cv2.haveImageReader(str(item)):
            raise CameraError(f"{item}: not a picture that OpenCV can read; replace or remove it")
    return pictures


def read_picture(path: Path, config: CameraConfig) -> U8:
    """Return a picture file as RGB at the configured size; ``CameraError`` names the file that cannot be read."""
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise CameraError(f"{path}: not a picture that OpenCV can read; replace or remove it")
    return to_rgb(bgr, config.width, config.height)


class Movie:
    """A movie file, read forwards; ``fps`` is its own pace, or the configured one when its header has none."""

    def __init__(self, path: Path, config: CameraConfig) -> None:
        self._path, self._config = path, config
        self._capture: Any = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        self._read = 0
        if not self._capture.isOpened():
            raise CameraError(f"{path}: not a movie that OpenCV can play, or cut off; convert it to H.264 in MP4")
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if 1.0 <= fps <= 1000.0 else config.fps
        self._promised = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))

    def picture(self, index: int) -> U8 | None:
        """Skip to picture ``index`` and return it in RGB, ``None`` past the end; ``index`` only rises."""
        while self._read < index:
            if not self._grab():
                return None
        bgr = self._next_bgr()
        return None if bgr is None else to_rgb(bgr, self._config.width, self._config.height)

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the remaining pictures as OpenCV has them, u8[h, w, 3] BGR."""
        while (bgr := self._next_bgr()) is not None:
            yield bgr

    def _next_bgr(self) -> npt.NDArray[Any] | None:
        if not self._grab():
            return None
        ok, bgr = self._capture.retrieve()
        if not ok:
            raise CameraError(f"{self._path}: picture {self._read} cannot be decoded; the file is damaged")
        return np.asarray(bgr)

    def close(self) -> None:
        """Release the file."""
        self._capture.release()

    def _grab(self) -> bool:
        if self._capture.grab():
            self._read += 1
            return True
        # the header's count is an estimate in many formats, so a few missing pictures prove nothing
        if self._read < max(1, int(0.9 * self._promised)):
            raise CameraError(f"{self._path}: ends after {self._read} of {self._promised} pictures; it is cut off")
        return False
