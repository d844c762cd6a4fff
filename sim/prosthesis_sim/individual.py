"""What is particular to one simulated patient: drawn once from a number, the same for ever, on any day after surgery.

Each trait has its own stream of random numbers, so that a new trait changes none of the old ones.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prosthesis_sim.electrodes import ElectrodeArray
from prosthesis_sim.patient import ChargeTissue, DriftConfig, PulseTissue, ScatterConfig, WorldConfig

F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
# cosines that make up the smooth random field of clustered dropout; its error falls with the root of their number
_WAVES = 256


@dataclass(frozen=True, slots=True)
class Individual:
    """Per electrode, all f64[n] in index order; an electrode outside the map or dropped out is not ``responsive``.

    ``x_deg``, ``y_deg`` are the phosphene's place (0 outside the map), ``mm_per_deg`` the magnification there,
    ``threshold`` the activation (the law's unit) at which it is seen, infinite where unresponsive; ``scale_ua`` the
    current in whose units the law takes currents: with ``PulseLaw`` the electrode's threshold. ``impedance`` is a
    multiple of the contact's nominal one; ``tilt`` is the direction of an elongated phosphene's long axis in radians.
    """

    x_deg: F64
    y_deg: F64
    mm_per_deg: F64
    inside: Bool
    responsive: Bool
    threshold: F64
    scale_ua: F64
    impedance: F64
    tilt: F64


def draw(config: WorldConfig, array: ElectrodeArray, number: int, day: float = 0.0) -> Individual:
    """Return patient ``number`` of this world with this array, ``day`` days after surgery."""
    n, scatter = len(array.u_mm), config.scatter
    retinotopy = config.retinotopy.build()
    shift = scatter.position_mm * _stream(number, "places").normal(0.0, 1.0, (2, n))
    u, v = array.u_mm + shift[0], array.v_mm + shift[1]
    inside = np.asarray(retinotopy.inside(array.u_mm, array.v_mm)) & np.asarray(retinotopy.inside(u, v))
    with np.errstate(all="ignore"):
        x, y = retinotopy.to_field(u, v, array.hemisphere)
    x, y = np.where(inside, x, 0.0), np.where(inside, y, 0.0)
    responsive = inside & ~_dropped(scatter, array, number)
    drift = _drift(config.drift, "threshold", n, number, day)
    if isinstance(config.tissue, PulseTissue):
        threshold, scale_ua = np.ones(n), _threshold_currents(config.tissue, n, number) * drift
    else:
        threshold, scale_ua = _threshold_activations(config.tissue, n, number), drift
    spread = np.exp(scatter.impedance_sd * _stream(number, "impedance").normal(0.0, 1.0, n))
    return Individual(
        x,
        y,
        np.asarray(retinotopy.magnification(x, y)),
        inside,
        responsive,
        np.where(responsive, threshold, np.inf),
        scale_ua,
        spread * _drift(config.drift, "impedance", n, number, day),
        _stream(number, "tilt").uniform(0.0, np.pi, n),
    )


def _stream(number: int, trait: str) -> np.random.Generator:
    return np.random.default_rng([number, zlib.crc32(trait.encode())])


def _dropped(scatter: ScatterConfig, array: ElectrodeArray, number: int) -> Bool:
    """Return which electrodes evoke nothing: independently, or in patches of about ``dropout_patch_mm``."""
    random, n = _stream(number, "dropout"), len(array.u_mm)
    if scatter.dropout_patch_mm == 0.0:
        return np.asarray(random.random(n) < scatter.dropout)
    # a Gaussian field by random Fourier features (Rahimi & Recht 2007); its lowest share drops out
    wave = random.normal(0.0, 1.0 / scatter.dropout_patch_mm, (2, _WAVES))
    phase = random.uniform(0.0, 2 * np.pi, _WAVES)
    field = np.cos(np.outer(array.u_mm, wave[0]) + np.outer(array.v_mm, wave[1]) + phase).sum(axis=1)
    dropped = np.zeros(n, dtype=bool)
    dropped[np.argsort(field)[: round(scatter.dropout * n)]] = True
    return dropped


def _threshold_currents(tissue: PulseTissue, n: int, number: int) -> F64:
    """Return each electrode's threshold in uA for the tissue's train: log-normal with the published mean and sd."""
    mean, sd = tissue.threshold.mean_ua, tissue.threshold.sd_ua
    log_var = np.log1p((sd / mean) ** 2)
    drawn = _stream(number, "thresholds").normal(0.0, 1.0, n)
    return np.asarray(np.exp(np.log(mean) - log_var / 2 + np.sqrt(log_var) * drawn))


def _threshold_activations(tissue: ChargeTissue, n: int, number: int) -> F64:
    """Return each electrode's threshold as activation in uA s, drawn again where one falls below a fifth of the mean.

    Clipping at 0, as the published code does, leaves electrodes that are visible for ever after their first pulse.
    """
    random, mean, sd = _stream(number, "thresholds"), tissue.threshold_mean_ua_s, tissue.threshold_sd_ua_s
    drawn: F64 = random.normal(mean, sd, n)
    while (low := drawn < mean / 5).any():
        drawn[low] = random.normal(mean, sd, int(low.sum()))
    return drawn


def _drift(drift: DriftConfig, trait: str, n: int, number: int, day: float) -> F64:
    """Return the factor by which a trait has changed: a common trend and each electrode's own walk, a step a day."""
    trend, sd = drift.of(trait)
    steps = (
        _stream(number, f"drift of {trait}").normal(0.0, 1.0, (int(day), n)) if sd and day >= 1 else np.zeros((0, n))
    )
    return np.asarray(np.exp(trend * day + sd * steps.sum(axis=0)))
