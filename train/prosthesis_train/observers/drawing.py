"""Images of many patterns at once: Gaussian spots exactly, streaks along nerve fibres to a few hundredths of a peak."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from prosthesis.config import Rig
from prosthesis.view import Field, cell_centres_deg
from prosthesis_sim.axonmap import REACH_LAMBDAS, SENSITIVITY_CUT
from prosthesis_sim.axons import Axons, axons
from prosthesis_sim.granley import Granley
from prosthesis_sim.individual import Individual
from prosthesis_sim.patient import AxonMapSpread, RetinaMap
from prosthesis_sim.screen import LONGEST_STREAK, SpotSpread, sigma_mm
from prosthesis_sim.world import World

# of the grid on which electrodes' fields are summed, and along the fibres; 300 um is the usual rho
GRID_UM, ALONG_UM = 75.0, 110.0
# percepts drawn at once: one electrode's profiles of this many stay in a processor's cache
CHUNK = 16


class GaussianSpots:
    """``phosphenes.render_reference`` for batches: separable, so an image is one product of two small matrices."""

    def __init__(self, spread: SpotSpread, person: Individual, on: np.ndarray, field: Field, side: int) -> None:
        self._spread = spread
        self._per_deg = side / (field.x1_deg - field.x0_deg)
        # centres in pixels from the upper left corner
        self._column = _f32((person.x_deg[on] - field.x0_deg) * self._per_deg)
        self._row = _f32((field.y1_deg - person.y_deg[on]) * self._per_deg)
        self._px_per_mm = _f32(self._per_deg / person.mm_per_deg[on])
        self._edges = torch.arange(side + 1, dtype=torch.float32)

    def moved(self, x_deg: np.ndarray, y_deg: np.ndarray) -> GaussianSpots:
        """Return the same with the phosphenes moved."""
        new = copy.copy(self)
        new._column, new._row = self._column + _f32(x_deg * self._per_deg), self._row - _f32(y_deg * self._per_deg)
        return new

    def __call__(self, brightness: Tensor, current_ua: Tensor) -> Tensor:
        """Return f32[b, side, side] in 0..1 of peaks f32[b, n] as large as ``current_ua`` makes them."""
        sigma = sigma_mm(self._spread, current_ua.clamp(min=1e-3)) * self._px_per_mm
        parts = [self._some(b, s) for b, s in _chunks(brightness, sigma)]
        return torch.cat(parts)

    def _some(self, brightness: Tensor, sigma: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            lit = (brightness > 0).any(dim=0)
            brightness, sigma = brightness[:, lit], sigma[:, lit]
            return self._image(brightness, sigma, self._column[lit], self._row[lit])
        return self._image(brightness, sigma, self._column, self._row)

    def _image(self, brightness: Tensor, sigma: Tensor, column: Tensor, row: Tensor) -> Tensor:
        across = _profile(self._edges, column, sigma)
        down = _profile(self._edges, row, sigma) * brightness[:, :, None]
        return torch.matmul(down.transpose(1, 2), across).clamp(0.0, 1.0)


def _chunks(first: Tensor, second: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for k in range(0, len(first), CHUNK):
        yield first[k : k + CHUNK], second[k : k + CHUNK]


def _profile(edges: Tensor, centre: Tensor, sigma: Tensor) -> Tensor:
    """Return the mean over each pixel of exp(-d^2 / 2 sigma^2), [b, n, pixels]; all in pixels."""
    sigma = sigma.clamp(min=1e-3)[:, :, None]
    integral = torch.erf((edges - centre[:, None]) * (math.sqrt(0.5) / sigma))
    return (integral[:, :, 1:] - integral[:, :, :-1]) * (sigma * math.sqrt(math.pi / 2))


class NerveStreaks:
    """``axonmap`` for batches: electrodes' fields are summed on a grid of the retina and read along each pixel's axon.

    All pulses are of one width, so all streaks decay alike.
    """

    def __init__(self, world: World, rig: Rig, on: np.ndarray, field: Field, side: int, pulse_width_us: float) -> None:
        spread, retinotopy, hemisphere = world.config.spread, world.config.retinotopy, rig.config.implant.hemisphere
        assert isinstance(spread, AxonMapSpread)
        assert isinstance(retinotopy, RetinaMap)
        retina = retinotopy.build()
        x_deg, y_deg = cell_centres_deg(field, (side, side))
        fibres = axons(retina, hemisphere, x_deg, y_deg, REACH_LAMBDAS * LONGEST_STREAK * spread.lambda_um)
        self._spread, self._width_us = spread, pulse_width_us
        self._granley, self._threshold_ua = Granley(spread.rho_um, spread.lambda_um), _f32(world.person.scale_ua[on])
        streak = self._granley(np.ones(1), np.full(1, pulse_width_us), np.ones(1))[2][0]
        point, decay = _runs(fibres, float(streak) if spread.granley else spread.lambda_um)
        x, y = fibres.x_um[point], fibres.y_um[point]
        self._side, self._decay = side, _f32(decay)
        self._x_grid, self._y_grid = _f32(_grid(x)), _f32(_grid(y))
        places = np.stack([_unit(x, self._x_grid), _unit(y, self._y_grid)], axis=-1)
        self._places = _f32(places)[None]
        u, v = retina.to_tissue(world.person.x_deg[on], world.person.y_deg[on], hemisphere)
        self._um_per_deg = _f32(world.person.mm_per_deg[on] * 1e3)
        self._x, self._y = _f32(np.asarray(u) * 1e3), _f32(np.asarray(v) * 1e3)

    def moved(self, x_deg: np.ndarray, y_deg: np.ndarray) -> NerveStreaks:
        """Return the same with the electrodes moved."""
        new = copy.copy(self)
        new._x, new._y = self._x + self._um_per_deg * _f32(x_deg), self._y + self._um_per_deg * _f32(y_deg)
        return new

    def __call__(self, brightness: Tensor, current_ua: Tensor) -> Tensor:
        """Return f32[b, side, side] in 0..1 of electrodes as bright as f32[b, n] driven by ``current_ua``."""
        return torch.cat([self._some(b, c) for b, c in _chunks(brightness, current_ua)])

    def _some(self, brightness: Tensor, current_ua: Tensor) -> Tensor:
        rho = torch.full_like(brightness, self._spread.rho_um)
        if self._spread.granley:
            width = torch.full_like(brightness, self._width_us)
            rho = self._granley(current_ua / self._threshold_ua, width, torch.ones_like(brightness))[1]
        across = torch.exp(-0.5 * ((self._x_grid - self._x[:, None]) / rho[:, :, None]) ** 2)
        down = torch.exp(-0.5 * ((self._y_grid - self._y[:, None]) / rho[:, :, None]) ** 2) * brightness[:, :, None]
        light = torch.matmul(down.transpose(1, 2), across)[:, None]
        places = self._places.expand(len(light), -1, -1, -1)
        along = torch.nn.functional.grid_sample(light, places, align_corners=True, padding_mode="border")
        sent = along[:, 0] * self._decay
        return sent.amax(dim=2).reshape(-1, self._side, self._side).clamp(0.0, 1.0)


def _runs(fibres: Axons, lambda_um: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the points [pixels, m] along each pixel's axon, about ``ALONG_UM`` apart, and their sensitivities."""
    first, last, away = (np.ravel(part) for part in (fibres.first, fibres.last, fibres.away_um))
    reach = REACH_LAMBDAS * lambda_um
    spacing = float(np.median(np.abs(np.diff(fibres.arc_um))))
    stride = max(1, round(ALONG_UM / spacing))
    point = last[:, None] - stride * np.arange(int(reach / (stride * spacing)) + 2)
    inside = np.maximum(point, 0)
    way = (away + fibres.arc_um[last])[:, None] - fibres.arc_um[inside]
    decay = np.exp(-0.5 * (way / lambda_um) ** 2)
    return inside, np.where((point >= first[:, None]) & (decay >= SENSITIVITY_CUT), decay, 0.0)


def _grid(places_um: np.ndarray) -> np.ndarray:
    low, high = float(places_um.min()), float(places_um.max())
    return np.linspace(low, high, max(2, math.ceil((high - low) / GRID_UM) + 1))


def _unit(places_um: np.ndarray, grid: Tensor) -> np.ndarray:
    """Return places as ``grid_sample`` wants them: -1 at the grid's first node, 1 at its last."""
    low, high = float(grid[0]), float(grid[-1])
    return 2 * (places_um - low) / (high - low) - 1


def _f32(values: np.ndarray) -> Tensor:
    return torch.as_tensor(np.array(values, np.float32))
