"""Hop 4 with neighbours: the currents whose evoked activity, by the calibrated model, is what was asked for.

The model is what calibration measured, never the simulator's equations: a driven electrode's tissue feels its own
current and a share of those of its neighbours in the same raster slot, and answers along its own activity curve.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prosthesis.calibration.curves import Curve
from prosthesis.calibration.table import Calibration, Crosstalk
from prosthesis.config import Rig
from prosthesis.errors import ConfigError
from prosthesis.layout import places_mm
from prosthesis.limits import guard_limits
from prosthesis.messages import F32, U8
from prosthesis.modulator import PulseModulator

F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
# accelerated projected gradient: with a coupling of 0.5 the residual falls by a third an iteration
ITERATIONS = 12
# activity fainter than this is not worth a pulse
FAINTEST = 0.01


class Coupling:
    """What electrodes add to each other: ``add(c)`` returns f64[n] of the shares of ``c`` f64[n], slot by slot.

    One dense block a slot, since those of different slots never pulse together; ``most`` bounds its norm.
    """

    def __init__(self, x_mm: F64, y_mm: F64, slot: U8, crosstalk: Crosstalk) -> None:
        members = [np.flatnonzero(slot == s) for s in np.unique(slot)]
        width = max(len(m) for m in members)
        # the place after the last electrode is nobody's, and takes what the shorter slots leave over
        self._who = np.full((len(members), width), len(slot))
        self._blocks = np.zeros((len(members), width, width))
        for row, m in enumerate(members):
            distance = np.hypot(x_mm[m, None] - x_mm[m], y_mm[m, None] - y_mm[m])
            share = crosstalk.at(distance)
            np.fill_diagonal(share, 0.0)
            self._who[row, : len(m)] = m
            self._blocks[row, : len(m), : len(m)] = share
        self._padded = np.zeros(len(slot) + 1)
        self._sum = np.zeros(len(slot) + 1)
        self.most = float(self._blocks.sum(axis=2).max(initial=0.0))

    def add(self, current: F64) -> F64:
        """Return what each electrode's neighbours add; symmetric."""
        self._padded[:-1] = current
        shared = self._blocks @ self._padded[self._who][:, :, None]
        self._sum[self._who] = shared[:, :, 0]
        added: F64 = self._sum[:-1].copy()
        return added


def solve(coupling: Coupling, felt_ua: F64, least_ua: float, most_ua: F64) -> F64:
    """Return the currents f64[n] with which the tissue of every driven electrode feels nearest ``felt_ua``.

    Least squares over the electrodes with ``felt_ua`` above 0, each within ``least_ua``..``most_ua``; the others stay
    0. Accelerated projected gradient (Beck & Teboulle 2009) from the currents without neighbours, until nothing moves
    by a twentieth of ``least_ua`` (the stimulator's step) or after ``ITERATIONS``.
    """
    driven = felt_ua > 0
    top = np.where(driven, np.maximum(most_ua, least_ua), 0.0)
    bottom = np.where(driven, least_ua, 0.0)
    step = 1.0 / (1.0 + coupling.most) ** 2
    current = ahead = np.clip(felt_ua, bottom, top)
    speed = 1.0
    for _ in range(ITERATIONS if coupling.most > 0 else 0):
        miss = np.where(driven, ahead + coupling.add(ahead) - felt_ua, 0.0)
        after = np.clip(ahead - step * (miss + coupling.add(miss)), bottom, top)
        faster = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * speed * speed))
        ahead = after + (speed - 1.0) / faster * (after - current)
        moved, current, speed = np.abs(after - current).max(), after, faster
        if moved < 0.05 * least_ua:
            break
    return current


