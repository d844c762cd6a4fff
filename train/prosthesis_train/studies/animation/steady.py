"""Camera frames steadied by flow and occlusion before an encoder sees them: a wrapper that was tried.

The last frame, as it was steadied, is moved by the flow and mixed into the new one. Flow is DIS (Kroeger et al. 2016)
both ways; where going there and back does not return, the place was hidden before, and there the new frame stands
alone. Mixing the maps instead of the frames was tried too and was worse: moving coarse maps by parts of a cell blurs
them. What came of it is on the page of ``recipe``; it is no part of the device.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from prosthesis.messages import F32, U8, Frame, MachineCode, readonly
from prosthesis.protocols import Encoder

LOST_PX = 1.0  # further than this from where it set out, a place that went there and back was hidden
BLUR_PX = 1.5  # of what flow is found in: grain moves with the sensor, not with the scene


class SteadyEncoder:
    """Wraps another encoder; ``keep`` in 0..1 is the weight of what was seen before, ``with_flow`` moves it."""

    def __init__(self, inner: Encoder, keep: float, with_flow: bool = True) -> None:
        self._inner, self._keep, self._with_flow = inner, keep, with_flow
        self.shape = inner.shape
        self._dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._last: tuple[U8, F32] | None = None

    def encode(self, frame: Frame, now_ns: int) -> MachineCode:
        """Return the inner encoder's code of the steadied frame."""
        gray = cv2.GaussianBlur(cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY), (0, 0), BLUR_PX)
        steadied = frame.rgb.astype(np.float32)
        if self._last is not None:
            steadied = self._mixed(steadied, np.asarray(gray, np.uint8), *self._last)
        self._last = (np.asarray(gray, np.uint8), steadied)
        rgb = readonly(np.clip(np.rint(steadied), 0, 255), np.uint8)
        return self._inner.encode(Frame(frame.seq, frame.t_ns, rgb), now_ns)

    def _mixed(self, new: F32, gray: U8, before: U8, last: F32) -> F32:
        if not self._with_flow:
            return np.asarray(new + self._keep * (last - new), np.float32)
        flow, seen = flow_and_visibility(self._dis, gray, before)
        moved = _moved(last, flow)
        return np.asarray(new + self._keep * seen[..., None] * (moved - new), np.float32)


def flow_and_visibility(dis: Any, now: U8, before: U8) -> tuple[F32, F32]:
    """Return where each pixel of ``now`` was ``before``, f32[h,w,2] in pixels from it, and 1 where it was seen."""
    back, forth = dis.calc(now, before, None), dis.calc(before, now, None)
    returned = _moved(forth, back)
    seen = np.hypot(*(back + returned).transpose(2, 0, 1)) <= LOST_PX
    return np.asarray(back, np.float32), seen.astype(np.float32)


def _moved(values: F32, flow: F32) -> F32:
    """Return values f32[h,w,...] from where ``flow`` says, in pixels; outside, the border goes on."""
    h, w = flow.shape[:2]
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    at = (x + flow[..., 0], y + flow[..., 1])
    return np.asarray(cv2.remap(values, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
