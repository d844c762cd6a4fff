"""A task with the obstacle layer over it: one sees the task, and what one is about to walk into."""

from __future__ import annotations

import cv2
import numpy as np

from prosthesis.errors import ConfigError
from prosthesis.messages import F32, Findings, Frame, MachineCode, readonly
from prosthesis.protocols import Encoder, Forgetful, Pointing, Speaking


class LayeredEncoder:
    """Lays obstacles of ``show_from`` (0 to 1) or brighter over another encoder's map; below that the task is alone.

    Where an obstacle is shown it replaces the task, and around it the task is dimmed by how urgent it is, so that a
    bright task cannot hide it. Raises ``ConfigError`` when the other encoder does not make a map.
    """

    def __init__(self, task: Encoder, obstacles: Encoder, show_from: float) -> None:
        if len(task.shape) != 2:
            raise ConfigError("key 'encoder.task': the obstacle layer goes over a map, not over a latent code")
        self._task, self._obstacles, self._show_from = task, obstacles, show_from
        self.shape = task.shape

    def encode(self, frame: Frame, now_ns: int) -> MachineCode:
        """Return the task's map of ``frame`` with the obstacles over it."""
        below = self._task.encode(frame, now_ns).values.reshape(self.shape)
        over = self._obstacles.encode(frame, now_ns).values.reshape(self._obstacles.shape)
        values = lay(below, over, self._show_from)
        return MachineCode(frame.seq, frame.t_ns, readonly(values, np.float32).reshape(-1), "map", self.shape)

    def forget(self) -> None:
        """Forget what both remember."""
        for layer in (self._task, self._obstacles):
            if isinstance(layer, Forgetful):
                layer.forget()

    def said(self) -> tuple[str, ...]:
        """Return what was new since last asked: alarms, then the task's own words."""
        layers = (self._obstacles, self._task)
        return tuple(text for layer in layers if isinstance(layer, Speaking) for text in layer.said())

    def found(self) -> tuple[Findings, ...]:
        """Return what either found since last asked."""
        layers = (self._obstacles, self._task)
        return tuple(found for layer in layers if isinstance(layer, Pointing) for found in layer.found())


def lay(below: F32, over: F32, show_from: float) -> F32:
    """Return the task's map ``below`` with the obstacle map ``over`` (resized to it) laid on.

    >>> lay(np.float32([[0.8, 0.8]]), np.float32([[0.0, 0.75]]), 0.5).tolist()
    [[0.20000000298023224, 0.75]]
    """
    rows, columns = below.shape
    if over.shape != below.shape:
        over = cv2.resize(over, (columns, rows), interpolation=cv2.INTER_AREA)
    shown = np.where(over >= show_from, over, np.float32(0.0))
    worst = np.float32(shown.max(initial=0.0))
    return np.asarray(np.where(shown > 0, shown, below * (1 - worst)), np.float32)