class CrosstalkModulator(PulseModulator):
    """A ``PulseModulator`` whose currents allow for what neighbours add, and for the guard's limits.

    The current that tissue feels stays within the range that was calibrated, from the faintest recorded activity (where
    only what is seen was measured, from threshold) to the maximum; an electrode's own may be lower, where neighbours
    give the rest. Where a slot may not carry all that is wanted, the sites with most activity are served first; the
    guard would scale all of them down, most of them to nothing. Raises ``ConfigError`` when the calibration has no
    crosstalk.
    """

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        calibration = rig.calibration
        if calibration.crosstalk is None:
            raise ConfigError(
                f"{rig.path}: key 'modulator.solve': calibration '{rig.config.calibration}' has no crosstalk; "
                f"measure it with 'prosthesis calibrate {rig.config.name}', or say 'solve: curves'"
            )
        x, y = places_mm(rig.array, rig.config.implant.placements)
        self._coupling = Coupling(x, y, self._slot, calibration.crosstalk)
        reached, activity = _whole_curve(calibration)
        self._evoked, self._felt = Curve(reached, activity), Curve(activity, reached)
        self._least = self._at_threshold if calibration.below is None else np.full(len(activity), FAINTEST)
        limits = guard_limits(rig)
        width_us = float(rig.config.modulator.pulse_width_us)
        hard = [cap for cap in limits.caps if cap.tier == "hard"]
        caps = [np.minimum(cap.current_ua, cap.charge_nc * 1e3 / width_us) for cap in hard]
        self._most_ua: F64 = np.minimum.reduce([np.broadcast_to(cap, self._threshold.shape) for cap in caps])
        self._slot_ua, self._simultaneous = limits.hard.slot_current_ua, limits.hard.simultaneous

    def _currents(self, activity: F32) -> F64:
        wanted = (activity > 0) & (activity >= self._least) & self._enabled
        felt = np.where(wanted, self._felt(activity), 0.0)
        felt = np.where(self._affordable(np.minimum(felt, self._most_ua), activity), felt, 0.0)
        solved = solve(self._coupling, felt, self._lsb_na / 1000, self._most_ua)
        return np.where(np.isnan(activity) & self._enabled, np.nan, solved)

    def _affordable(self, amplitude_ua: F64, activity: F32) -> Mask:
        """Return which electrodes each slot can drive together, those with most activity first."""
        slots = int(self._slot.max()) + 1
        totals = np.bincount(self._slot, amplitude_ua, slots)
        counts = np.bincount(self._slot, amplitude_ua > 0, slots)
        if totals.max() <= self._slot_ua and counts.max() <= self._simultaneous:
            return np.ones(len(amplitude_ua), bool)
        order = np.lexsort((-activity, self._slot))
        first = np.searchsorted(self._slot[order], self._slot[order])
        spent = np.concatenate(([0.0], np.cumsum(amplitude_ua[order])))
        driven = np.concatenate(([0], np.cumsum(amplitude_ua[order] > 0)))
        total, count = spent[1:] - spent[first], driven[1:] - driven[first]
        allowed = np.empty(len(order), bool)
        allowed[order] = (total <= self._slot_ua) & (count <= self._simultaneous)
        return allowed

    def evoked(self, amplitude_ua: npt.NDArray[np.floating]) -> F64:
        """Return the activity f64[n] that the calibrated model expects of currents f[n]."""
        current = np.asarray(amplitude_ua, np.float64)
        felt = current + self._coupling.add(current)
        return np.where((current > 0) & self._enabled, self._evoked(felt), 0.0)


def _whole_curve(calibration: Calibration) -> tuple[F64, F64]:
    """Return currents f64[n, k] in uA and the activity f64[n, k] measured there, never falling along a row."""
    threshold, span = (
        calibration.column("threshold_ua"),
        calibration.column("max_ua") - calibration.column("threshold_ua"),
    )
    reached = threshold[:, None] + np.asarray(calibration.curve.fraction) * span[:, None]
    activity = np.asarray(calibration.curve.activity)
    if calibration.below is None:
        return reached, activity
    below = threshold[:, None] * np.asarray(calibration.below.fraction)
    return np.hstack((below, reached)), np.hstack((np.asarray(calibration.below.activity), activity))


def open_modulator(rig: Rig) -> PulseModulator:
    """Return the modulator that the rig names; ``ConfigError`` when its calibration lacks what it needs."""
    return CrosstalkModulator(rig) if rig.config.modulator.solve == "crosstalk" else PulseModulator(rig)
