"""Hop 4: wanted activity to pulse parameters, by the calibrated curves of this patient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prosthesis.calibration.curves import Curve
from prosthesis.config import RATE_BITS, Rig, slot_us
from prosthesis.layout import raster_slots
from prosthesis.limits import guard_limits, hold_s
from prosthesis.messages import F32, BrainCode, Intervention, StimulationPattern, readonly
from prosthesis.safety import Guard
from prosthesis.stimulator.compiler import compile_pattern, fit_amplitudes, sweep_rate_hz
from prosthesis.stimulator.profile import capabilities
from prosthesis.wire import U16, Configuration, Modulated

F64 = npt.NDArray[np.float64]

RATE_LSB_MHZ = 500  # half a hertz, up to 32 kHz


class PulseModulator:
    """Carries the activity by amplitude (between each electrode's threshold and maximum) or by rate.

    An activity that the electrode does not reach at threshold is silence: a current below threshold costs charge and
    shows nothing. So is a rate slower than the stimulator's slowest. While the rate is modulated the frames cannot
    lower an amplitude, so the fixed ones are those that the guard allows when all electrodes pulse.
    """

    def __init__(self, rig: Rig) -> None:
        config, calibration, n = rig.config.modulator, rig.calibration, rig.electrodes
        self._by_rate = config.modulate == "rate"
        self._enabled = calibration.column("enabled").astype(bool)
        self._threshold = calibration.column("threshold_ua")
        self._span = calibration.column("max_ua") - self._threshold
        activity = np.asarray(calibration.curve.activity)
        self._at_threshold = activity[:, 0]
        self._fraction = Curve(activity, np.broadcast_to(np.asarray(calibration.curve.fraction), activity.shape))
        self._capabilities = capabilities(rig.stimulator)
        # on the bench the device's program is made here; beyond the air, the implant's own business
        self._wired = (config.interphase_us, hold_s(rig)) if rig.config.backend else None
        rate_hz = sweep_rate_hz(config.raster_groups, slot_us(rig), config.rate_hz, self._capabilities)
        self._rate_hz = rate_hz
        self._least_hz = -(-rig.stimulator.rate_hz[0] * 1000 // RATE_LSB_MHZ) * RATE_LSB_MHZ / 1000
        self._width: F32 = readonly(np.full(n, config.pulse_width_us), np.float32)
        self._rate: F32 = readonly(np.full(n, rate_hz), np.float32)
        self._lsb_na = rig.stimulator.lsb_na
        self._slot = raster_slots(
            rig.array, len(rig.config.implant.placements), config.raster_groups, config.raster_order
        )
        self._slot.flags.writeable = False
        self._fixed_ua = self._allowed_together(rig, self._threshold + config.fixed_amplitude * self._span)
        self._fixed_steps = _steps(self._fixed_ua, self._lsb_na)
        self.configuration = Configuration(
            Modulated.RATE if self._by_rate else Modulated.AMPLITUDE,
            RATE_BITS if self._by_rate else rig.stimulator.dac_bits,
            RATE_LSB_MHZ if self._by_rate else self._lsb_na,
            rig.link.tile_electrodes,
            config.interphase_us,
            slot_us(rig),
            np.full(n, config.pulse_width_us, np.uint16),
            (self._fixed_steps * self._lsb_na).astype(np.uint32),
            np.full(n, round(rate_hz * 1000), np.uint32),
            self._slot,
        )

    def _allowed_together(self, rig: Rig, amplitude_ua: F64) -> F32:
        """Return what the guard allows of ``amplitude_ua`` when all enabled electrodes pulse, before any dose."""
        guard, off = Guard(guard_limits(rig)), readonly(np.zeros(len(self._slot)), np.float32)
        amplitude = readonly(np.where(self._enabled, amplitude_ua, 0.0), np.float32)
        together = StimulationPattern(0, 0, amplitude, self._width, off, self._slot)
        return guard.allow(together, guard.initial(), 0.0)[0].amplitude_ua

    def modulate(self, code: BrainCode) -> StimulationPattern:
        """Return the wanted pattern; NaN activity stays NaN for the guard to silence and report."""
        if self._by_rate:
            rate = np.where(code.activity > 0, code.activity * self._rate_hz, 0.0)
            rate[rate < self._least_hz] = 0.0
            rate = np.where(np.isnan(code.activity), np.nan, rate)
            amplitude = np.where(rate == 0, 0.0, self._fixed_ua)
            return self._pattern(code, readonly(amplitude, np.float32), readonly(rate, np.float32))
        return self._pattern(code, readonly(self._currents(code.activity), np.float32), self._rate)

    def _currents(self, activity: F32) -> F64:
        """Return the currents f64[n] in uA to ask for; NaN stays NaN."""
        amplitude = self._threshold + self._fraction(activity) * self._span
        silent = (activity <= 0) | (activity < self._at_threshold) | ~self._enabled
        amplitude[silent] = 0.0
        return amplitude

    def silent(self, seq: int, t_ns: int) -> StimulationPattern:
        """Return the pattern that drives nothing."""
        zero: F32 = readonly(np.zeros(len(self._slot)), np.float32)
        return StimulationPattern(seq, t_ns, zero, self._width, zero if self._by_rate else self._rate, self._slot)

    def _pattern(self, code: BrainCode, amplitude_ua: F32, rate_hz: F32) -> StimulationPattern:
        return StimulationPattern(code.seq, code.t_ns, amplitude_ua, self._width, rate_hz, self._slot)

    def fit(self, pattern: StimulationPattern) -> tuple[StimulationPattern, tuple[Intervention, ...]]:
        """Return what the stimulator can play of a guarded pattern, nowhere more of it, and what was lost."""
        if self._wired:
            compiled = compile_pattern(pattern, self._capabilities, *self._wired)
            return compiled.pattern, compiled.losses
        if self._capabilities.style != "program":
            return pattern, ()  # such a device takes any amplitude; ``codes`` rounds it down to the DAC's steps
        return fit_amplitudes(pattern, self._capabilities)

    def codes(self, pattern: StimulationPattern) -> U16:
        """Return a guarded pattern as the wire's codes, rounded down: u16[n] of amplitude or rate in LSBs."""
        codes = steps = _steps(pattern.amplitude_ua, self._lsb_na)
        if self._by_rate:
            # the implant would give these electrodes their fixed amplitude, which is more than the guard allows
            codes = np.where((steps == 0) | (steps < self._fixed_steps), 0, _steps(pattern.rate_hz, RATE_LSB_MHZ))
        most = (1 << self.configuration.bits) - 1
        return np.minimum(codes, most).astype(np.uint16)


def _steps(value: npt.NDArray[np.floating], lsb: int) -> F64:
    # 1e-3 LSB forgives float32's own rounding of a value that is a whole number of LSBs
    steps: F64 = np.floor(value.astype(np.float64) * (1000.0 / lsb) + 1e-3)
    return steps
