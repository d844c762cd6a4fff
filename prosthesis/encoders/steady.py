"""A task map that stays with what it shows: the last map, moved by the camera's flow, is mixed into the new one.

Flow is DIS (Kroeger et al. 2016) both ways; where going there and back does not return, the place was hidden before,
and there the new map stands alone. So noise is averaged over frames and nothing is smeared where the view changes.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from prosthesis.errors import ConfigError
from prosthesis.messages import F32, U8, Frame, MachineCode, readonly
from prosthesis.protocols import Encoder, Forgetful, Speaking
from prosthesis.timing import NS_PER_S
from prosthesis.view import View, sample

SIDE = 96  # pixels of the view in which flow is found
LOST_PX = 1.0  # further than this from where it set out, a place that went there and back was hidden
PAUSE_S = 0.5  # after which the last map says nothing


class SteadyEncoder:
    """Wraps another encoder of maps; ``keep`` in 0..1 is the weight of what was seen before."""

    def __init__(self, inner: Encoder, view: View, keep: float) -> None:
        if len(inner.shape) != 2:
            raise ConfigError("a map is steadied, not a latent code: choose an encoder of maps")
        self._inner, self._view, self._keep = inner, view, keep
        self.shape = inner.shape
        self._dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._last: tuple[int, U8, F32] | None = None

    def encode(self, frame: Frame, now_ns: int) -> MachineCode:
        """Return the inner encoder's map, steadied."""
        new = np.asarray(self._inner.encode(frame, now_ns).values.reshape(self.shape), np.float32)
        gray = np.asarray(cv2.cvtColor(sample(frame.rgb, self._view, SIDE), cv2.COLOR_RGB2GRAY), np.uint8)
        values = new
        if self._last is not None and 0 < frame.t_ns - self._last[0] <= PAUSE_S * NS_PER_S:
            values = self._mixed(new, gray, self._last[1], self._last[2])
        self._last = (frame.t_ns, gray, values)
        return MachineCode(frame.seq, frame.t_ns, readonly(values, np.float32).reshape(-1), "map", self.shape)

    def _mixed(self, new: F32, gray: U8, before: U8, last: F32) -> F32:
        flow, seen = flow_and_visibility(self._dis, gray, before)
        rows, columns = self.shape
        scale = np.array([columns, rows], np.float32) / SIDE
        there = cv2.resize(flow, (columns, rows), interpolation=cv2.INTER_AREA) * scale
        x, y = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
        at_x, at_y = x + there[..., 0], y + there[..., 1]
        moved = cv2.remap(last, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        inside = (at_x >= 0) & (at_x <= columns - 1) & (at_y >= 0) & (at_y <= rows - 1)
        weight = self._keep * inside * cv2.resize(seen, (columns, rows), interpolation=cv2.INTER_AREA)
        # a map that is no number passes on, for the guard to silence
        return np.asarray(new + weight * np.where(np.isfinite(moved), moved - new, 0), np.float32)

    def forget(self) -> None:
        """Forget the last map, and what the inner encoder remembers."""
        self._last = None
        if isinstance(self._inner, Forgetful):
            self._inner.forget()

    def said(self) -> tuple[str, ...]:
        """Return what the inner encoder has to say."""
        return self._inner.said() if isinstance(self._inner, Speaking) else ()


def flow_and_visibility(dis: Any, now: U8, before: U8) -> tuple[F32, F32]:
    """Return where each pixel of ``now`` was ``before``, f32[h,w,2] in pixels from it, and 1 where it was to be seen."""
    back, forth = dis.calc(now, before, None), dis.calc(before, now, None)
    h, w = now.shape
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    returned = cv2.remap(forth, x + back[..., 0], y + back[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    seen = np.hypot(*(back + returned).transpose(2, 0, 1)) <= LOST_PX
    return np.asarray(back, np.float32), seen.astype(np.float32)
