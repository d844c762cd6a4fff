"""Linear probe: how well a linear classifier reads classes from an encoder's features, and from raw pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.images import I64
from prosthesis_train.scores.two_afc import wilson

F32 = npt.NDArray[np.float32]
DECAYS = (1e-4, 1e-3, 1e-2)
STEPS, BATCH, LEARNING_RATE = 4000, 256, 3e-3  # 17 epochs of 60,000 rows


@dataclass(frozen=True, slots=True)
class Probe:
    """Top-1 on the test set with its 95 % interval, and the L2 penalty that validation chose."""

    top1: float
    low: float
    high: float
    decay: float


def probe(
    train: F32,
    train_labels: I64,
    test: F32,
    test_labels: I64,
    decays: Sequence[float] = DECAYS,
    steps: int = STEPS,
    seed: int = 0,
) -> Probe:
    """Fit softmax regression to standardised rows f32[n,k].

    The penalty is chosen on a sixth of ``train``; test rows are scored once. Whatever is probed gets the same steps
    and the same choice of penalties, so features and pixels compare.
    """
    if not len(decays) or len(train) < 12:
        raise ProsthesisError("a probe needs a penalty to try and a dozen rows to learn from")
    mean, sd = train.mean(0), train.std(0) + 1e-3 * train.std() + 1e-12  # border pixels hardly vary
    x, shown = (torch.from_numpy((rows - mean) / sd).float() for rows in (train, test))
    y, truth = torch.from_numpy(train_labels), torch.from_numpy(test_labels)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(train)))
    held, used = order[: len(order) // 6], order[len(order) // 6 :]
    found = {d: _accuracy(fit(x[used], y[used], d, steps, seed), x[held], y[held]) for d in decays}
    best = max(found, key=lambda d: found[d])
    top1 = _accuracy(fit(x, y, best, steps, seed), shown, truth)
    return Probe(top1, *wilson(round(top1 * len(test)), len(test)), best)


def fit(x: Tensor, y: Tensor, decay: float, steps: int, seed: int) -> nn.Linear:
    """Return the linear layer that minimises cross entropy + ``decay`` |W|^2 / 2 by Adam, its rate falling to 0."""
    layer, random = nn.Linear(x.shape[1], int(y.max()) + 1), torch.Generator().manual_seed(seed)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    adam = torch.optim.Adam(layer.parameters(), LEARNING_RATE)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    while True:
        for part in torch.split(torch.randperm(len(x), generator=random), BATCH):
            if rate.last_epoch == steps:
                return layer
            adam.zero_grad()
            loss = cross_entropy(layer(x[part]), y[part]) + decay / 2 * layer.weight.square().sum()
            torch.autograd.backward(loss)
            adam.step()
            rate.step()


@torch.no_grad()
def _accuracy(layer: nn.Linear, x: Tensor, y: Tensor) -> float:
    return float((layer(x).argmax(1) == y).float().mean())
