"""Averages of weights over training: what is sampled from, never what is trained."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

Kind = Literal["none", "ema", "epochs"]


class Averager:
    """A copy of a network that follows it: ``ema`` (Brock et al. 2019), ``epochs`` (plain mean over epochs), ``none``.

    The decay of the exponential mean grows as (1 + t) / (10 + t) up to ``decay``, for a fixed one lags on short runs.
    Batch statistics are averaged as the weights are.
    """

    def __init__(self, network: nn.Module, kind: Kind, decay: float, steps_per_epoch: int) -> None:
        self.kind, self.decay, self.steps_per_epoch = kind, decay, steps_per_epoch
        self.network = copy.deepcopy(network).requires_grad_(False).eval()

    def update(self, network: nn.Module, steps_done: int) -> None:
        """Take in the weights after ``steps_done`` steps."""
        share = self._share(steps_done)
        if share == 0.0:
            return
        for mean, new in zip(_numbers(self.network), _numbers(network), strict=True):
            if mean.is_floating_point():
                mean.lerp_(new.detach(), share)
            else:
                mean.copy_(new)

    def _share(self, steps_done: int) -> float:
        """Return the weight of the newest weights in the mean."""
        if self.kind == "none":
            return 1.0
        if self.kind == "ema":
            return 1.0 - min(self.decay, (1 + steps_done) / (10 + steps_done))
        epochs, rest = divmod(steps_done, self.steps_per_epoch)
        if epochs == 0:
            return 1.0  # before the first epoch ends there is nothing to average
        return 0.0 if rest else 1.0 / epochs

    def state(self) -> dict[str, Tensor]:
        """Return the averaged numbers."""
        return self.network.state_dict()

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from an earlier ``state``."""
        self.network.load_state_dict(state)


def _numbers(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
