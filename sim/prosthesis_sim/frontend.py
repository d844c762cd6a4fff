"""The implant's analog end: current sources and electrodes, what they really deliver, and what can be measured of it.

An electrode is a series resistance and a double layer's capacitance with a faradaic resistance beside it. A healthy
front end delivers what it is told and balances exactly; ``Defects`` say what is wrong with one that is not. What
implants watch for, and at which values, is chosen (proposals, and conventions that are unverified).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from prosthesis.config import Rig
from prosthesis.messages import F32, readonly

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
# chosen, by order of magnitude: capacitance per geometric area, and the faradaic time constant beside it
CAPACITANCE_UF_PER_CM2 = {"Pt": 200.0, "PtIr": 200.0, "TiN": 1000.0}
OTHERWISE_UF_PER_CM2 = 1000.0
FARADAIC_S = 10.0
LEFT_V = 0.1  # of residual voltage, after which stimulation stops for good (a convention, unverified)
DIRECT_NA = 100.0  # of direct current, the same
MISSING = 0.5  # of a phase's charge: the other phase was not there


@dataclass(frozen=True, slots=True)
class Circuit:
    """Electrodes as Rs in series with Cdl, which has Rf beside it; all f64[n]."""

    series_kohm: F64
    capacitance_nf: F64
    faradaic_mohm: F64

    def impedance_kohm(self, hz: float = 1000.0) -> F64:
        """Return the magnitude of the impedance f64[n] at ``hz``."""
        admittance = 1e-6 / self.faradaic_mohm + 2j * np.pi * hz * self.capacitance_nf * 1e-9
        return np.asarray(np.abs(self.series_kohm + 1e-3 / admittance))

    def pulse_kohm(self, width_us: F64) -> F64:
        """Return what a phase of ``width_us`` f64[n] meets at its end: its voltage over its current."""
        return np.asarray(self.series_kohm + width_us / self.capacitance_nf)

    def read_back(self, amplitude_ua: F64, width_us: F64, interphase_us: float, mismatch: F64, left_v: F64) -> F64:
        """Return the five voltages f64[5, n] of one pulse: before, end of phase one, end of gap, of phase two, after.

        ``left_v`` is on the double layer before; the second phase carries ``1 - mismatch`` of the first one's charge.
        """
        first = self._layer(left_v, -amplitude_ua, width_us)
        gap = self._layer(first, np.zeros_like(amplitude_ua), interphase_us)
        back_ua = amplitude_ua * (1 - mismatch)
        second = self._layer(gap, back_ua, width_us)
        drop = self.series_kohm * 1e-3
        return np.stack([left_v, first - amplitude_ua * drop, gap, second + back_ua * drop, second])

    def _layer(self, v: F64, current_ua: F64, t_us: F64 | float) -> F64:
        """Return the double layer's voltage after ``t_us`` of ``current_ua`` from ``v``."""
        end = current_ua * self.faradaic_mohm
        fade = np.exp(-t_us * 1e-3 / (self.faradaic_mohm * self.capacitance_nf))
        return np.asarray(end + (v - end) * fade)


@dataclass(frozen=True, slots=True)
class Defects:
    """What is wrong, per electrode f64[n] unless said otherwise; of ``none(n)`` nothing is.

    Current delivered = ((code | set_bits) & ~cleared_bits) x step x gain + offset_ua, at most ``most_ua``, through
    ``wiring`` (which source drives electrode n), then ``crosstalk`` of its neighbours' current added. ``mismatch`` is
    the share of the first phase that the second lacks, ``leak_na`` a direct current. ``series``, ``capacitance``
    multiply the electrode's own, ``supply`` the compliance voltage there.
    """

    gain: F64
    offset_ua: F64
    set_bits: I64
    cleared_bits: I64
    most_ua: F64
    wiring: I64
    crosstalk: F64
    mismatch: F64
    leak_na: F64
    series: F64
    capacitance: F64
    supply: F64


