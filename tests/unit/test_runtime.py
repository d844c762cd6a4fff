"""What the main loop tells the user, with stubs for all else."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from prosthesis import runtime
from prosthesis.messages import Frame, readonly

LOST = "no frame from the camera"


class Clock:
    """Time that passes when it is read from the camera."""

    ns = 0

    def now_ns(self):
        return self.ns


class Source:
    """A camera that gives what it is told: ``True`` a frame, ``False`` none; ``step_s`` goes by for each."""

    def __init__(self, clock, script, step_s):
        self._clock, self._script, self._step_s, self._seq = clock, list(script), step_s, 0

    def read(self, timeout_s):
        if not self._script:
            raise EOFError
        self._clock.ns += int(self._step_s * 1e9)
        self._seq += 1
        rgb = readonly(np.zeros((2, 2, 3), np.uint8), np.uint8)
        return Frame(self._seq, self._clock.ns, rgb) if self._script.pop(0) else None


def events(monkeypatch, script, step_s):
    """Return what was told in a run whose camera follows ``script``."""
    watch = SimpleNamespace(tend=lambda publish: None, connected=True)
    monkeypatch.setattr(runtime, "Watch", lambda *_: watch)
    monkeypatch.setattr(runtime, "_publish", lambda passage, publish: None)
    clock = Clock()
    pipeline = SimpleNamespace(process=lambda frame: SimpleNamespace(sent=True), said=tuple, found=tuple)
    check = SimpleNamespace(fault=lambda frame: None)
    source = Source(clock, script, step_s)
    return runtime.run(source, check, pipeline, SimpleNamespace(), clock, lambda topic, message: None).events


def test_a_camera_that_is_lost_again_is_told_again(monkeypatch):
    told = events(monkeypatch, [True, False, False, True, False, True, False], 1.5)
    assert told.count(LOST) == 3


def test_what_lasts_is_told_once(monkeypatch):
    assert events(monkeypatch, [True] + [False] * 50, 1.5).count(LOST) == 1


def test_a_slow_camera_is_not_told_of_at_every_frame(monkeypatch):
    assert events(monkeypatch, [True, False] * 50, 0.1).count(LOST) <= 6
