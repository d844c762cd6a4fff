"""What an implant keeps watching of itself: charge left behind, direct current, heat, and its electrodes' voltages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prosthesis.config import Rig
from prosthesis.messages import U8, ImplantState, Refusal
from prosthesis_sim.frontend import I32, I64, FrontEnd
from prosthesis_sim.vitals import Vitals

LOOK_NS = 50_000_000  # how often electrodes and memory are looked at, while nothing is wrong


@dataclass(frozen=True, slots=True)
class Outputs:
    """What decides all that electrodes will do if nothing more is received: i64[n] and ns of the implant's clock."""

    state: ImplantState
    amplitude_na: I64
    rate_mhz: I64
    expires_ns: tuple[int, ...]
    last_valid_ns: int


class Monitor:
    """Keeps account of one ``front`` end; ``barred`` u8[n] holds a ``Refusal`` for electrodes not to be used."""

    def __init__(self, rig: Rig, front: FrontEnd, now_ns: int) -> None:
        self.front, self.vitals = front, Vitals()
        self.barred: U8 = np.zeros(rig.electrodes, np.uint8)
        self._compliance_v = rig.stimulator.compliance_v
        self._looked_ns = now_ns

    def forget(self) -> None:
        """Give every electrode another chance."""
        self.barred = np.zeros_like(self.barred)

    def account(self, pulses: I32, width_us: I64, rate_mhz: I64, dt_ns: int) -> tuple[I64, str | None]:
        """Take ``pulses`` i32[n] delivered in ``dt_ns``; return their charges in fC i64[n] and why to lock, if so."""
        front, dt_s = self.front, dt_ns * 1e-9
        charge_fc: I64 = pulses * front.made_na * width_us
        front.struck(pulses, dt_s)
        self.vitals.live(float(charge_fc.sum()) * 1e-3, self._compliance_v, dt_s)
        return charge_fc, front.trip(pulses, rate_mhz.astype(np.float64) * 1e-3) or self.vitals.trip()

    def looks(self, now_ns: int) -> bool:
        """Tell whether it is time to look, from now on ``LOOK_NS`` later again; always while something is wrong."""
        if self.front.sound and now_ns - self._looked_ns < LOOK_NS:
            return False
        self._looked_ns = now_ns
        return True

    def bar(self) -> bool:
        """Bar electrodes whose voltage is not what it should be; tell whether there were any."""
        strange: npt.NDArray[np.bool_] = self.front.strange()
        if strange.any():
            self.barred[strange] = np.where(self.front.clipped[strange], Refusal.COMPLIANCE, Refusal.DISABLED)
        return bool(strange.any())

    def left_pc(self) -> int:
        """Return the most charge that is left on any electrode."""
        return round(1e3 * float(np.abs(self.front.left_nc).max()))

    def impedance_ohm(self, electrode: int, width_us: int | None = None) -> int:
        """Return what a phase of ``width_us`` meets at its end, or else the impedance at 1 kHz, within 32 bits."""
        circuit = self.front.circuit
        widths = np.full(len(self.barred), float(width_us or 0))
        kohm = circuit.impedance_kohm() if width_us is None else circuit.pulse_kohm(widths)
        return min(round(1e3 * float(kohm[electrode])), 0xFFFFFFFF)

    def readback_mv(self, electrode: int, point: int) -> int:
        """Return one of the five voltages of an electrode's pulse as driven now: mV, as two's complement."""
        return round(1e3 * float(self.front.read_back()[point, electrode])) & 0xFFFFFFFF
