"""Sites in V1 that answer images: each the mean rate of a few Gabor units, divided by what the sites around it do."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import numpy.typing as npt

from prosthesis_sim.brain.gabor import Units, energies, filter_bank
from prosthesis_sim.brain.pictures import contrast, dead_leaves

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
SIDE = 32
POOL = 0.12  # chosen: sd of the normalisation pool as a fraction of the picture
HALF_CONTRAST = 0.4  # chosen: half saturation, over the pool's mean answer to dead leaves
EXPONENT = 2.0  # Heeger 1992
CALIBRATION_SEED, CALIBRATION = 20261128, 384
TOP = 99.0  # percentile of the answers to dead leaves that is a site's most
_BLOCK = 512


class Population(Protocol):
    """Sites that answer images."""

    @property
    def n(self) -> int:
        """How many sites."""

    @property
    def spontaneous_hz(self) -> F64:
        """Rates f64[n] on a blank."""

    @property
    def most_hz(self) -> F64:
        """The highest rates f64[n]."""

    @property
    def active(self) -> Bool:
        """Which sites bool[n] answer images at all."""

    @property
    def digest(self) -> str:
        """SHA-256 of all that defines the population."""

    def rates_hz(self, images: F32) -> F64:
        """Return expected rates f64[b, n] for gray images f32[b, 32, 32] in 0..1 over the population's field."""


@dataclass(frozen=True, slots=True)
class V1:
    """Sites at ``x``, ``y`` f64[n] (fractions of the picture), each with ``column`` successive ones of ``units``.

    ``field_deg`` is the picture's width; ``share_beyond`` of the units preferred more than the picture can show, and
    were drawn again. An inactive site stays spontaneous. rate = spontaneous + (most - spontaneous)
    (1 - exp(-g E^2 / (s^2 + P^2))): E a unit's output, P^2 the pool's mean square, weighted by distance (Heeger 1992).
    """

    units: Units
    x: F64
    y: F64
    column: int
    field_deg: float
    share_beyond: float
    spontaneous_hz: F64
    most_hz: F64
    active: Bool
    digest: str
    _bank: F32
    _pool: F32
    _half: float
    _gain: F64

    @property
    def n(self) -> int:
        """How many sites."""
        return len(self.x)

    def rates_hz(self, images: F32) -> F64:
        """Return expected rates f64[b, n] for gray images f32[b, 32, 32] in 0..1."""
        out = np.empty((len(images), self.n))
        for start in range(0, len(images), _BLOCK):
            answers = self.drive(images[start : start + _BLOCK]) * self._gain
            # soft: at a hard top many pictures would tie as the best, and none could be told to be better
            out[start : start + _BLOCK] = -np.expm1(-answers)
        return np.asarray(self.spontaneous_hz + (self.most_hz - self.spontaneous_hz) * out)

    def drive(self, images: F32) -> F64:
        """Return normalised answers f64[b, n], before each site's own gain and ceiling."""
        return _normalised(self._mean_squares(images), self._pool, self._half)

    def _mean_squares(self, images: F32) -> F32:
        return _mean_squares(self._bank, self.units.complex_, self.column, images)


def grow(
    units: Units, x: F64, y: F64, column: int, field_deg: float, share_beyond: float, rates_hz: tuple[F64, F64],
    active: Bool,
) -> V1:  # fmt: skip
    """Return the population of drawn units, its pool and gains calibrated on a fixed set of dead leaves."""
    bank = filter_bank(units, SIDE)
    pool = np.exp(-((x[:, None] - x) ** 2 + (y[:, None] - y) ** 2) / (2 * POOL**2)) * active
    pool = (pool / np.maximum(pool.sum(axis=1, keepdims=True), 1e-12)).astype(np.float32)
    leaves = dead_leaves(CALIBRATION, SIDE, np.random.default_rng(CALIBRATION_SEED))
    squares = _mean_squares(bank, units.complex_, column, leaves)
    half = float(HALF_CONTRAST**2 * squares[:, active].mean())
    top = np.percentile(_normalised(squares, pool, half), TOP, axis=0)
    gain = np.where(active & (top > 0), 1 / np.where(top > 0, top, 1.0), 0.0)
    parts = [getattr(units, f.name) for f in fields(units)] + [x, y, *rates_hz, active]
    parts.append(np.array([column, field_deg, SIDE, POOL, HALF_CONTRAST, CALIBRATION_SEED, CALIBRATION, TOP]))
    return V1(units, x, y, column, field_deg, share_beyond, *rates_hz, active, digest(parts), bank, pool, half, gain)


def digest(parts: list[npt.NDArray[np.generic]]) -> str:
    """Return the SHA-256 of arrays rounded to six decimals, so that no library's last bit changes it."""
    out = hashlib.sha256()
    for part in parts:
        rounded = np.round(np.asarray(part, np.float64), 6) + 0.0
        out.update(str(rounded.shape).encode() + rounded.astype("<f8").tobytes())
    return out.hexdigest()


def _mean_squares(bank: F32, complex_: Bool, column: int, images: F32) -> F32:
    squares = energies(bank, complex_, contrast(images, SIDE)) ** EXPONENT
    return np.asarray(squares.reshape(len(images), -1, column).mean(axis=2), np.float32)


def _normalised(squares: F32, pool: F32, half: float) -> F64:
    return np.asarray(squares / (half + squares @ pool.T), np.float64)
