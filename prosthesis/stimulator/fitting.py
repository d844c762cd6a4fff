"""One pattern brought within a stimulator's ranges, steps and levels: integers that only ever fall, and the losses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from prosthesis.messages import Intervention, StimulationPattern, readonly
from prosthesis.stimulator.levels import round_to_levels
from prosthesis.stimulator.model import I64, Capabilities

US = 1_000_000


class Work:
    """One pattern on its way to a device, and what was lost so far."""

    def __init__(self, pattern: StimulationPattern, c: Capabilities, interphase_us: int) -> None:
        self.c, self.pattern, self.losses = c, pattern, list[Intervention]()
        with np.errstate(invalid="ignore", over="ignore"):
            finite = np.isfinite(pattern.amplitude_ua + pattern.pulse_width_us + pattern.rate_hz)
            on = finite & (pattern.amplitude_ua > 0) & (pattern.pulse_width_us > 0) & (pattern.rate_hz > 0)
        on[c.electrodes :] = False
        self.wanted_na = _floor(np.where(on, pattern.amplitude_ua, 0.0) * 1000 / c.step_na) * c.step_na
        self.amplitude_na = self.wanted_na.copy()
        self.width_us = _floor(np.where(on, pattern.pulse_width_us, 0.0))
        self.rate_mhz = _floor(np.where(on, pattern.rate_hz, 0.0) * 1000)
        least = max(c.interphase_us[0], min(interphase_us, c.interphase_us[1]))
        self.interphase_us = c.on_clock(least)
        if self.interphase_us < c.interphase_us[0]:
            self.interphase_us = c.on_clock(c.interphase_us[0] + US // c.clock_hz)

    @property
    def on(self) -> npt.NDArray[np.intp]:
        """The electrodes that still pulse."""
        return np.flatnonzero(self.amplitude_na)

    def silence(self, electrodes: npt.NDArray[np.intp] | npt.NDArray[np.bool_], rule: str, limit: float) -> None:
        """Let these fall silent and report the strongest of them."""
        lost = self.amplitude_na[electrodes]
        if lost.any():
            self.lose(rule, int(np.count_nonzero(lost)), lost.max() / 1000, limit, "uA")
            self.amplitude_na[electrodes] = 0

    def lose(self, rule: str, electrodes: int, worst: float, limit: float, unit: str) -> None:
        """Report a loss."""
        self.losses.append(Intervention(f"stimulator {rule}", "hard", electrodes, float(worst), float(limit), unit))

    def fit_pulses(self) -> None:
        """Bring each electrode's amplitude, width and rate within the device's ranges, downwards."""
        c = self.c
        asked_us = self.width_us
        self.width_us = np.minimum([c.on_clock(int(us)) for us in asked_us.tolist()], c.width_us[1])
        if count := np.count_nonzero((self.width_us < asked_us) & (self.amplitude_na > 0)):
            self.lose("pulse width", int(count), (asked_us - self.width_us).max(), self.width_us.max(), "us lost")
        self.silence(self.width_us < c.width_us[0], "pulse width", c.width_us[0])
        self.silence(self.rate_mhz < c.rate_mhz[0], "rate", c.rate_mhz[0] / 1000)
        most = (
            np.minimum(c.amplitude_na[1], c.charge_pc * 1000 // np.maximum(self.width_us, 1)) // c.step_na * c.step_na
        )
        if count := np.count_nonzero(self.amplitude_na > most):
            self.lose("amplitude", int(count), self.amplitude_na.max() / 1000, c.amplitude_na[1] / 1000, "uA")
            self.amplitude_na = np.minimum(self.amplitude_na, most)
        self.silence(self.amplitude_na < c.amplitude_na[0], "least amplitude", c.amplitude_na[0] / 1000)
        shortest_us = 2 * self.width_us + self.interphase_us + c.recovery_us
        fastest = np.minimum(c.rate_mhz[1], 10**9 // np.maximum(shortest_us, 1))
        if count := np.count_nonzero((self.rate_mhz > fastest) & (self.amplitude_na > 0)):
            self.lose("rate", int(count), self.rate_mhz.max() / 1000, fastest.min() / 1000, "Hz")
        self.rate_mhz = np.minimum(self.rate_mhz, fastest)

    def fit_levels(self) -> None:
        """Round amplitudes down to as many levels as there are waveforms; several widths become the least of them."""
        on = self.on
        if not len(on):
            return
        widths = np.unique(self.width_us[on])
        pairs = len(np.unique(np.stack([self.width_us[on], self.amplitude_na[on]]), axis=1).T)
        if pairs <= self.c.waveforms:
            return
        if len(widths) > 1:
            self.lose("pulse width", int((self.width_us[on] > widths[0]).sum()), widths[-1], widths[0], "us")
            self.width_us[on] = widths[0]
        levels = round_to_levels(self.amplitude_na, self.c.waveforms)
        if count := np.count_nonzero(levels < self.amplitude_na):
            worst = (self.amplitude_na - levels).max() / 1000
            self.lose("waveforms", int(count), worst, self.c.waveforms, "uA lost")
        self.amplitude_na = levels

    def groups(self) -> list[npt.NDArray[np.intp]]:
        """Return the raster's electrodes slot by slot, slots too full for the device split in as few as will do."""
        parts: list[npt.NDArray[np.intp]] = []
        slots, on = self.pattern.slot, self.on
        for slot in np.unique(slots[on]).tolist():
            members = on[slots[on] == slot]
            # strongest first, each into the first part that can still feed it
            fitted: list[list[int]] = []
            totals: list[int] = []
            for electrode in members[np.argsort(-self.amplitude_na[members], kind="stable")].tolist():
                current = int(self.amplitude_na[electrode])
                for k, part in enumerate(fitted):
                    if len(part) < self.c.simultaneous and totals[k] + current <= self.c.total_na:
                        part.append(electrode)
                        totals[k] += current
                        break
                else:
                    fitted.append([electrode])
                    totals.append(current)
            parts += [np.sort(np.asarray(part, np.intp)) for part in fitted]
        return parts

    def realised(self) -> StimulationPattern:
        """Return what the device will deliver; where nothing was lost, the pattern's own arrays."""
        p = self.pattern
        on = self.amplitude_na > 0
        amplitude = np.minimum(self.amplitude_na * 1e-3, np.where(on, p.amplitude_ua, 0.0))
        width = np.where(on, np.minimum(self.width_us, p.pulse_width_us), p.pulse_width_us)
        rate = np.where(on, np.minimum(self.rate_mhz * 1e-3, p.rate_hz), p.rate_hz)
        return replace(
            p,
            amplitude_ua=readonly(amplitude, np.float32),
            pulse_width_us=readonly(width, np.float32),
            rate_hz=readonly(rate, np.float32),
        )


def _floor(values: npt.NDArray[np.floating]) -> I64:
    # float32 may hold a whole number a little less than it is
    return np.floor(values.astype(np.float64) * (1 + 1e-6)).astype(np.int64)
