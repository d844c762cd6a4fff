"""What torchmetrics needs to score features that are ready, so that each set of pictures is described once only."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from prosthesis.errors import ProsthesisError


class Ready(nn.Module):
    """Stands where torchmetrics wants a network, and returns the features it is given."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        """Return the features as they are."""
        return features


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Give torchmetrics a seed of its own, and keep quiet about memory, which features hardly take."""
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore", UserWarning)
        torch.manual_seed(seed)
        yield


def check(reference: Tensor, features: Tensor) -> None:
    """Raise ``ProsthesisError`` when two sets of features cannot be compared."""
    if reference.ndim != 2 or features.ndim != 2 or reference.shape[1] != features.shape[1]:
        raise ProsthesisError(
            f"features of shapes {tuple(reference.shape)} and {tuple(features.shape)} cannot be compared: both must "
            "come from one network"
        )
    if min(len(reference), len(features)) < 2:
        raise ProsthesisError("a distance between sets needs at least two pictures in each")
    if not (reference.isfinite().all() and features.isfinite().all()):
        raise ProsthesisError("features hold NaN or infinity: the generator has broken down; look at its pictures")
