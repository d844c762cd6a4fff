"""Hop 4: wanted activity to pulse parameters, by the calibrated curves of this patient."""

from __future__ import annotations

import numpy as np

from prosthesis.config import Rig, slot_us
from prosthesis.curves import Curve
from prosthesis.layout import raster_slots
from prosthesis.messages import F32, BrainCode, StimulationPattern, readonly
from prosthesis.wire import U16, Configuration, Modulated

RATE_LSB_MHZ = 500


class PulseModulator:
    """Carries the activity by amplitude (between each electrode's threshold and maximum) or by rate.

    An activity that the electrode does not reach at threshold is silence: a current below threshold costs charge and
    shows nothing.
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
        self._fixed_ua = np.where(self._enabled, self._threshold + config.fixed_amplitude * self._span, 0.0)
        self._rate_hz = config.rate_hz
        self._width: F32 = readonly(np.full(n, config.pulse_width_us), np.float32)
        self._rate: F32 = readonly(np.full(n, config.rate_hz), np.float32)
        self._lsb = RATE_LSB_MHZ if self._by_rate else rig.stimulator.lsb_na
        self._slot = raster_slots(
            rig.array, len(rig.config.implant.placements), config.raster_groups, config.raster_order
        )
        self._slot.flags.writeable = False
        self.configuration = Configuration(
            Modulated.RATE if self._by_rate else Modulated.AMPLITUDE,
            rig.stimulator.dac_bits,
            self._lsb,
            rig.link.tile_electrodes,
            config.interphase_us,
            slot_us(rig),
            np.full(n, config.pulse_width_us, np.uint16),
            np.floor(self._fixed_ua * 1000).astype(np.uint32),
            np.full(n, round(config.rate_hz * 1000), np.uint32),
            self._slot,
        )

    def modulate(self, code: BrainCode) -> StimulationPattern:
        """Return the wanted pattern; NaN activity stays NaN for the guard to silence and report."""
        if self._by_rate:
            rate = np.where(code.activity > 0, code.activity * self._rate_hz, 0.0)
            rate = np.where(np.isnan(code.activity), np.nan, rate)
            amplitude = np.where(rate == 0, 0.0, self._fixed_ua)
            return self._pattern(code, readonly(amplitude, np.float32), readonly(rate, np.float32))
        amplitude = self._threshold + self._fraction(code.activity) * self._span
        silent = (code.activity <= 0) | (code.activity < self._at_threshold) | ~self._enabled
        amplitude[silent] = 0.0
        return self._pattern(code, readonly(amplitude, np.float32), self._rate)

    def silent(self, seq: int, t_ns: int) -> StimulationPattern:
        """Return the pattern that drives nothing."""
        zero: F32 = readonly(np.zeros(len(self._slot)), np.float32)
        return StimulationPattern(seq, t_ns, zero, self._width, zero if self._by_rate else self._rate, self._slot)

    def _pattern(self, code: BrainCode, amplitude_ua: F32, rate_hz: F32) -> StimulationPattern:
        return StimulationPattern(code.seq, code.t_ns, amplitude_ua, self._width, rate_hz, self._slot)

    def codes(self, pattern: StimulationPattern) -> U16:
        """Return a guarded pattern as the wire's codes, rounded down: u16[n] of amplitude or rate in LSBs."""
        value = pattern.rate_hz if self._by_rate else pattern.amplitude_ua
        # 1e-3 LSB forgives float32's own rounding of a value that is a whole number of LSBs
        codes: U16 = np.floor(value * (1000.0 / self._lsb) + 1e-3).astype(np.uint16)
        return codes
