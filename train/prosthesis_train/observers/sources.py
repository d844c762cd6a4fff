"""What observers are trained on: a task's pictures drawn plainly onto the array, and through classical encoders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prosthesis_train.observers.percepts import VirtualPatient
from prosthesis_train.tasks.fitted import laid, stretched
from prosthesis_train.tasks.task import U8, framed
from prosthesis_train.tasks.under_test import shipped

I64 = npt.NDArray[np.int64]
CLASSICAL = ("luminance-32", "contrast-32", "edges-32")


@dataclass(frozen=True, slots=True)
class Source:
    """Task maps f32[k, t, rows, columns] of one encoder, and their labels."""

    encoder: str
    maps: Tensor
    labels: Tensor


def sources(squares: U8, labels: I64, patient: VirtualPatient, classical: int) -> list[Source]:
    """Return plain maps of all the pictures, and maps of the first ``classical`` of them by each classical encoder."""
    answers = torch.as_tensor(labels)
    found = [Source("plain", torch.as_tensor(stretched(squares)), answers)]
    for name in CLASSICAL:
        maps = shipped(name)(framed(squares[:classical]), patient)
        found.append(Source(name, torch.as_tensor(maps), answers[:classical]))
    return found


def enlarged(maps: Tensor, patient: VirtualPatient, random: np.random.Generator) -> Tensor:
    """Return plain maps [b, t, s, s] laid onto the part of the field where this patient has phosphenes, loosely.

    By chance a fifth smaller or larger, a third narrower or wider, and a twelfth aside.
    """
    b = len(maps)
    size, stretch, aside = random.uniform(0.8, 1.25, b), random.uniform(0.87, 1.15, b), random.uniform(-1, 1, (2, b))
    return laid(maps, patient, size, stretch, aside / 12)


def crisp(patient: VirtualPatient, maps: Tensor, random: np.random.Generator) -> Tensor:
    """Return percepts as ``look``, of electrodes all or nothing: those whose receptive field a stroke reaches.

    A faint gray lights a phosphene at four tenths of its most, so gray edges make strokes fat; who draws by hand for
    an array draws without.
    """
    b, t = maps.shape[:2]
    with torch.no_grad():
        wanted = patient.device.sampled(maps.reshape(b * t, *maps.shape[2:])) > float(random.uniform(0.15, 0.4))
        activity = patient.device.brain_code(wanted.float() * float(random.uniform(0.5, 1.0)))
        return patient.see(patient.device.currents(activity)).reshape(b, t, patient.side, patient.side)


def look(patient: VirtualPatient, maps: Tensor) -> Tensor:
    """Return percepts f32[b, t, side, side] of maps [b, t, rows, columns]."""
    b, t = maps.shape[:2]
    return patient.percepts(maps.reshape(b * t, *maps.shape[2:])).reshape(b, t, patient.side, patient.side)
