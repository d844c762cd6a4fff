"""Inception score: exp of the mutual information of picture and class (Salimans et al. 2016).

It never sees a real picture.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torchmetrics.image.inception import InceptionScore

from prosthesis_train.scores.ready import Ready, seeded


@dataclass(frozen=True, slots=True)
class Inception:
    """Mean and standard deviation over splits; 1 at worst, the number of classes at best."""

    value: float
    sd: float


def inception_score(probabilities: Tensor, splits: int = 10, seed: int = 0) -> Inception:
    """Return the score of class probabilities f32[n,classes]; pictures fall into splits by ``seed``."""
    with seeded(seed):
        metric = InceptionScore(feature=Ready(probabilities.shape[1]), splits=splits)
        # torchmetrics applies a softmax, which log undoes; the tiny floor keeps 0 log 0 at 0
        metric.update(probabilities.double().clamp_min(1e-30).log())
        mean, sd = metric.compute()
    return Inception(float(mean), float(sd) if splits > 1 else 0.0)
