"""Linear probe: how well a linear classifier reads classes from an encoder's features, and from raw pixels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.images import I64, imported
from prosthesis_train.scores.two_afc import wilson

F32 = npt.NDArray[np.float32]
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)


@dataclass(frozen=True, slots=True)
class Probe:
    """Top-1 on the test set with its 95 % interval, and the inverse regularisation that validation chose."""

    top1: float
    low: float
    high: float
    strength: float


def probe(
    train: F32, train_labels: I64, test: F32, test_labels: I64, strengths: Sequence[float] = STRENGTHS, seed: int = 0
) -> Probe:
    """Fit logistic regression to standardised rows f32[n,k].

    Regularisation is chosen on a sixth of ``train``; test rows are scored once. The iterations are limited alike for
    whatever is probed, so features and pixels get the same budget.
    """
    if not len(strengths) or len(train) < 12:
        raise ProsthesisError("a probe needs a strength to try and a dozen rows to learn from")
    mean, sd = train.mean(0), train.std(0) + 1e-3 * train.std() + 1e-12  # rows of border pixels hardly vary
    train, test = (train - mean) / sd, (test - mean) / sd
    order = np.random.default_rng(seed).permutation(len(train))
    held, used = order[: len(order) // 6], order[len(order) // 6 :]
    score = {c: _fit(train[used], train_labels[used], c).score(train[held], train_labels[held]) for c in strengths}
    best = max(score, key=lambda c: score[c])
    top1 = float(_fit(train, train_labels, best).score(test, test_labels))
    return Probe(top1, *wilson(round(top1 * len(test)), len(test)), best)


def _fit(x: F32, y: I64, strength: float, iterations: int = 150) -> Any:
    linear = imported("sklearn.linear_model", "train", "the linear probe")
    model = linear.LogisticRegression(C=strength, max_iter=iterations)
    with warnings.catch_warnings():
        # stopping at the budget is meant
        warnings.simplefilter("ignore")
        model.fit(x, y)
    return model
