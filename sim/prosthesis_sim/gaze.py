"""Where the eyes point, in degrees from straight ahead."""

from __future__ import annotations

import math

import numpy as np

from prosthesis_sim.patient import GazeConfig


class Gaze:
    """An Ornstein-Uhlenbeck walk about the middle, stepped exactly, so that it does not depend on the frame rate."""

    def __init__(self, config: GazeConfig, seed: int) -> None:
        self._config, self._random = config, np.random.default_rng([seed, 4])
        self.deg = (0.0, 0.0)

    def step(self, dt_s: float) -> None:
        """Let ``dt_s`` pass."""
        sd = self._config.sd_deg
        if sd == 0.0:
            return
        keep = math.exp(-dt_s / self._config.tau_s)
        dx, dy = self._random.normal(0.0, sd * math.sqrt(1 - keep * keep), 2)
        self.deg = (keep * self.deg[0] + float(dx), keep * self.deg[1] + float(dy))
