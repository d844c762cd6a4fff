"""What faults of electrodes, front end and implant change: ``Defects`` put together, and events at their onset."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from prosthesis_sim.faults.catalogue import Fault, Kind
from prosthesis_sim.frontend import Defects, none
from prosthesis_sim.implant import Implant

MODULES = 16


def scope(fault: Fault, n: int) -> npt.NDArray[np.int64]:
    """Return the electrodes a fault is at: those named, or all; of ``MODULE`` those of its module."""
    chosen = np.arange(n) if fault.electrodes is None else np.asarray([e for e in fault.electrodes if e < n], np.int64)
    return chosen[chosen % MODULES == int(fault.size)] if fault.kind is Kind.MODULE else chosen


def defects(faults: Iterable[Fault], n: int) -> Defects:
    """Return what all ``faults`` together make of a front end with ``n`` electrodes."""
    found = none(n)
    for fault in faults:
        found = _with(found, fault, scope(fault, n))
    return found


def _with(d: Defects, fault: Fault, where: npt.NDArray[np.int64]) -> Defects:
    size = fault.size
    match fault.kind:
        case Kind.OPEN | Kind.SHORT_RETURN | Kind.SHORT_NEIGHBOUR | Kind.HIGH_Z | Kind.LOW_Z:
            return replace(d, series=_times(d.series, where, size))
        case Kind.DELAMINATION:
            return replace(d, capacitance=_times(d.capacitance, where, size))
        case Kind.DEAD | Kind.MODULE:
            return replace(d, gain=_times(d.gain, where, 0.0))
        case Kind.DAC_GAIN:
            return replace(d, gain=_times(d.gain, where, size))
        case Kind.DAC_OFFSET:
            return replace(d, offset_ua=_plus(d.offset_ua, where, size))
        case Kind.DAC_STUCK_BIT:
            bits = d.set_bits.copy()
            bits[where] |= 1 << int(size)
            return replace(d, set_bits=bits)
        case Kind.SWAPPED:
            wiring = d.wiring.copy()
            wiring[where] = np.roll(wiring[where], 1)
            return replace(d, wiring=wiring)
        case Kind.STUCK_ON | Kind.LEAKAGE:
            return replace(d, leak_na=_plus(d.leak_na, where, size))
        case Kind.PHASE_MISMATCH | Kind.MISSED_PHASE:
            return replace(d, mismatch=_plus(d.mismatch, where, size))
        case Kind.CROSSTALK:
            return replace(d, crosstalk=_plus(d.crosstalk, where, size))
        case Kind.SATURATION:
            most = d.most_ua.copy()
            most[where] = size
            return replace(d, most_ua=most)
        case Kind.COMPLIANCE:
            return replace(d, supply=_times(d.supply, where, size))
        case _:
            return d


def _times(values: npt.NDArray[np.float64], where: npt.NDArray[np.int64], factor: float) -> npt.NDArray[np.float64]:
    changed: npt.NDArray[np.float64] = values.copy()
    changed[where] *= factor
    return changed


def _plus(values: npt.NDArray[np.float64], where: npt.NDArray[np.int64], more: float) -> npt.NDArray[np.float64]:
    changed: npt.NDArray[np.float64] = values.copy()
    changed[where] += more
    return changed


def begin(fault: Fault, implant: Implant) -> None:
    """Do what a fault of the implant does at its onset."""
    match fault.kind:
        case Kind.BROWN_OUT:
            implant.restart("brown-out: the supply failed")
        case Kind.RESET:
            implant.restart("restarted")
        case Kind.HANG:
            implant.hang()
        case Kind.BIT_FLIP:
            implant.flip_bit(int(scope(fault, implant.electrodes)[0]))
        case Kind.OVERHEAT:
            implant.monitor.vitals.extra_mw += fault.size
        case _:
            pass


def end(fault: Fault, implant: Implant) -> None:
    """Undo what must be undone when a fault of the implant is over."""
    match fault.kind:
        case Kind.BROWN_OUT:
            implant.restart("powered up after a brown-out")
        case Kind.OVERHEAT:
            implant.monitor.vitals.extra_mw -= fault.size
        case _:
            pass
