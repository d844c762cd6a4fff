"""The part of the visual field that a percept shows, and the drawing of spots or streaks on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis_sim.axonmap import REACH_LAMBDAS, AxonMap
from prosthesis_sim.axons import axons
from prosthesis_sim.electrodes import ElectrodeArray
from prosthesis_sim.granley import Granley
from prosthesis_sim.individual import Individual
from prosthesis_sim.patient import (
    AxonMapSpread,
    CurrentSpread,
    FieldPart,
    FixedSpread,
    SaturatingSpread,
    ScreenConfig,
)
from prosthesis_sim.phosphenes import saturating_radius_mm, spread_radius_mm
from prosthesis_sim.rendering import render, render_tilted
from prosthesis_sim.retina import WatsonRetina
from prosthesis_sim.retinotopy import LinearRetina

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
Array = Any
SpotSpread = CurrentSpread | SaturatingSpread | FixedSpread
# the shortest pulses make streaks this much longer than lambda (Granley & Beyeler 2021)
LONGEST_STREAK = 1.25


def sigma_mm(spread: SpotSpread, current_ua: Array) -> Array:
    """Return a phosphene's size on the tissue: half the radius that a current activates, or a fixed one."""
    if isinstance(spread, CurrentSpread):
        return 0.5 * spread_radius_mm(current_ua, spread.k_ua_per_mm2)
    if isinstance(spread, SaturatingSpread):
        return 0.5 * saturating_radius_mm(current_ua, spread.diameter_mm, spread.half_ua, spread.slope_per_ua)
    return spread.sigma_mm + 0 * current_ua


def coverage(individual: Individual, margin_deg: float = 0.0) -> FieldPart:
    """Return the square around all phosphenes, with a tenth and ``margin_deg`` to spare on each side."""
    x, y = individual.x_deg[individual.responsive], individual.y_deg[individual.responsive]
    if not len(x):
        x = y = np.zeros(1)
    side = 1.2 * max(float(np.ptp(x)), float(np.ptp(y)), 0.5) + 2 * margin_deg
    centre = (float(x.min() + x.max()) / 2, float(y.min() + y.max()) / 2)
    return FieldPart(centre_deg=centre, extent_deg=(side, side))


class Spots:
    """Draws one patient's phosphenes as Gaussians; ``part`` is what of the field, from straight ahead, is shown."""

    def __init__(self, config: ScreenConfig, individual: Individual, spread: SpotSpread, elongation: float) -> None:
        self.part = config.part or coverage(individual)
        self.shape = (config.height, config.width)
        (x, y), (wide, high) = self.part.centre_deg, self.part.extent_deg
        self._per_deg = (config.width / wide, config.height / high)
        self._column = (individual.x_deg - x) * self._per_deg[0] + config.width / 2
        self._row = (y - individual.y_deg) * self._per_deg[1] + config.height / 2
        self._px_per_mm = self._per_deg[0] / individual.mm_per_deg
        self._px_per_root_ua = sigma_mm(spread, np.ones(1)) * self._px_per_mm
        self._spread, self._tilt, self._root_elongation = spread, individual.tilt, elongation**0.5

    def draw(self, brightness: F64, current_ua: F64, pulse_width_us: F64, gaze_deg: tuple[float, float]) -> F32:
        """Return the image f32[h, w] of peaks ``brightness`` f64[n], as large as their last ``current_ua`` made them.

        The phosphenes go with the eyes: ``gaze_deg`` (x, y) away from straight ahead they are that much elsewhere.
        """
        image = np.empty(self.shape, np.float32)
        column, row = self._column, self._row
        if gaze_deg != (0.0, 0.0):
            column = column + gaze_deg[0] * self._per_deg[0]
            row = row - gaze_deg[1] * self._per_deg[1]
        sigma_px = self._sigma_px(current_ua)
        if self._root_elongation == 1.0:
            render(image, column, row, sigma_px, self._per_deg[1] / self._per_deg[0], brightness)
        else:
            long_px, short_px = sigma_px * self._root_elongation, sigma_px / self._root_elongation
            render_tilted(image, column, row, long_px, short_px, self._tilt, brightness)
        image.flags.writeable = False
        return image

    def _sigma_px(self, current_ua: F64) -> F64:
        """Return ``sigma_mm`` in pixels; of the usual law in two operations, which is quick for few electrodes too."""
        if isinstance(self._spread, CurrentSpread):
            size: F64 = np.sqrt(current_ua) * self._px_per_root_ua
        else:
            size = sigma_mm(self._spread, current_ua) * self._px_per_mm
        return size


class Streaks:
    """Draws one patient's phosphenes along the nerve fibres of the retina; ``part`` as in ``Spots``."""

    def __init__(
        self,
        config: ScreenConfig,
        individual: Individual,
        spread: AxonMapSpread,
        array: ElectrodeArray,
        retina: LinearRetina | WatsonRetina,
    ) -> None:
        reach_um = REACH_LAMBDAS * LONGEST_STREAK * spread.lambda_um
        margin_deg = float((2 * spread.rho_um + spread.lambda_um) * 1e-3 / individual.mm_per_deg.min())
        self.part = config.part or coverage(individual, margin_deg)
        self.shape = (config.height, config.width)
        (x, y), (wide, high) = self.part.centre_deg, self.part.extent_deg
        self._per_deg = (config.width / wide, config.height / high)
        columns = x + ((np.arange(config.width) + 0.5) / config.width - 0.5) * wide
        rows = y - ((np.arange(config.height) + 0.5) / config.height - 0.5) * high
        x_deg, y_deg = np.meshgrid(columns, rows)
        u, v = retina.to_tissue(individual.x_deg, individual.y_deg, array.hemisphere)
        fibres = axons(retina, array.hemisphere, x_deg, y_deg, reach_um)
        self._map = AxonMap(fibres, np.asarray(u) * 1e3, np.asarray(v) * 1e3)
        self._spread, self._granley = spread, Granley(spread.rho_um, spread.lambda_um)
        self._threshold_ua = individual.scale_ua

    def draw(self, brightness: F64, current_ua: F64, pulse_width_us: F64, gaze_deg: tuple[float, float]) -> F32:
        """Return the image f32[h, w] of electrodes as bright as ``brightness`` f64[n], moved with the eyes."""
        image, n = np.empty(self.shape, np.float32), len(brightness)
        if self._spread.granley:
            once = np.ones(n)  # only brightness depends on the rate, and that is the tissue's
            _, rho, streak = self._granley(current_ua / self._threshold_ua, pulse_width_us, once)
        else:
            rho, streak = np.full(n, self._spread.rho_um), np.full(n, self._spread.lambda_um)
        self._map.draw(image, brightness, np.asarray(rho), np.asarray(streak))
        if gaze_deg != (0.0, 0.0):
            dx, dy = round(gaze_deg[0] * self._per_deg[0]), round(gaze_deg[1] * self._per_deg[1])
            image = shifted(image, -dy, dx)
        image.flags.writeable = False
        return image


def shifted(image: F32, down: int, right: int) -> F32:
    """Return the image moved by whole pixels, black where nothing comes from."""
    out, (height, width) = np.zeros_like(image), image.shape
    if abs(down) < height and abs(right) < width:
        here, there = slice(max(down, 0), height + min(down, 0)), slice(max(-down, 0), height + min(-down, 0))
        to, of = slice(max(right, 0), width + min(right, 0)), slice(max(-right, 0), width + min(-right, 0))
        out[here, to] = image[there, of]
    return out
