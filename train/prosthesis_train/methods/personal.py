"""A trained encoder adapted to one patient by what the device knows of that patient: the calibration, nothing more.

The patient is believed to be as measured: a phosphene at each measured place, as large as its receptive field, as
bright as the calibrated curve allows. What that gains is measured through the true patient, of whom training saw none.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from prosthesis.calibration.table import Calibration
from prosthesis.view import View
from prosthesis_train.data.sights import Sights
from prosthesis_train.methods.codes import PERCEPT_SIDE, charge_share
from prosthesis_train.methods.encoder import Losses, crops_of, losses, wanted_of
from prosthesis_train.networks.taskmap import Observer, TaskMapper
from prosthesis_train.observers.device import step
from prosthesis_train.observers.percepts import VirtualPatient, array_part
from prosthesis_train.observers.taught import exposed
from prosthesis_train.training.batches import step_random

SOFTNESS = 0.1  # of the step at threshold, as gradients see it


@dataclass(frozen=True, slots=True)
class Settings:
    """How an encoder is adapted; the defaults take about a minute of one core."""

    steps: int = 80
    batch: int = 24
    lr: float = 3e-4
    picture: float = 2.0
    charge: float = 0.1
    seed: int = 0


class Believed:
    """A patient as the device believes it to be: what ``VirtualPatient`` can be asked, of a calibration alone.

    ``currents`` are brightnesses here, f32[b, enabled], 0 below what a threshold current shows.
    """

    def __init__(self, calibration: Calibration, view: View, fields: Tensor, side: int = PERCEPT_SIDE) -> None:
        on = np.asarray(calibration.enabled, bool)
        self.view, self.part, self.side, self._fields = view, array_part(calibration), side, fields
        brightness = torch.as_tensor(np.asarray(calibration.curve.brightness)[on], dtype=torch.float32)
        self._least, self._most = brightness[:, 0], brightness[:, -1]
        width = (self.part.x1_deg - self.part.x0_deg) / side
        x, y, sigma = (_f32(calibration.column(name)[on]) for name in ("x_deg", "y_deg", "rf_sigma_deg"))
        centres = torch.arange(side) + 0.5
        across, down = self.part.x0_deg + centres * width, self.part.y1_deg - centres * width
        # a phosphene smaller than a pixel still lights its pixel
        sigma = sigma.clamp(min=width / 2)[:, None]
        self._across = torch.exp(-0.5 * ((across - x[:, None]) / sigma) ** 2)
        self._down = torch.exp(-0.5 * ((down - y[:, None]) / sigma) ** 2)

    def currents(self, maps: Tensor) -> Tensor:
        """Return the brightness of each phosphene f32[b, enabled] for maps f32[b, rows, columns]."""
        wanted = maps.reshape(len(maps), -1) @ self._fields.T
        return torch.minimum(wanted, self._most) * step(wanted - self._least, SOFTNESS, inclusive=True)

    def see(self, brightness: Tensor) -> Tensor:
        """Return the picture f32[b, side, side] in 0..1."""
        return torch.einsum("bn,nh,nw->bhw", brightness, self._down, self._across).clamp(0.0, 1.0)


def believed(patient: VirtualPatient) -> Believed:
    """Return what the device believes ``patient`` to be, for maps of the patient's shape."""
    return Believed(patient.calibration, patient.view, patient.device.fields(patient.map_shape))


def adapt(mapper: TaskMapper, observer: Observer, patient: Believed, data: Sights, settings: Settings) -> TaskMapper:
    """Return a copy of ``mapper`` trained on through one believed patient; batch statistics and observer stay."""
    own = copy.deepcopy(mapper).eval().requires_grad_(True)
    adam = torch.optim.Adam(own.parameters(), settings.lr)
    for number in range(settings.steps):
        random = step_random(settings.seed, number)
        chosen = torch.randint(len(data.labels), (settings.batch,), generator=random)
        found = seen_losses(own, observer, patient, data, chosen, random)
        adam.zero_grad()
        torch.autograd.backward(found.task + settings.picture * found.picture + settings.charge * found.charge)
        adam.step()
    return own.requires_grad_(False)


def seen_losses(
    mapper: nn.Module, observer: Observer, patient: VirtualPatient | Believed, data: Sights, chosen: Tensor,
    random: torch.Generator,
) -> Losses:  # fmt: skip
    """Return the losses of chosen crops through one patient."""
    maps = mapper(crops_of(data, chosen))
    labels = torch.from_numpy(data.labels[chosen.numpy()])
    return losses(
        observer, exposed(patient, maps, random), wanted_of(data, chosen, patient), labels, charge_share(patient, maps)
    )


@torch.no_grad()
def through(mapper: nn.Module, observer: Observer, patient: VirtualPatient, data: Sights) -> tuple[float, float]:
    """Return the share read right and the loss of the picture over all of ``data`` through the true patient."""
    random, order = torch.Generator().manual_seed(0), torch.arange(len(data.labels))
    found = [
        seen_losses(mapper, observer, patient, data, chosen, random)
        for chosen in (order[k : k + 64] for k in range(0, len(order), 64))
    ]
    return _mean([f.read for f in found]), _mean([f.picture for f in found])


def _mean(values: Sequence[Tensor]) -> float:
    return float(torch.stack(list(values)).mean())


def _f32(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Tensor:
    return torch.as_tensor(values.astype(np.float32))
