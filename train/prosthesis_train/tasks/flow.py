"""The device's obstacle encoder as the task scores want it: ``obstacle-flow``.

Trials are frames 0.1 s apart, a second of walking before those that are judged. Boxes are left out: rendered
boxes are nothing that the object network knows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prosthesis.messages import U8
from prosthesis.obstacles.finder import Finder
from prosthesis.obstacles.paint import paint
from prosthesis_train.observers.percepts import VirtualPatient

F32 = npt.NDArray[np.float32]
SHAPE = (32, 32)
STEP_NS = 100_000_000
NO_ALARM_S = 0.01  # a flashing frame says nothing of sides


def flow(frames: U8, patient: VirtualPatient) -> F32:
    """Return maps f32[k, t, 32, 32] of trials u8[k, t, h, w, 3] through the patient's view."""
    out = np.zeros((*frames.shape[:2], *SHAPE), np.float32)
    for trial, into in zip(frames, out, strict=True):
        finder = Finder(patient.view.camera_deg, NO_ALARM_S)
        for k, rgb in enumerate(trial):
            findings = finder.find(rgb, (k + 1) * STEP_NS)
            into[k] = paint(findings, patient.view, SHAPE, 0)
    return out
