"""What a patient sees of task maps, and of the controls: labels of electrodes permuted, other trials' maps, nothing."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prosthesis_train.observers.percepts import VirtualPatient

F32 = npt.NDArray[np.float32]
Condition = Literal["shown", "scrambled", "shuffled", "off"]
CONTROLS: tuple[Condition, ...] = ("scrambled", "shuffled", "off")
CHUNK = 128


def percepts(patient: VirtualPatient, maps: F32, condition: Condition, seed: int) -> tuple[Tensor, float]:
    """Return what is seen, f32[k, t, side, side], and the charge of an average map in nC/s.

    ``scrambled`` gives each electrode another's activity, one permutation for all trials; ``shuffled`` shows each trial
    the maps of another; ``off`` delivers nothing. Observers were trained on none of these.
    """
    random, (k, t) = np.random.default_rng([seed, 9]), maps.shape[:2]
    if condition == "shuffled":
        # each the next of a random circle: never its own
        order = random.permutation(k)
        maps = maps[order][np.argsort(np.roll(order, 1))]
    where = torch.arange(patient.electrodes)
    if condition == "scrambled":
        where = torch.as_tensor(random.permutation(patient.electrodes))
    flat, seen, charge = torch.as_tensor(maps.reshape(k * t, *maps.shape[2:])), [], 0.0
    with torch.no_grad():
        for start in range(0, k * t, CHUNK):
            currents = patient.device.currents(patient.device.activity(flat[start : start + CHUNK])[:, where])
            currents = currents * (condition != "off")
            charge += float(patient.charge_nc(currents).sum())
            seen.append(patient.see(currents))
    return torch.cat(seen).reshape(k, t, patient.side, patient.side), charge / (k * t)
