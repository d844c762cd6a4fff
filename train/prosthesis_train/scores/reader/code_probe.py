"""Top-1 from codes: classes that a linear probe of the true codes reads in the decoded ones."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from prosthesis_train.scores.probe import fit
from prosthesis_train.scores.reader.reading import Array

FOLDS, DECAY, STEPS = 5, 1e-2, 300


class CodeProbe:
    """Softmax regressions of the pictures' true codes f[n,d], one a fold; no picture's own code taught its judge."""

    def __init__(self, codes: Array, labels: Array, seed: int) -> None:
        n = len(codes)
        self.fold = np.random.default_rng(seed).permutation(n) % min(FOLDS, n)
        self.mean, self.sd = codes.mean(0), codes.std(0) + 1e-12
        x, y = self._ready(codes), torch.from_numpy(labels.astype(np.int64))
        self.layers: list[nn.Linear] = []
        for k in range(int(self.fold.max()) + 1):
            used = torch.from_numpy(self.fold != k)
            self.layers.append(fit(x[used], y[used], DECAY, STEPS, seed))

    @torch.no_grad()
    def __call__(self, codes: Array) -> Array:
        """Return the classes i64[n] read from decoded codes f[n,d], row i by the probe that never saw picture i."""
        x, out = self._ready(codes), np.zeros(len(codes), np.int64)
        for k, layer in enumerate(self.layers):
            held = self.fold == k
            out[held] = layer(x[torch.from_numpy(held)]).argmax(1).numpy()
        return out

    def _ready(self, codes: Array) -> torch.Tensor:
        return torch.from_numpy((codes - self.mean) / self.sd).float()
