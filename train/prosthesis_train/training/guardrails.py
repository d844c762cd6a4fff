"""What goes wrong in a GAN, seen while it trains: collapse, a winning discriminator, oscillation, numbers gone mad.

Detectors read the run's history and say what they see; they change nothing. ``Balance`` is the rule of Shen et al. 2019
that decides which network may learn. Thresholds are ours unless a source is named.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

WINDOW = 20  # records; about what a run logs in 1,000 steps


@dataclass(frozen=True, slots=True)
class Record:
    """One logged step: losses, mean D(x) and D(G(z)) in 0 to 1, gradient norm of G, diversity over that of reals."""

    step: int
    loss_d: float
    loss_g: float
    real: float
    fake: float
    grad_g: float
    diversity: float | None = None


@dataclass(frozen=True, slots=True)
class Alarm:
    """What was seen, at which step, and what usually helps."""

    kind: str
    step: int
    seen: str
    remedy: str


def not_finite(record: Record) -> Alarm | None:
    """Notice a loss or gradient that is no number any more."""
    numbers = {"loss of D": record.loss_d, "loss of G": record.loss_g, "gradient of G": record.grad_g}
    gone = [name for name, value in numbers.items() if not math.isfinite(value)]
    if not gone:
        return None
    return Alarm("not finite", record.step, f"{', '.join(gone)} no longer finite", "lower the learning rates")


def collapse(history: Sequence[Record], least: float = 0.3, in_a_row: int = 2) -> Alarm | None:
    """Notice that generated pictures have drawn together: diversity under ``least`` of the reals', twice running."""
    seen = [r for r in history if r.diversity is not None][-in_a_row:]
    if len(seen) < in_a_row or any(r.diversity is None or r.diversity >= least for r in seen):
        return None
    return Alarm(
        "mode collapse",
        seen[-1].step,
        f"generated pictures are {seen[-1].diversity:.2f} as diverse as real ones",
        "go back to an earlier checkpoint with a lower learning rate, or --diff-augment 4",
    )


def winning_discriminator(history: Sequence[Record], window: int = WINDOW) -> Alarm | None:
    """Notice that D tells all apart and G learns no more: D(x) > .95, D(G(z)) < .05 and a dwindling gradient of G.

    The gradient must have fallen under a tenth of its median so far: early on D wins too, and G still learns.
    """
    recent = history[-window:]
    if len(recent) < window or not all(r.real > 0.95 and r.fake < 0.05 for r in recent):
        return None
    usual = _median([r.grad_g for r in history])
    now = _median([r.grad_g for r in recent])
    if now >= 0.1 * usual:
        return None
    return Alarm(
        "winning discriminator",
        recent[-1].step,
        f"D(x) {recent[-1].real:.2f}, D(G(z)) {recent[-1].fake:.2f}, gradient of G {now / usual:.3f} of its usual",
        "--balance, a lower learning rate of D, or --diff-augment 4",
    )


def oscillation(history: Sequence[Record], window: int = 4 * WINDOW, amplitude: float = 0.25) -> Alarm | None:
    """Notice that D and G take turns: D(G(z)) swings by ``amplitude`` about its mean, slowly enough not to be noise.

    A swing counts when its course is smooth (correlation of neighbours over .6) and returns at least twice.
    """
    course = [r.fake for r in history[-window:]]
    if len(course) < window:
        return None
    mean = sum(course) / window
    off = [v - mean for v in course]
    power = sum(v * v for v in off)
    if power / window < (amplitude**2) / 2:
        return None
    smooth = sum(a * b for a, b in pairwise(off)) / power
    turns = sum(a * b < 0 for a, b in pairwise(off))
    if smooth < 0.6 or turns < 4:
        return None
    swing = max(course) - min(course)
    return Alarm(
        "oscillation",
        history[-1].step,
        f"D(G(z)) swings by {swing:.2f}, {turns} crossings of its mean in {window} records",
        "lower both learning rates, or average weights (--averaging ema)",
    )


def examine(history: Sequence[Record]) -> list[Alarm]:
    """Return all that the detectors see at the newest record."""
    found = (collapse(history), winning_discriminator(history), oscillation(history))
    return [w for w in found if w is not None]


@dataclass(slots=True)
class Balance:
    """Shen et al. 2019: r = (L_real + L_fake) / L_fake4G; D rests from r < .1 until r > .5, G rests while r > 10."""

    d_rests: bool = False
    g_rests: bool = False

    def weigh(self, loss_real: float, loss_fake: float, loss_fake_for_g: float) -> None:
        """Decide which network learns in the next step; the losses are cross-entropies, at least 0."""
        r = (loss_real + loss_fake) / max(loss_fake_for_g, 1e-12)
        if r < 0.1:
            self.d_rests = True
        elif r > 0.5:
            self.d_rests = False
        self.g_rests = r > 10

    @property
    def learn(self) -> tuple[bool, bool]:
        """Return whether D and G learn."""
        return not self.d_rests, not self.g_rests


def spread(features: Tensor) -> float:
    """Return the mean distance between different rows of f32[n, k]."""
    n = len(features)
    return float(torch.cdist(features, features).sum() / (n * (n - 1)))


def gradient_norm(grads: Sequence[Tensor | None]) -> Tensor:
    """Return the norm of all gradients together."""
    return torch.stack([g.square().sum() for g in grads if g is not None] or [torch.zeros(())]).sum().sqrt()


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
