"""Processor ``obstacle`` version 1: what one is about to walk into, brighter the sooner, and an alarm."""

from __future__ import annotations

import math

import numpy as np

from prosthesis.background import Background
from prosthesis.bundles.bundle import Bundle
from prosthesis.encoders.pointing import Pointed, Pointer, obstacle
from prosthesis.hops import ObstacleEncoderConfig
from prosthesis.messages import F32, U8, Frame, MachineCode, readonly
from prosthesis.obstacles.boxes import ObjectFinder
from prosthesis.obstacles.expansion import STEP
from prosthesis.obstacles.finder import Finder, Findings, Sight
from prosthesis.obstacles.flow import CELL_PX, small_gray
from prosthesis.obstacles.paint import paint
from prosthesis.obstacles.stereo import Stereo, split
from prosthesis.protocols import Engine
from prosthesis.timing import NS_PER_S
from prosthesis.view import View

SHAPE = (32, 32)
LOOK_S = 0.15  # between frames for the network: the other core is the rest of the system's too


class Looker:
    """What is too slow for the path: object boxes, and distances with two cameras."""

    def __init__(self, objects: ObjectFinder, stereo: Stereo | None) -> None:
        self._objects, self._stereo = objects, stereo

    def look(self, frame: Frame) -> Sight:
        """Return what is in a frame; with two cameras, in the left one's picture."""
        if self._stereo is None:
            return Sight(frame.t_ns, self._objects.find(frame.rgb))
        left, right = split(frame.rgb)
        disparity = self._stereo.disparity(left, right)
        distance = self._stereo.over_patches_m(disparity, patch_shape(left))
        return Sight(frame.t_ns, self._objects.find(left), distance, self._stereo.scale_m_px(disparity.shape[1]))


def patch_shape(rgb: U8) -> tuple[int, int]:
    """Return rows and columns of the patches that a camera's picture is divided into."""
    height, width = small_gray(rgb).shape
    return -(-(height // CELL_PX) // STEP), -(-(width // CELL_PX) // STEP)


class ObstacleEncoder:
    """Finds and paints obstacles; flow in every frame, boxes and distances in a thread beside.

    ``find`` and ``paint`` are the two halves of ``encode``, for those who look at findings or bring their own sights.
    """

    def __init__(self, config: ObstacleEncoderConfig, bundle: Bundle, engine: Engine, view: View) -> None:
        self.shape = SHAPE
        self._view = view
        self._alarm_s = config.alarm_s
        self._finder = Finder(view.camera_deg, config.alarm_s)
        self._is_stereo = config.stereo is not None
        half = math.tan(math.radians(view.camera_deg[0] / 2))
        stereo = Stereo(config.stereo.baseline_m, half) if config.stereo is not None else None
        self.looker = Looker(ObjectFinder(bundle, engine), stereo)
        self._beside: Background[Frame, Sight] | None = None
        self._offered_ns = -(1 << 62)
        self._pointer = Pointer("obstacle")

    def encode(self, frame: Frame, now_ns: int) -> MachineCode:
        """Return the map of ``frame``, f32[rows * columns] row by row from the top."""
        findings = self.find(frame, self._look(frame))
        share = 0.5 if self._is_stereo else 1.0
        self._pointer.point(frame.seq, frame.t_ns, (obstacle(thing, share) for thing in findings.obstacles))
        values = self.paint(findings, now_ns)
        return MachineCode(frame.seq, frame.t_ns, readonly(values, np.float32).reshape(-1), "map", self.shape)

    def find(self, frame: Frame, sight: Sight | None) -> Findings:
        """Return what is in the frame, with the newest sight there is; frames must come in order."""
        rgb = split(frame.rgb)[0] if self._is_stereo else frame.rgb
        return self._finder.find(rgb, frame.t_ns, sight)

    def paint(self, findings: Findings, now_ns: int) -> F32:
        """Return findings as a map f32[rows, columns] in 0..1."""
        return paint(findings, self._view, self.shape, now_ns)

    def said(self) -> tuple[str, ...]:
        """Return the alarms that were new since last asked, in words."""
        return self._finder.said()

    def found(self) -> Pointed:
        """Return the obstacles in the newest frame, if there are any or there were in the one before."""
        return self._pointer.news()

    def forget(self) -> None:
        """Forget earlier frames, objects and alarms."""
        self._pointer.forget()
        self._finder = Finder(self._view.camera_deg, self._alarm_s)

    def close(self) -> None:
        """End the thread."""
        if self._beside is not None:
            self._beside.close()

    def _look(self, frame: Frame) -> Sight | None:
        if self._beside is None:
            self._beside = Background(self.looker.look, "obstacles")
        if frame.t_ns - self._offered_ns >= LOOK_S * NS_PER_S:
            self._offered_ns = frame.t_ns
            self._beside.offer(frame)
        return self._beside.latest()
