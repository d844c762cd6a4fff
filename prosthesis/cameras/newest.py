"""Two ways to hand out only the newest picture: by a thread from a sensor, and by the clock from pictures in order.

Both count every picture the source made in ``seq``, so a picture that was replaced unread is a gap the reader sees.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from prosthesis.errors import CameraError
from prosthesis.messages import U8, Frame, readonly
from prosthesis.protocols import Clock
from prosthesis.timing import NS_PER_S

OPEN_S = 6.0  # opening plus the first picture: a CSI sensor or an RTSP key frame takes one to three seconds
STALL_S = 2.0  # no picture for this long: the sensor hangs, open it anew
BACKOFF_S = (0.1, 2.0)  # the first and the longest wait before opening again
CLOSE_S = 1.0
MOST_HUNG = 3  # threads stuck in a driver cannot be killed, only left behind; stop before they pile up


class Device(Protocol):
    """An opened sensor, used by one thread; its calls may block and raise ``CameraError`` when the sensor is gone."""

    def grab(self) -> None:
        """Wait for the next picture, whose capture time is when this returns."""
        ...

    def retrieve(self) -> U8:
        """Return the picture just grabbed, u8[height, width, 3] RGB."""
        ...

    def close(self) -> None:
        """Release the sensor."""
        ...


class NewestReader:
    """A sensor read by a thread that keeps only the newest picture, and opens the sensor again when it goes away.

    ``fault`` is why the sensor was last lost, numbered, so a reader who compares it with what it saw before misses no
    reconnect; ``None`` while nothing went wrong. Waiting is in real time, whatever the clock that stamps the frames.
    The constructor waits for the first picture and raises ``CameraError`` when there is none.
    """

    live = True

    def __init__(
        self, open_device: Callable[[], Device], clock: Clock, *, open_s: float = OPEN_S, stall_s: float = STALL_S
    ) -> None:
        self.fault: str | None = None
        self._open_device, self._clock = open_device, clock
        self._open_s, self._stall_s = open_s, stall_s
        self._changed = threading.Condition()
        self._newest: Frame | None = None
        self._seq = self._losses = 0
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._start()
        if not self._first_came():
            self.close()
            raise CameraError(self.fault)

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest unseen frame, ``None`` when none came in ``timeout_s``; ``EOFError`` once closed.

        Raises ``CameraError`` when the driver hangs again and again.
        """
        end_s = time.monotonic() + timeout_s
        with self._changed:
            while not self._closed:
                if self._newest is not None:
                    frame, self._newest = self._newest, None
                    return frame
                now_s = time.monotonic()
                if now_s >= self._deadline_s:
                    self._abandon()
                if now_s >= end_s:
                    return None
                self._changed.wait(min(end_s, self._deadline_s) - now_s)
        raise EOFError("the camera is closed")

    def close(self) -> None:
        """Stop the thread, waiting at most ``CLOSE_S``; one that hangs in its driver ends when the driver returns."""
        with self._changed:
            self._closed = True
            self._stop.set()
            self._changed.notify_all()
        end_s = time.monotonic() + CLOSE_S
        for thread in self._threads:
            thread.join(max(0.0, end_s - time.monotonic()))

    def _start(self) -> None:
        self._stop = threading.Event()
        self._deadline_s = time.monotonic() + self._open_s
        thread = threading.Thread(target=self._work, args=(self._stop,), name="camera", daemon=True)
        self._threads = [*(old for old in self._threads if old.is_alive()), thread]
        thread.start()

    def _first_came(self) -> bool:
        with self._changed:
            while self._newest is None and self.fault is None:
                if time.monotonic() >= self._deadline_s:
                    self.fault = f"the camera gave no picture in {self._open_s:g} s; check its cable and power"
                else:
                    self._changed.wait(self._deadline_s - time.monotonic())
            return self._newest is not None

    def _abandon(self) -> None:
        """Leave a hung thread behind and start another; called with the lock held."""
        self._stop.set()
        self._lost(f"the camera gave no picture for {self._stall_s:g} s")
        if sum(thread.is_alive() for thread in self._threads) >= MOST_HUNG:
            raise CameraError(f"the camera's driver hung {MOST_HUNG} times; unplug the camera and start again")
        self._start()

    def _lost(self, why: str) -> None:
        self._losses += 1
        self.fault = f"{why} (reconnect {self._losses})" if self._seq else why
        self._changed.notify_all()

    def _work(self, stop: threading.Event) -> None:
        """Open, grab until the sensor goes away, say why, wait, and open again, until told to stop."""
        backoff_s, longest_s = BACKOFF_S
        while not stop.is_set():
            seq = self._seq
            try:
                self._stream(stop)
            except Exception as error:  # the thread must outlive whatever a driver raises; ``fault`` tells
                with self._changed:
                    if not stop.is_set():
                        self._lost(str(error) or type(error).__name__)
            backoff_s = BACKOFF_S[0] if self._seq > seq else min(2 * backoff_s, longest_s)
            self._expect(stop, backoff_s + self._open_s)
            stop.wait(backoff_s)

    def _stream(self, stop: threading.Event) -> None:
        self._expect(stop, self._open_s)
        device = self._open_device()
        try:
            while not stop.is_set():
                device.grab()
                t_ns = self._clock.now_ns()
                self._publish(stop, t_ns, device.retrieve())
        finally:
            device.close()

    def _expect(self, stop: threading.Event, within_s: float) -> None:
        """Set when the next picture is overdue; an abandoned thread has no say."""
        with self._changed:
            if not stop.is_set():
                self._deadline_s = time.monotonic() + within_s

    def _publish(self, stop: threading.Event, t_ns: int, rgb: U8) -> None:
        with self._changed:
            if stop.is_set():
                return
            self._seq += 1
            self._newest = Frame(self._seq, t_ns, readonly(rgb, np.uint8))
            self._deadline_s = time.monotonic() + self._stall_s
            self._changed.notify_all()


def _nothing() -> None:
    pass


class PacedCamera:
    """Pictures in order, each due ``1 / fps`` after the one before, from the first ``read`` on; late ones are skipped.

    ``picture(index)`` returns u8[height, width, 3] RGB for a rising index from 0, or ``None`` past the last; it is
    asked before the picture is due, so that a frame's capture time is its due time and making it costs no latency.
    """

    live = False
    fault: str | None = None

    def __init__(
        self, picture: Callable[[int], U8 | None], fps: float, clock: Clock, release: Callable[[], None] = _nothing
    ) -> None:
        self._picture, self._fps, self._clock, self._release = picture, fps, clock, release
        self._start_ns: int | None = None
        self._next = 0
        self._closed = False

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest due frame, ``None`` when none is due in ``timeout_s``; ``EOFError`` at the end."""
        if self._closed:
            raise EOFError("the camera is closed")
        now_ns = self._clock.now_ns()
        if self._start_ns is None:
            self._start_ns = now_ns
        index = max(self._next, int((now_ns - self._start_ns) * self._fps / NS_PER_S))
        due_ns = self._start_ns + round(index * NS_PER_S / self._fps)
        end_ns = now_ns + round(timeout_s * NS_PER_S)
        if due_ns > end_ns:
            self._clock.sleep_until(end_ns)
            return None
        rgb = self._picture(index)
        if rgb is None:
            raise EOFError("the last picture was read")
        self._next = index + 1
        self._clock.sleep_until(due_ns)
        return Frame(index + 1, due_ns, readonly(rgb, np.uint8))

    def close(self) -> None:
        """Release the file; reading afterwards raises ``EOFError``."""
        if not self._closed:
            self._closed = True
            self._release()
