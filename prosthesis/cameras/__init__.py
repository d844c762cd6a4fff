"""Hop 1, light to ``Frame``: every camera, recording and formula, chosen by a URI.

The URIs follow NVIDIA's jetson-utils, with a bare integer for a webcam as OpenCV has it.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from prosthesis.config import CameraConfig
from prosthesis.errors import CameraError
from prosthesis.protocols import Clock, FrameSource

SOURCES = (
    "synthetic:bar, synthetic:letters, synthetic:corridor, clip:street, replay:LOG.mcap, tap:HOST:PORT (what another "
    "device sees), 0 (a webcam), v4l2:///dev/video0, csi://0, rtsp://HOST/PATH, "
    "file://PATH (a movie, a picture or a folder of pictures)"
)


def open_camera(config: CameraConfig, clock: Clock) -> FrameSource:
    """Open ``config.source`` for frames of ``config.width`` x ``config.height`` stamped by ``clock``.

    Raises ``CameraError`` when it cannot be opened, or nobody knows the URI.
    """
    source = config.source.strip()
    if source.isascii() and source.isdecimal():
        source = f"v4l2:///dev/video{source}"
    scheme, rest = source.split(":", 1) if ":" in source else ("file", source)
    path = unquote(rest.removeprefix("//")) if source.startswith("file:") else rest.removeprefix("//")
    match scheme:
        case "synthetic":
            from prosthesis.cameras.synthetic import SyntheticCamera

            return SyntheticCamera(path, config, clock)
        case "clip":
            from prosthesis.cameras.opencv import open_clip

            return open_clip(path, config, clock)
        case "file":
            from prosthesis.cameras.opencv import open_file

            return open_file(Path(path), config, clock)
        case "v4l2":
            from prosthesis.cameras.opencv import open_v4l2

            return open_v4l2(path, config, clock)
        case "rtsp":
            from prosthesis.cameras.opencv import open_rtsp

            return open_rtsp(source, config, clock)
        case "csi":
            from prosthesis.cameras.gstreamer import open_csi

            return open_csi(path, config, clock)
        case "replay":
            from prosthesis.cameras.replay import ReplayCamera

            return ReplayCamera(Path(path), config, clock)
        case "tap":
            from prosthesis.cameras.tap import TapCamera

            return TapCamera(path, config)
        case _:
            raise CameraError(f"camera source '{config.source}': unknown scheme '{scheme}:'; there are: {SOURCES}")
