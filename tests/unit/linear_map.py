"""A code map whose every number can be checked by hand: rates are a matrix times the code, above rest."""

from __future__ import annotations

import numpy as np


class LinearMap:
    """``rates = rest + z A``, ``A`` f64[d, n] of orthonormal rows times ``gain``; back by its pseudo-inverse."""

    def __init__(self, d: int, n: int, rest_hz: float = 5.0, gain_hz: float = 10.0, seed: int = 0) -> None:
        self.d, self.n, self.name = d, n, "linear"
        drawn = np.random.default_rng(seed).normal(size=(max(d, n), max(d, n)))
        self.matrix = gain_hz * np.linalg.qr(drawn)[0][:d, :n]
        self.rest = np.full(n, rest_hz)
        self.back = np.linalg.pinv(self.matrix)

    def to_brain(self, z):
        return self.rest + np.asarray(z, np.float64) @ self.matrix

    def to_machine(self, rates):
        return (rates - self.rest) @ self.back
