"""The impedance check: as a session begins, the implant is asked what each electrode's pulses meet, as labs do.

Impedances change between sessions (human: a fifth up in the first week, Fernandez 2021; monkey: down after stimulation,
back by the next session, Torab 2011). So the guard's compliance limit uses those of this session, not the calibration's
or a nominal one, and leaves a tenth of the voltage (``COMPLIANCE_MARGIN``) for what happens within it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from prosthesis.config import Rig
from prosthesis.control import Command
from prosthesis.errors import LinkError
from prosthesis.limits import COMPLIANCE_MARGIN
from prosthesis.messages import Refusal
from prosthesis.protocols import StimulatingSession

F64 = npt.NDArray[np.float64]
# chosen: beyond the spread of patients and far beyond drift, within what an open or a shorted lead does
STRANGE = 4.0
SHOWN = 8


@dataclass(frozen=True, slots=True)
class ImpedanceCheck:
    """The rig with what was measured, and what to tell the user of it as (level, text)."""

    rig: Rig
    said: tuple[tuple[str, str], ...]


def measure_kohm(
    session: StimulatingSession, rig: Rig, progress: Callable[[int, int], None] = lambda k, of: None
) -> F64 | None:
    """Return what the rig's pulses meet at each electrode, f64[n]: a phase's voltage at its end over its current.

    ``None`` where the implant measures no impedances. Raises ``LinkError`` when it is lost or not silent.
    """
    width_us, kohm = rig.config.modulator.pulse_width_us, np.zeros(rig.electrodes)
    for electrode in range(rig.electrodes):
        reply = session.command(Command.IMPEDANCE, struct.pack("<HH", electrode, width_us))
        if reply.refusal is Refusal.TYPE:
            return None
        if reply.refusal is not Refusal.NONE:
            raise LinkError(f"the implant refused IMPEDANCE: {reply.refusal.name} ({reply.reason})")
        kohm[electrode] = max(reply.detail, 1) / 1000
        progress(electrode + 1, rig.electrodes)
    return kohm


def with_impedances(rig: Rig, kohm: F64) -> Rig:
    """Return ``rig`` with these in its calibration."""
    column = tuple(round(float(value), 3) for value in kohm)
    return replace(rig, calibration=rig.calibration.model_copy(update={"impedance_kohm": column}))


def check_impedances(rig: Rig, session: StimulatingSession) -> ImpedanceCheck:
    """Measure through an open session whose implant is not yet armed; what is reduced or switched off is said.

    Electrodes at more than ``STRANGE`` times the calibrated impedance, or less than a ``STRANGE``-th, are switched off.
    """
    kohm = measure_kohm(session, rig)
    if kohm is None:
        return ImpedanceCheck(rig, (("warning", "the implant measures no impedances; the calibrated ones are used"),))
    calibration = rig.calibration
    known, on = calibration.column("impedance_kohm"), calibration.column("enabled").astype(bool)
    strange = on & ((kohm > STRANGE * known) | (kohm < known / STRANGE))
    used = on & ~strange
    most_ua = COMPLIANCE_MARGIN * 1e3 * rig.stimulator.compliance_v / kohm
    weak = used & (most_ua < calibration.column("threshold_ua"))
    said = [("info", _summary(kohm, used, used & (most_ua < calibration.column("max_ua"))))]
    for who, text in (
        (strange, f"not used: impedance over {STRANGE:g} times the calibrated one, or under a {STRANGE:g}th"),
        (weak, "show nothing: the supply's voltage does not reach their threshold"),
    ):
        if who.any():
            said.append(("warning", f"electrodes {_listed(who)} {text}; look at the leads and calibrate again"))
    checked = with_impedances(rig, kohm)
    enabled = tuple(bool(value) for value in used)
    patient = checked.calibration.model_copy(update={"enabled": enabled})
    return ImpedanceCheck(replace(checked, calibration=patient), tuple(said))


def _summary(kohm: F64, used: npt.NDArray[np.bool_], reduced: npt.NDArray[np.bool_]) -> str:
    if not used.any():
        return "impedance check: no electrode can be used"
    here = kohm[used]
    text = f"impedance check: {len(here)} electrodes, {here.min():.3g} to {here.max():.3g} kohm"
    return text + (f"; {reduced.sum()} of them below their calibrated maximum" if reduced.any() else "")


def _listed(who: npt.NDArray[np.bool_]) -> str:
    first = np.flatnonzero(who)[:SHOWN].tolist()
    more = int(who.sum()) - len(first)
    return ", ".join(map(str, first)) + (f" and {more} more" if more else "")
