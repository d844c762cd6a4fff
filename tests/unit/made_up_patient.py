"""A patient of 16 phosphenes in closed form, for tests of what learns through patients."""

from __future__ import annotations

import torch
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from prosthesis.view import Field, View

FIELD = Field(-8.0, 8.0, -8.0, 8.0)


class MadeUpPatient:
    """Shows 4 x 4 means of a map as 4 x 4 flat squares; ``dead`` electrodes show nothing."""

    def __init__(self, dead=()):
        self.view, self.part, self.side = View((0.0, 0.0, 1.0, 1.0), FIELD), FIELD, 32
        self.alive = torch.ones(16)
        self.alive[list(dead)] = 0.0

    def currents(self, maps):
        return adaptive_avg_pool2d(maps[:, None], 4).flatten(1)

    def see(self, currents):
        lit = (currents * self.alive).reshape(-1, 1, 4, 4)
        return interpolate(lit, size=(32, 32), mode="nearest")[:, 0].clamp(0.0, 1.0)

    def percepts(self, maps):
        return self.see(self.currents(maps))
