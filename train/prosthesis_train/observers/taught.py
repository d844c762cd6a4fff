"""What a code is worth to those who were taught it: an observer made anew for each code, never one of the frozen ones.

Exposures vary as they do for a person: every electrode's threshold from one to the next (the world's criterion noise),
the overall brightness, and noise in the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from prosthesis_train.networks.taskmap import Observer
from prosthesis_train.observers.percepts import VirtualPatient


class Seer(Protocol):
    """Who can be shown maps: a virtual patient, or one as the device believes it to be."""

    def currents(self, maps: Tensor) -> Tensor:
        """Return what maps f32[b, rows, columns] drive, f32[b, n]."""

    def see(self, amplitude_ua: Tensor, /) -> Tensor:
        """Return the percepts f32[b, side, side] of that."""


THRESHOLD_SD = 0.1  # of the log; the criterion noise of the shipped worlds' participants
GAIN_SD = 0.1  # of the log; chosen
NOISE_SD = 0.03  # the rating noise of the shipped worlds' participants
BATCH = 64


@dataclass(frozen=True, slots=True)
class Teaching:
    """How an observer is taught: exposures of each symbol through each patient, steps, electrodes lost at most."""

    exposures: int = 6
    steps: int = 400
    lost: float = 0.25
    lr: float = 2e-3
    seed: int = 0


def exposed(patient: Seer, maps: Tensor, random: torch.Generator, lost: float = 0.0) -> Tensor:
    """Return one exposure f32[b, 2, side, side] of each of maps f32[b, rows, columns]; gradients reach the maps.

    The second picture is one exposure of everything lit: who looks knows how their own array looks, though no symbol
    of the code. Up to a share ``lost`` of the electrodes, drawn anew, is silent in all: a patient like this one.
    """
    currents = patient.currents(torch.cat([maps, torch.ones(1, *maps.shape[1:])]))
    kept = torch.rand(currents.shape[1], generator=random) >= lost * torch.rand(1, generator=random)
    felt = currents * kept * torch.exp(THRESHOLD_SD * torch.randn(currents.shape, generator=random))
    seen = patient.see(felt) * torch.exp(GAIN_SD * torch.randn(len(felt), 1, 1, generator=random))
    seen = seen + NOISE_SD * torch.randn(seen.shape, generator=random)
    return torch.stack([seen[:-1], seen[-1:].expand(len(maps), -1, -1)], 1)


def lessons(
    patients: Sequence[VirtualPatient], maps: Tensor, exposures: int, random: torch.Generator, lost: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Return percepts f32[n, 2, side, side] and labels i64[n]: ``exposures`` of every map through every patient."""
    with torch.no_grad():
        seen = [exposed(patient, maps, random, lost) for patient in patients for _ in range(exposures)]
    return torch.cat(seen), torch.arange(len(maps)).repeat(len(seen))


def teach(percepts: Tensor, labels: Tensor, teaching: Teaching) -> Observer:
    """Return an observer taught on percepts f32[n, 2, side, side] with labels i64[n]."""
    torch.manual_seed(teaching.seed)
    observer = Observer(int(labels.max()) + 1, percepts.shape[-1], 2)
    adam = torch.optim.AdamW(observer.parameters(), teaching.lr, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, teaching.lr, total_steps=teaching.steps)
    random = torch.Generator().manual_seed(teaching.seed)
    for _ in range(teaching.steps):
        chosen = torch.randint(len(labels), (BATCH,), generator=random)
        adam.zero_grad(set_to_none=True)
        torch.autograd.backward(cross_entropy(observer(percepts[chosen]), labels[chosen], label_smoothing=0.05))
        adam.step()
        schedule.step()
    return observer.eval()


@torch.no_grad()
def answers(observer: Observer, percepts: Tensor) -> npt.NDArray[np.int64]:
    """Return what the observer says, i64[n]."""
    parts = [percepts[k : k + 256] for k in range(0, len(percepts), 256)]
    said: npt.NDArray[np.int64] = torch.cat([observer(part).argmax(1) for part in parts]).numpy()
    return said


def learning_curve(
    patients: Sequence[VirtualPatient], maps: Tensor, counts: Sequence[int], random: torch.Generator, tests: int = 4
) -> dict[int, float]:
    """Return, by exposures of each symbol, how often the nearest mean percept is right within one patient.

    The plainest pupil: it keeps the mean of what it was shown and knows no other patient.
    """
    right: dict[int, list[float]] = {count: [] for count in counts}
    k = len(maps)
    for patient in patients:
        shown, _ = lessons([patient], maps, max(counts), random)
        asked, labels = lessons([patient], maps, tests, random)
        for count in counts:
            means = shown[: count * k, 0].reshape(count, k, -1).mean(0)
            nearest = torch.cdist(asked[:, 0].flatten(1), means).argmin(1)
            right[count].append(float((nearest == labels).float().mean()))
    return {count: float(np.mean(values)) for count, values in right.items()}


def bits_per_symbol(labels: npt.NDArray[np.int64], said: npt.NDArray[np.int64], symbols: int) -> float:
    """Return the mutual information in bits between symbol shown and said, less Miller and Madow's bias.

    Bias after Miller (1955), to first order: cells seen, less rows and columns seen, plus one, over 2 n ln 2.
    """
    joint = np.zeros((symbols, symbols))
    np.add.at(joint, (labels, said), 1.0)
    n = joint.sum()
    rows, columns = joint.sum(1, keepdims=True), joint.sum(0, keepdims=True)
    seen = joint > 0
    plain = float((joint[seen] / n * np.log2((joint * n / np.maximum(rows * columns, 1e-12))[seen])).sum())
    extra = int(seen.sum()) - int((rows > 0).sum()) - int((columns > 0).sum()) + 1
    return float(np.clip(plain - extra / (2 * n * np.log(2)), 0.0, np.log2(symbols)))
