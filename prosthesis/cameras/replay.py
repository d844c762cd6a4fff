"""A recording as a camera: its frames again, at their own pace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from prosthesis.config import CameraConfig
from prosthesis.errors import CameraError, ProsthesisError
from prosthesis.messages import U8, Frame, Message, readonly
from prosthesis.protocols import Clock
from prosthesis.recording.recorder import read
from prosthesis.timing import NS_PER_S


class ReplayCamera:
    """Plays a recording's frames once, spaced as they were captured, from the first ``read`` on; late ones are skipped.

    Frames keep the recording's ``seq``, so that what was dropped then is a gap again and results can be compared frame
    by frame. ``t_ns`` is new, the time each frame is due on ``clock``, so latency stays a subtraction. Pictures are
    as recorded, to the bit, or resized when the rig's camera has another size. The file is read as it plays.
    Raises ``CameraError`` when the recording cannot be read or has no frames.
    """

    live = False
    fault: str | None = None

    def __init__(self, path: Path, config: CameraConfig, clock: Clock) -> None:
        self._path, self._config, self._clock = path, config, clock
        self._messages: Iterator[tuple[str, Message]] = read(path, ["frame"])
        self._next: Frame | None = self._load()
        if self._next is None:
            raise CameraError(f"{path}: this recording has no frames to replay; record one with 'run --record'")
        self._first_ns = self._next.t_ns
        self._start_ns: int | None = None
        self._closed = False

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest due frame, ``None`` when none is due in ``timeout_s``; ``EOFError`` at the end.

        Raises ``CameraError`` where the recording is damaged.
        """
        if self._closed or self._next is None:
            raise EOFError("the recording is closed" if self._closed else "the recording's last frame was read")
        now_ns = self._clock.now_ns()
        if self._start_ns is None:
            self._start_ns = now_ns
        frame, due_ns = self._next, self._due_ns(self._next)
        end_ns = now_ns + round(timeout_s * NS_PER_S)
        if due_ns > end_ns:
            self._clock.sleep_until(end_ns)
            return None
        self._next = self._load()
        while self._next is not None and self._due_ns(self._next) <= now_ns:
            frame, due_ns = self._next, self._due_ns(self._next)
            self._next = self._load()
        rgb = readonly(_fit(frame.rgb, self._config), np.uint8)
        self._clock.sleep_until(due_ns)
        return Frame(frame.seq, due_ns, rgb)

    def close(self) -> None:
        """Release the file; reading afterwards raises ``EOFError``."""
        self._closed = True
        self._next = None
        self._messages = iter(())  # the reader closes its file when it is let go

    def _due_ns(self, frame: Frame) -> int:
        return (self._start_ns or 0) + frame.t_ns - self._first_ns

    def _load(self) -> Frame | None:
        try:
            message = next(self._messages, None)
        except ProsthesisError as error:
            raise CameraError(str(error)) from error
        return message[1] if message and isinstance(message[1], Frame) else None


def _fit(rgb: U8, config: CameraConfig) -> U8:
    """Resize as the other cameras do: averaging areas where it shrinks."""
    height, width = rgb.shape[:2]
    if (width, height) == (config.width, config.height):
        return rgb
    shrinks = width >= config.width and height >= config.height
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized: U8 = cv2.resize(rgb, (config.width, config.height), interpolation=method)
    return resized