def none(n: int) -> Defects:
    """Return no defect on any of ``n`` electrodes."""
    zero, one = np.zeros(n), np.ones(n)
    whole = np.zeros(n, np.int64)
    return Defects(one, zero, whole, whole, one * np.inf, np.arange(n), zero, zero, zero, one, one, one)


class FrontEnd:
    """Sources and electrodes of one implant; ``impedance`` f64[n] multiplies the contacts' nominal one."""

    def __init__(self, rig: Rig, impedance: F64 | None = None) -> None:
        n, contact = rig.electrodes, rig.array.contact
        area_cm2 = np.asarray(rig.areas_um2) * 1e-8
        density = CAPACITANCE_UF_PER_CM2.get(contact.material, OTHERWISE_UF_PER_CM2)
        capacitance_nf = area_cm2 * density * 1e3
        self._lsb_ua, self._compliance_v = rig.stimulator.lsb_na * 1e-3, rig.stimulator.compliance_v
        self._recovery_us = float(rig.stimulator.recovery_us)
        whole = contact.impedance_kohm * (np.ones(n) if impedance is None else impedance)
        reactance = 1e3 / (2 * np.pi * capacitance_nf)
        series = np.sqrt(np.maximum(whole**2 - reactance**2, (0.1 * whole) ** 2))
        self._healthy = Circuit(series, capacitance_nf, FARADAIC_S * 1e3 / capacitance_nf)
        self._width_us, self._interphase_us = np.full(n, 100.0), 0.0
        self._asked_na = np.zeros(n, np.int64)
        self.left_nc = np.zeros(n)
        self.set_defects(none(n))
        self.learn()

    def learn(self) -> None:
        """Take the impedances as they are now for what is to be expected: part of the self-test."""
        self._known = self.circuit

    def most_na(self, width_us: npt.NDArray[np.integer]) -> I64:
        """Return the largest currents i64[n] for which the compliance voltage was enough when last learnt."""
        kohm = self._known.pulse_kohm(width_us.astype(np.float64))
        return np.asarray((1e6 * self._compliance_v / kohm).astype(np.int64))

    def set_defects(self, defects: Defects) -> None:
        """Have these defects and no others from now on."""
        self.defects = defects
        h = self._healthy
        self.circuit = replace(
            h, series_kohm=h.series_kohm * defects.series, capacitance_nf=h.capacitance_nf * defects.capacitance
        )
        clean = none(len(defects.gain))
        self.sound = all(np.array_equal(getattr(defects, f.name), getattr(clean, f.name)) for f in fields(Defects))
        self._drive()

    def drive(self, amplitude_na: I64, width_us: I64, interphase_us: int) -> None:
        """Pulse with ``amplitude_na`` i64[n] from now on, as far as possible."""
        self._asked_na = amplitude_na
        self._width_us, self._interphase_us = width_us.astype(np.float64), float(interphase_us)
        self._drive()

    def rest(self) -> None:
        """Drive nothing from now on; a pulse that has started is finished."""
        self._asked_na = np.zeros_like(self._asked_na)
        self._drive()

    def routed(self, pulses: I32) -> I32:
        """Return the pulses i32[n] that sources started where they come out: wrong wires and crosstalk move them."""
        if self.sound:
            return pulses
        moved = pulses[self.defects.wiring]
        beside = np.zeros_like(moved)
        np.maximum(beside[1:], moved[:-1], out=beside[1:])
        np.maximum(beside[:-1], moved[1:], out=beside[:-1])
        return np.asarray(np.where((moved == 0) & (self.made_ua > 0), beside, moved))

    def _drive(self) -> None:
        """Work out the delivered currents: what the sources make, as far as the voltage lasts."""
        asked, d = self._asked_na, self.defects
        made: F64 = asked.astype(np.float64) * 1e-3
        if not self.sound:
            codes = np.rint(made / self._lsb_ua).astype(np.int64)
            codes = (codes | d.set_bits) & ~d.cleared_bits
            made = np.where(asked > 0, np.clip(codes * self._lsb_ua * d.gain + d.offset_ua, 0.0, d.most_ua), 0.0)
            made = made[d.wiring]
            beside = np.zeros_like(made)
            beside[1:] += made[:-1]
            beside[:-1] += made[1:]
            made = made + d.crosstalk * beside
        ohm = self.circuit.pulse_kohm(self._width_us) * 1e-3
        volts = self._compliance_v * self.defects.supply
        self.clipped = made * ohm > volts
        if self.clipped.any():
            made = np.minimum(made, volts / ohm)
        self.made_ua = made
        self.made_na = asked if self.sound and not self.clipped.any() else np.rint(made * 1e3).astype(np.int64)
        self.amplitude_ua: F32 = readonly(made, np.float32)

    def struck(self, pulses: I32, dt_s: float) -> None:
        """Keep account of the charge that pulses i32[n] and leaks in ``dt_s`` left behind; recovery shorts it away."""
        if self.sound and not self.left_nc.any():
            return
        tau_us = self.circuit.series_kohm * self.circuit.capacitance_nf
        keep = np.exp(-self._recovery_us / tau_us)
        fade = keep**pulses
        left = self.made_ua * self._width_us * 1e-3 * self.defects.mismatch
        series = np.where(keep < 1, keep * (1 - fade) / np.maximum(1 - keep, 1e-12), pulses)
        self.left_nc = self.left_nc * fade + left * series + self.defects.leak_na * dt_s
        self.left_nc[np.abs(self.left_nc) < 1e-6] = 0.0

    def trip(self, pulses: I32, rate_hz: F64) -> str | None:
        """Return why stimulation must end for good, ``None`` if it need not; electrodes with ``pulses`` were driven."""
        if self.sound and not self.left_nc.any():
            return None
        driven, d = pulses > 0, self.defects
        missing = driven & (d.mismatch >= MISSING)
        if missing.any():
            return f"electrode {int(np.argmax(missing))}: the second phase is missing"
        left_v = np.abs(self.left_nc) / self.circuit.capacitance_nf
        if left_v.max() > LEFT_V:
            worst = int(np.argmax(left_v))
            return f"electrode {worst}: net charge, {1e3 * left_v[worst]:.0f} mV left"
        direct = np.abs(d.leak_na) + driven * self.made_ua * self._width_us * 1e-3 * d.mismatch * rate_hz
        if direct.max() > DIRECT_NA:
            return f"electrode {int(np.argmax(direct))}: {direct.max():.0f} nA of direct current"
        return None

    def read_back(self) -> F64:
        """Return the five voltages f64[5, n] of a pulse as driven now."""
        left_v = self.left_nc / self.circuit.capacitance_nf
        return self.circuit.read_back(self.made_ua, self._width_us, self._interphase_us, self.defects.mismatch, left_v)

    def strange(self) -> npt.NDArray[np.bool_]:
        """Return which driven electrodes bool[n] show less than 0.45 or more than 2 times the voltage they should.

        Or all of the compliance voltage, where they should not.
        """
        asked = self._asked_na * 1e-3
        expected = asked * self._known.impedance_kohm() * 1e-3
        seen = self.made_ua * self.circuit.impedance_kohm() * 1e-3
        spent = self.clipped & (1.2 * expected < self._compliance_v)
        return np.asarray((asked > 0) & ((seen < 0.45 * expected) | (seen > 2.0 * expected) | spent))

    def self_test(self) -> str | None:
        """Return what is wrong with the sources, driven into a dummy load: gain, bits, balance, leaks."""
        d = self.defects
        faults = (
            ("a source's gain", np.abs(d.gain - 1) > 0.05),
            ("a source's bit", (d.set_bits | d.cleared_bits) != 0),
            ("the phases' balance", np.abs(d.mismatch) > 0.01),
            ("a direct current", np.abs(d.leak_na) > DIRECT_NA),
        )
        for what, where in faults:
            if where.any():
                return f"{what} at electrode {int(np.argmax(where))}"
        return None
