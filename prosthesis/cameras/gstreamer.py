"""Cameras through GStreamer: inside OpenCV where it was built in, else from a ``gst-launch-1.0`` child process."""

from __future__ import annotations

import os
import select
import shlex
import shutil
import subprocess
import tempfile
import time
from fractions import Fraction

import numpy as np

from prosthesis.cameras.newest import OPEN_S, Device, NewestReader
from prosthesis.config import CameraConfig
from prosthesis.errors import CameraError
from prosthesis.messages import U8
from prosthesis.protocols import Clock, FrameSource

LAUNCH = "gst-launch-1.0"


def open_csi(sensor: str, config: CameraConfig, clock: Clock) -> FrameSource:
    """Open the CSI camera with this number on a Jetson; it is opened again when it fails."""
    if not (sensor.isascii() and sensor.isdecimal()):
        raise CameraError(f"csi://{sensor}: '{sensor}' is not a sensor number; write csi://0")
    return NewestReader(lambda: _csi_device(f"csi://{sensor}", csi_source(int(sensor), config), config), clock)


def _csi_device(name: str, source: str, config: CameraConfig) -> Device:
    from prosthesis.cameras import opencv

    if opencv.has_gstreamer():
        return opencv.gstreamer_device(source, name, config)
    if shutil.which(LAUNCH) is None:
        raise CameraError(
            f"{name}: OpenCV here has no GStreamer and {LAUNCH} was not found; install gstreamer1.0-tools"
        )
    return GstPipe(source, name, config.width, config.height)


def csi_source(sensor: int, config: CameraConfig) -> str:
    """Return the pipeline from a Jetson's CSI sensor to pictures in ordinary memory; untested on a board."""
    rate = Fraction(config.fps).limit_denominator(1001)
    return (
        f"nvarguscamerasrc sensor-id={sensor} ! video/x-raw(memory:NVMM),width={config.width},height={config.height},"
        f"framerate={rate.numerator}/{rate.denominator},format=NV12 ! nvvidconv ! video/x-raw,format=BGRx"
    )


def command(source: str, width: int, height: int, fd: int) -> list[str]:
    """Return the child's command line: ``source`` to raw RGB of a known size on file descriptor ``fd``."""
    caps = f"video/x-raw,format=RGB,width={width},height={height}"
    return [LAUNCH, "-q", *shlex.split(source), "!", "videoconvert", "!", caps, "!", "fdsink", f"fd={fd}"]


class GstPipe:
    """A ``gst-launch-1.0`` child as a ``Device``: pictures of known length through a pipe.

    The pipe is not the child's stdout, because drivers print there (nvarguscamerasrc does). Should this process die,
    the child's next write finds the pipe closed and ends it.
    """

    def __init__(self, source: str, name: str, width: int, height: int, patience_s: float = OPEN_S) -> None:
        self._name, self._width, self._patience_s = name, width, patience_s
        stride = (3 * width + 3) // 4 * 4  # GStreamer pads the rows of RGB to four bytes
        self._rows = np.empty((height, stride), np.uint8)
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (a file, for a chatty child must never block on a full pipe)
        self._pipe, theirs = os.pipe()
        try:
            self._child = subprocess.Popen(
                command(source, width, height, theirs),
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                pass_fds=(theirs,),
                start_new_session=True,  # Ctrl-C is the runtime's to handle, the camera stays until it is closed
            )
        except OSError as error:
            os.close(self._pipe)
            self._said.close()
            raise CameraError(
                f"{name}: {LAUNCH} cannot be run ({error.strerror}); install gstreamer1.0-tools"
            ) from error
        finally:
            os.close(theirs)
        self._poll = select.poll()
        self._poll.register(self._pipe, select.POLLIN)

    def grab(self) -> None:
        """Read the next picture whole; ``CameraError`` with the child's last words when it ends or hangs."""
        self._rows = np.empty_like(self._rows)
        rest = self._rows.data.cast("B")
        end_s = time.monotonic() + self._patience_s
        while rest:
            if not self._poll.poll(max(0.0, end_s - time.monotonic()) * 1000):
                raise CameraError(f"{self._name}: GStreamer gave no picture for {self._patience_s:g} s")
            count = os.readv(self._pipe, [rest])
            if count == 0:
                raise CameraError(f"{self._name}: GStreamer ended: {self._last_words()}")
            rest = rest[count:]

    def retrieve(self) -> U8:
        """Return the picture just grabbed, u8[height, width, 3] RGB."""
        return self._rows[:, : 3 * self._width].reshape(len(self._rows), self._width, 3)

    def close(self) -> None:
        """Kill the child and wait for it; closing twice is fine."""
        if self._said.closed:
            return
        self._child.kill()
        self._child.wait()
        os.close(self._pipe)
        self._said.close()

    def _last_words(self) -> str:
        self._child.kill()
        self._child.wait()
        self._said.seek(0)
        lines = [line.strip() for line in self._said.read().decode(errors="replace").splitlines() if line.strip()]
        # what follows the last ERROR is debug detail and "Freeing pipeline"
        errors = [line for line in lines if line.startswith(("ERROR", "WARNING: erroneous"))]
        return (errors or lines or ["it said nothing"])[-1]
