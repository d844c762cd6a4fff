"""What makes a frame unfit for a brain: the runtime keeps such frames from ever reaching an electrode."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prosthesis.messages import U8, Frame
from prosthesis.timing import NS_PER_S

BLACK = 16  # studio-range video's black (ITU-R BT.601): nothing brighter means a covered lens or a dead sensor
FROZEN_NS = NS_PER_S // 2
STRIDE = 997  # a first glance at every 997th value: a prime, so that it falls on all columns and colours


class FrameCheck:
    """Checks each frame of one camera in turn; only ``live`` cameras can be black or frozen, for they have noise."""

    def __init__(self, width: int, height: int, live: bool) -> None:
        self._shape = (height, width, 3)
        self._live = live
        self._since: Frame | None = None  # the first of the frames that are all equal to the newest one

    def fault(self, frame: Frame) -> str | None:
        """Return ``'wrong size'``, ``'black'``, ``'frozen'`` (bit-identical for 0.5 s of capture time), or ``None``."""
        if frame.rgb.shape != self._shape or frame.rgb.dtype != np.uint8:
            return "wrong size"
        if not self._live:
            return None
        values = frame.rgb.reshape(-1)
        if self._since is None or not _equal(values, self._since.rgb.reshape(-1)):
            self._since = frame
        if values[::STRIDE].max() < BLACK and values.max() < BLACK:
            return "black"
        return "frozen" if frame.t_ns - self._since.t_ns >= FROZEN_NS else None


def _equal(a: U8, b: U8) -> bool:
    if not np.array_equal(a[::STRIDE], b[::STRIDE]):
        return False
    return bool(np.array_equal(_wide(a), _wide(b)))


def _wide(values: U8) -> npt.NDArray[np.unsignedinteger]:
    """View eight values as one, where they divide evenly: comparing is then several times faster."""
    return values.view(np.uint64) if values.size % 8 == 0 else values
