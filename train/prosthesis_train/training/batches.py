"""Which pictures and which random numbers a step sees: functions of seed and step alone.

So a resumed run needs no state of any random generator, and every process of a run draws the same global batch and
takes its own part of it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prosthesis.errors import ConfigError
from prosthesis_train.data.augment import Augmentation, augmented

_ORDER, _DRAW = 0, 1


def step_random(seed: int, step: int) -> torch.Generator:
    """Return the random generator of one step, on the CPU so that every device draws the same."""
    return torch.Generator().manual_seed(_mixed(seed, _DRAW, step))


@functools.lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng((seed, _ORDER, epoch)).permutation(count)


def _mixed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


@dataclass(frozen=True, slots=True)
class Batches:
    """Pictures u8[n, h, w, c] in a new order every epoch, in global batches of which each process has a part."""

    pictures: npt.NDArray[np.uint8]
    batch: int
    seed: int
    augmentation: Augmentation
    rank: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        if self.batch % self.processes:
            raise ConfigError(
                f"a batch of {self.batch} cannot be shared by {self.processes} processes; make it a multiple"
            )
        if len(self.pictures) < self.batch:
            raise ConfigError(
                f"a batch of {self.batch} needs as many pictures, but there are {len(self.pictures)}; "
                "choose a smaller --batch"
            )

    @property
    def per_epoch(self) -> int:
        """Return how many full batches an epoch has."""
        return len(self.pictures) // self.batch

    def real(self, step: int, random: torch.Generator) -> Tensor:
        """Return this process's part of the global batch ``step`` as f32[batch / processes, c, h, w] in [-1, 1]."""
        epoch, place = divmod(step, self.per_epoch)
        order = _order(self.seed, epoch, len(self.pictures))
        chosen = self.pictures[np.sort(order[place * self.batch : (place + 1) * self.batch])]
        return self.part(augmented(torch.from_numpy(chosen), self.augmentation, random))

    def normal(self, width: int, random: torch.Generator) -> Tensor:
        """Return this process's part of f32[batch, width] of N(0, 1)."""
        return self.part(torch.randn(self.batch, width, generator=random))

    def part(self, whole: Tensor) -> Tensor:
        """Return this process's rows of a tensor of the global batch."""
        return whole.chunk(self.processes)[self.rank]
