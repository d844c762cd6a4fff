"""The simulated patient's answers: what was seen since told to attend, with a person's noise."""

from __future__ import annotations

import numpy as np

from prosthesis_sim.world import World


class Participant:
    """Watches a ``World`` after every step and answers like a person; all noise from one ``seed``."""

    def __init__(self, world: World, seed: int) -> None:
        self._world, self._random = world, np.random.default_rng(seed)
        self._noise = world.config.participant
        self.attend()

    def attend(self) -> None:
        """Forget what was; one criterion holds for one trial."""
        self._peak = np.zeros(len(self._world.state.activation))
        self._criterion = float(np.exp(self._random.normal(0.0, self._noise.criterion_sd)))

    def watch(self) -> None:
        """Take in the present moment."""
        np.maximum(self._peak, self._world.state.activation, out=self._peak)

    def seen(self) -> bool:
        """Say whether anything came above threshold, at this trial's criterion."""
        if self._random.random() < self._noise.lapse:
            return False
        if self._random.random() < self._noise.false_alarm:
            return True
        return bool(np.any(self._peak > self._world.person.threshold * self._criterion))

    def point(self) -> tuple[float, float] | None:
        """Point at the brightest phosphene, ``None`` when none was seen; errors grow with eccentricity."""
        visible = self._peak > self._world.person.threshold * self._criterion
        if not visible.any():
            return None
        best = int(np.argmax(np.where(visible, self._peak, -1.0)))
        x, y = self._world.person.x_deg[best], self._world.person.y_deg[best]
        sd = self._noise.pointing_sd_deg + self._noise.pointing_sd_per_deg * np.hypot(x, y)
        dx, dy = self._random.normal(0.0, sd, 2) if sd > 0 else (0.0, 0.0)
        return float(x + dx), float(y + dy)

    def rate(self) -> float:
        """Rate the brightest phosphene's brightness in 0..1."""
        brightness = self._world.brightness_of(self._peak).max()
        return float(np.clip(brightness + self._random.normal(0.0, self._noise.rating_sd), 0.0, 1.0))
