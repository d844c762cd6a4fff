"""An IT-like population: energy maps, pooled, normalised, mixed at random twice; it minds place less than V1 does."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prosthesis_sim.brain.gabor import Units, energies, filter_bank
from prosthesis_sim.brain.pictures import contrast, dead_leaves
from prosthesis_sim.brain.population import CALIBRATION, CALIBRATION_SEED, SIDE, TOP, digest

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
N, ORIENTATIONS, FREQUENCIES = 300, 4, (3.0, 6.0, 9.0)  # cycles per picture
MAP, POOLED, CHANNELS = 16, 4, 128  # places of energies and, after pooling, along a side; mixtures of them
ACTIVE = 0.3  # chosen: share of pictures to which a unit answers
ROOM = 3.0  # chosen: photographs drive units far above dead leaves, and evolved images further (Ponce et al. 2019)
LEAST_SPREAD = 0.05  # of the median: channels that dead leaves move less than this are left out
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class It:
    """``N`` units; ``mix`` f32[9 * features, CHANNELS] acts alike on each 3 x 3 patch, ``read`` f32[CHANNELS, N]."""

    mix: F32
    read: F32
    spontaneous_hz: F64
    most_hz: F64
    active: Bool
    digest: str
    _bank: F32
    _pool: F32
    _centre: F32
    _scale: F32
    _bias: F64
    _gain: F64

    @property
    def n(self) -> int:
        """How many units."""
        return len(self.active)

    def rates_hz(self, images: F32) -> F64:
        """Return expected rates f64[b, n] for gray images f32[b, 32, 32] in 0..1."""
        out = np.empty((len(images), self.n))
        for start in range(0, len(images), _BLOCK):
            mixed = _mixed(self._bank, self._pool, self.mix, images[start : start + _BLOCK])
            seen = ((mixed - self._centre) / self._scale) @ self.read - self._bias
            # soft, because pictures unlike dead leaves drive units far above their calibration
            out[start : start + _BLOCK] = -np.expm1(-np.maximum(seen * self._gain, 0.0))
        return np.asarray(self.spontaneous_hz + (self.most_hz - self.spontaneous_hz) * out)


def grow_it(random: np.random.Generator) -> It:
    """Return the population drawn from ``random``; thresholds and gains are calibrated on dead leaves."""
    features = ORIENTATIONS * len(FREQUENCIES)
    mix = (random.standard_normal((9 * features, CHANNELS)) / np.sqrt(9 * features)).astype(np.float32)
    read = (random.standard_normal((CHANNELS, N)) / np.sqrt(CHANNELS)).astype(np.float32)
    spontaneous = 3.0 * -np.log1p(-random.random(N))  # both chosen
    most = np.maximum(50.0 * np.exp(0.4 * random.standard_normal(N)), spontaneous + 10.0)
    bank, pool = _front()
    leaves = dead_leaves(CALIBRATION, SIDE, np.random.default_rng(CALIBRATION_SEED))
    mixed = _mixed(bank, pool, mix, leaves)
    centre, spread = mixed.mean(axis=0), mixed.std(axis=0)
    # a channel that dead leaves hardly move has no scale: divided by it, a photograph would drive units without bound
    scale = np.where(spread > LEAST_SPREAD * np.median(spread), spread, np.inf).astype(np.float32)
    seen = ((mixed - centre) / scale) @ read
    bias = np.percentile(seen, 100 * (1 - ACTIVE), axis=0)
    gain = 1 / (ROOM * (np.percentile(seen, TOP, axis=0) - bias))
    named = digest([mix, read, spontaneous, most, np.array([MAP, POOLED, *FREQUENCIES, CALIBRATION_SEED, TOP, ROOM])])
    return It(mix, read, spontaneous, most, np.ones(N, dtype=bool), named, bank, pool, centre, scale, bias, gain)


def _grid() -> Units:
    """Return complex cells of each orientation and frequency at each place; places first."""
    axis = (np.arange(MAP) + 0.5) / MAP
    turn = np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS
    y, x, angle, frequency = (a.ravel() for a in np.meshgrid(axis, axis, turn, np.array(FREQUENCIES), indexing="ij"))
    width = 0.4 / frequency
    return Units(x, y, frequency, angle, 0 * x, width, width, np.ones(len(x), dtype=bool))


@functools.cache
def _front() -> tuple[F32, F32]:
    """Return the bank and the pooling, which no seed changes."""
    return filter_bank(_grid(), SIDE), _pooling()


def _pooling() -> F32:
    """Return f32[POOLED^2, MAP^2]: Gaussian means round each pooled place, overlapping by half."""
    axis, middle = (np.arange(MAP) + 0.5) / MAP, (np.arange(POOLED) + 0.5) / POOLED
    near = np.exp(-0.5 * ((middle[:, None] - axis) / (0.6 / POOLED)) ** 2)
    both = np.einsum("ac,bd->abcd", near, near).reshape(POOLED**2, MAP**2)
    return np.asarray(both / both.sum(axis=1, keepdims=True), np.float32)


def _mixed(bank: F32, pool: F32, mix: F32, images: F32) -> F32:
    """Return f32[b, CHANNELS]: the mean over patches of rectified mixtures of normalised pooled energies."""
    b, features = len(images), ORIENTATIONS * len(FREQUENCIES)
    energy = energies(bank, np.ones(len(bank) // 2, dtype=bool), contrast(images, SIDE))
    pooled = np.einsum("pm,bmf->bpf", pool, energy.reshape(b, MAP**2, features), optimize=True)
    pooled /= 0.1 + np.sqrt((pooled**2).mean(axis=2, keepdims=True))
    grid = pooled.reshape(b, POOLED, POOLED, features)
    size = POOLED - 2
    patches: list[F32] = [grid[:, i : i + 3, j : j + 3].reshape(b, -1) for i in range(size) for j in range(size)]
    mixed = np.maximum(np.stack(patches, axis=1) @ mix, 0.0)
    return np.asarray(mixed.mean(axis=1), np.float32)
