"""A stand-in for the world's brains: rectified linear sites and Poisson counts."""

from __future__ import annotations

import numpy as np


class Noise:
    pass


class ToyBrain:
    def __init__(self, seed, n=600, side=32):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[:side, :side] / side - 0.5
        cx, cy, turn, phase = rng.uniform([-0.4, -0.4, 0, 0], [0.4, 0.4, np.pi, 6.28], (n, 4)).T[..., None, None]
        along = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        envelope = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 0.08**2))
        self.filters = (envelope * np.cos(2 * np.pi * 5 * along + phase)).reshape(n, -1)
        self.n = n

    def rates_hz(self, images):
        drive = images.reshape(len(images), -1) @ self.filters.T
        return 2 + 3 * np.maximum(drive, 0)


def frozen_brain(name, seed):
    return ToyBrain(seed)


def counts(rates_hz, duration_s, rng, noise):
    return rng.poisson(rates_hz * duration_s).astype(float)
