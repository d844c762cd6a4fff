"""The walker's head: a small network from two looks, now and a step before, and what its body feels, to an action.

The same network, lessons and budget for every encoder: it imitates the expert (behavioural cloning).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from prosthesis_train.mobility.arena import F32, U8
from prosthesis_train.mobility.protocol import ACTIONS, BATCH, EPOCHS, LEARNING_RATE, MIRRORED, PICTURE_SIDE

I64 = npt.NDArray[np.int64]
FEELS = 3  # a bump, and standing turns to the left and to the right as the last action
VIEWS = 2  # channels of one look: a percept and nothing, or gray and nearness for full vision


@dataclass(frozen=True, slots=True)
class School:
    """What one walker learns from: looks u8[n,24,24,2], the looks before them, feelings f32[n,3], actions i64[n]."""

    now: U8
    before: U8
    feels: F32
    wanted: I64


class Walker(nn.Module):
    """Looks f32[n,4,24,24] in 0..1 and feelings f32[n,3] to logits f32[n,7] of the actions."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.eye = nn.Sequential(
            nn.Conv2d(2 * VIEWS, width, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
        )
        cells = (PICTURE_SIDE // 8) ** 2
        self.head = nn.Sequential(
            nn.Linear(2 * width * cells + FEELS, 96), nn.ReLU(), nn.Dropout(0.2), nn.Linear(96, len(ACTIONS))
        )

    def forward(self, looks: Tensor, feels: Tensor) -> Tensor:
        """Return the logits."""
        out: Tensor = self.head(torch.cat([self.eye(looks), feels], 1))
        return out


def feelings(last: I64, bumped: npt.NDArray[np.bool_]) -> F32:
    """Return what the body feels, f32[n,3]."""
    standing = [k for k, action in enumerate(ACTIONS) if not action.walks]
    return np.stack([bumped, *(last == k for k in standing)], 1).astype(np.float32)


def looks(now: U8, before: U8) -> Tensor:
    """Return looks u8[n,24,24,2] now and a step before as the network's input f32[n,4,24,24]."""
    both = torch.from_numpy(np.concatenate([now, before], -1))
    return both.permute(0, 3, 1, 2).float() / 255


def previous(pictures: U8, walk: I64) -> U8:
    """Return the picture a step before each; the first of a walk is its own."""
    index = np.arange(len(walk))
    return pictures[np.where(np.diff(walk, prepend=-1) != 0, index, index - 1)]


def mirrored(actions: I64) -> I64:
    """Return the actions that are right in the mirrored world."""
    return np.asarray(MIRRORED, np.int64)[actions]


def learn(school: School, seed: int, say: Callable[[str], None], epochs: int = EPOCHS) -> Walker:
    """Return a walker after ``epochs`` of imitation."""
    torch.manual_seed(seed)
    random, net = np.random.default_rng(seed), Walker()
    steps = epochs * (len(school.now) // BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=max(steps, 2))
    loss = torch.zeros(())
    for _ in range(epochs):
        order = random.permutation(len(school.now))
        for k in range(0, len(order) - BATCH + 1, BATCH):
            pick = np.sort(order[k : k + BATCH])
            optimiser.zero_grad(set_to_none=True)
            logits = net(looks(school.now[pick], school.before[pick]), torch.from_numpy(school.feels[pick]))
            loss = cross_entropy(logits, torch.from_numpy(school.wanted[pick]))
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    say(f"walker: {epochs} epochs of {len(school.now)} steps, last cross-entropy {float(loss.detach()):.3f}")
    return net.eval()


@torch.no_grad()
def decide(net: Walker, now: U8, before: U8, feels: F32, random: np.random.Generator) -> I64:
    """Return actions i64[n], drawn by the chances that the walker gives them.

    The likeliest one alone makes whoever does not see turn on the spot for ever: safe, and nowhere.
    """
    chances = net(looks(now, before), torch.from_numpy(feels)).double().softmax(1).numpy()
    below = chances.cumsum(1) < random.random((len(chances), 1))
    return np.asarray(np.minimum(below.sum(1), len(ACTIONS) - 1), np.int64)
