"""The device's ``obstacle`` encoder in the walk: it needs every frame between decisions, not only the last."""

from __future__ import annotations

import numpy as np

from prosthesis.hops import ObstacleEncoderConfig
from prosthesis.obstacles.finder import Finder, Findings
from prosthesis.obstacles.paint import paint
from prosthesis.timing import NS_PER_S
from prosthesis.view import Field, View
from prosthesis_train.mobility.arena import F32, U8
from prosthesis_train.mobility.protocol import CAMERA_DEG, FRAME_TICS, MAP_SIDE

TIC_NS = NS_PER_S // 35
VIEW = View((0.0, 0.0, 1.0, 1.0), Field(-1.0, 1.0, -1.0, 1.0), (CAMERA_DEG, CAMERA_DEG))
ALARM_S = ObstacleEncoderConfig(type="obstacle").alarm_s


class Flowing:
    """The encoder's flow and alarm; ``begin`` before each walk, then ``watch`` every frame.

    Its network of boxes is left out: nothing that it knows is in an empty map.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget the last walk."""
        self._finder, self._t_ns = Finder(VIEW.camera_deg, ALARM_S), 0
        self._found: Findings | None = None

    def watch(self, rgb: U8) -> None:
        """Take in the next frame u8[h,w,3], ``FRAME_TICS`` after the last."""
        self._t_ns += FRAME_TICS * TIC_NS
        self._found = self._finder.find(rgb, self._t_ns)

    def map(self) -> F32:
        """Return the map f32[32,32] of the newest frame; dark before the first."""
        shape = (MAP_SIDE, MAP_SIDE)
        return np.zeros(shape, np.float32) if self._found is None else paint(self._found, VIEW, shape, self._t_ns)
