"""The implant's own limits, checked again after the guard, in integers and in the implant's own words."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from prosthesis.config import MAX_TILES, Rig, Tier
from prosthesis.messages import U8, Refusal, readonly
from prosthesis.stimulator.profile import capabilities
from prosthesis.wire import Configuration, Modulated

I64 = npt.NDArray[np.int64]
NO_LIMIT = np.iinfo(np.int64).max // 4


@dataclass(frozen=True, slots=True)
class ImplantLimits:
    """What this hardware never exceeds: nA and fC per electrode, totals per raster slot, the DAC's codes, and timing.

    ``density_fc`` is i64[n]: what charge density and Shannon's law allow on each electrode's own area.
    ``compliance_na`` i64[n] is what the supply's voltage can drive: by the contacts' nominal impedance, until an
    implant puts what its self-test has learnt in its place. ``waveforms`` and ``commands`` are the bank and the longest
    program of a device of programs. The average charge needs a memory and is the guard's.
    """

    amplitude_na: int
    charge_fc: int
    density_fc: I64
    compliance_na: I64
    slot_na: int
    slot_count: int
    bits: int
    lsb_na: int
    rate_mhz: tuple[int, int]
    width_us: tuple[int, int]
    interphase_us: tuple[int, int]
    recovery_us: int
    waveforms: int
    commands: int


def implant_limits(rig: Rig) -> ImplantLimits:
    """Return the hard limits of the rig's stimulator and array; what only advises is the device's business."""
    tiers = (rig.stimulator.limits.hard, rig.array.limits.hard)
    rate = min(_least(tiers, "rate_hz"), rig.stimulator.rate_hz[1])
    slot, c = _least(tiers, "slot_current_ua"), capabilities(rig.stimulator)
    programs = c.style == "program"
    return ImplantLimits(
        amplitude_na=min(rig.stimulator.full_scale_na, _scaled(_least(tiers, "amplitude_ua"), 1e3)),
        charge_fc=_scaled(_least(tiers, "charge_per_phase_nc"), 1e6),
        density_fc=np.array([_density_fc(rig, tiers, area_um2) for area_um2 in rig.areas_um2], np.int64),
        compliance_na=np.full(
            rig.electrodes, int(1e6 * rig.stimulator.compliance_v / rig.array.contact.impedance_kohm), np.int64
        ),
        slot_na=_scaled(slot, 1e3),
        slot_count=int(min(_least(tiers, "simultaneous"), rig.electrodes)),
        bits=rig.stimulator.dac_bits,
        lsb_na=rig.stimulator.lsb_na,
        rate_mhz=(int(rig.stimulator.rate_hz[0] * 1000), int(rate * 1000)),
        width_us=rig.stimulator.pulse_width_us,
        interphase_us=rig.stimulator.interphase_us,
        recovery_us=rig.stimulator.recovery_us,
        waveforms=c.waveforms if programs else NO_LIMIT,
        commands=c.commands if programs else NO_LIMIT,
    )


def _density_fc(rig: Rig, tiers: tuple[Tier, ...], area_um2: float) -> int:
    # uC/cm2 x um2 = 1e-8 uC = 10 fC
    density_fc = _scaled(_least(tiers, "charge_density_uc_per_cm2"), 10 * area_um2)
    if rig.array.contact.scale == "micro":
        return density_fc
    # Shannon 1992, log D = k - log Q: (Q / uC)^2 = 10^k area / cm2, and 1 uC = 1e9 fC
    shannon_uc = (10 ** _least(tiers, "shannon_k") * area_um2 * 1e-8) ** 0.5
    return min(density_fc, _scaled(shannon_uc, 1e9))


def _least(tiers: tuple[Tier, ...], name: str) -> float:
    limits = [getattr(tier, name) for tier in tiers]
    return min((limit.value for limit in limits if limit is not None), default=float("inf"))


def _scaled(value: float, unit: float) -> int:
    # a limit such as 0.1 * 1e3 must not fall one integer short by its binary rounding
    return NO_LIMIT if value == float("inf") else int(value * unit * (1 + 1e-12))


def refuse_configuration(configuration: Configuration, limits: ImplantLimits, electrodes: int) -> Refusal:
    """Return why ``configuration`` cannot be obeyed at all, or NONE."""
    if configuration.electrodes != electrodes:
        return Refusal.LAYOUT
    if -(-electrodes // configuration.tile_electrodes) > MAX_TILES:
        return Refusal.LAYOUT
    by_rate, codes = configuration.modulated is Modulated.RATE, (configuration.bits, configuration.lsb)
    if not by_rate and codes != (limits.bits, limits.lsb_na):
        return Refusal.CODE_RANGE
    if by_rate and (configuration.amplitude_na % limits.lsb_na).any():
        return Refusal.CODE_RANGE
    width = configuration.pulse_width_us.astype(np.int64)
    if not limits.width_us[0] <= width.min() <= width.max() <= limits.width_us[1]:
        return Refusal.TIMING
    if not limits.interphase_us[0] <= configuration.interphase_us <= limits.interphase_us[1]:
        return Refusal.TIMING
    pulse_us = 2 * int(width.max()) + configuration.interphase_us + limits.recovery_us
    sweep_us = (int(configuration.slot.max()) + 1) * configuration.slot_us
    slowest, fastest = int(configuration.rate_mhz.min()), int(configuration.rate_mhz.max())
    if slowest < limits.rate_mhz[0] or fastest > limits.rate_mhz[1]:
        return Refusal.TIMING
    if pulse_us > configuration.slot_us or sweep_us * fastest > 10**9:
        return Refusal.TIMING
    if by_rate:
        asked = refuse_electrodes(configuration.amplitude_na.astype(np.int64), configuration, limits)
        return Refusal(int(asked.max()))
    return Refusal.NONE


def refuse_electrodes(amplitude_na: I64, configuration: Configuration, limits: ImplantLimits) -> U8:
    """Return a ``Refusal`` per electrode, u8[n], for asked amplitudes i64[n]; 0 where they may be delivered.

    A slot that exceeds its total current or count is refused whole, and so is a pattern of more waveforms or commands
    than the device has: which electrodes to spare is not the implant's to choose.
    """
    refusal = np.zeros(len(amplitude_na), np.uint8)
    own, most = (limits.compliance_na, limits.density_fc), (limits.charge_fc, limits.amplitude_na)
    most_in_slot, width, slot = (limits.slot_count, limits.slot_na), configuration.pulse_width_us, configuration.slot
    _refuse(amplitude_na, width, slot, own, most, most_in_slot, refusal)
    if limits.waveforms < NO_LIMIT:
        played = np.flatnonzero((amplitude_na > 0) & (refusal == 0))
        if not _playable(amplitude_na[played], slot[played], width[played], limits):
            refusal[played] = Refusal.PROGRAM
    return refusal


def _playable(amplitude_na: I64, slot: U8, width_us: npt.NDArray[np.uint16], limits: ImplantLimits) -> bool:
    """Tell whether one sweep of these electrodes fits the bank and the program, a wait at its end included."""
    waveforms = len(np.unique(np.stack([amplitude_na, width_us.astype(np.int64)]), axis=1).T)
    groups = np.bincount(slot)
    commands = int(groups.sum()) + 2 * int(np.count_nonzero(groups > 1)) + 1
    return waveforms <= limits.waveforms and commands <= limits.commands


_COMPLIANCE, _DENSITY, _CHARGE, _AMPLITUDE = (
    int(code) for code in (Refusal.COMPLIANCE, Refusal.CHARGE_DENSITY, Refusal.CHARGE, Refusal.AMPLITUDE)
)
_SLOT_COUNT, _SLOT_CURRENT = int(Refusal.SLOT_COUNT), int(Refusal.SLOT_CURRENT)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _refuse(
    amplitude_na: I64,
    width_us: npt.NDArray[np.uint16],
    slot: U8,
    own: tuple[I64, I64],
    most: tuple[int, int],
    most_in_slot: tuple[int, int],
    refusal: U8,
) -> None:
    total_na, count = np.zeros(256, np.int64), np.zeros(256, np.int64)
    for n in range(len(amplitude_na)):
        amplitude = amplitude_na[n]
        charge_fc = amplitude * np.int64(width_us[n])
        total_na[slot[n]] += amplitude
        count[slot[n]] += amplitude > 0
        if amplitude > most[1]:
            refusal[n] = _AMPLITUDE
        elif charge_fc > most[0]:
            refusal[n] = _CHARGE
        elif charge_fc > own[1][n]:
            refusal[n] = _DENSITY
        elif amplitude > own[0][n]:
            refusal[n] = _COMPLIANCE
    for n in range(len(amplitude_na)):
        if amplitude_na[n] > 0 and refusal[n] == 0:
            if total_na[slot[n]] > most_in_slot[1]:
                refusal[n] = _SLOT_CURRENT
            elif count[slot[n]] > most_in_slot[0]:
                refusal[n] = _SLOT_COUNT


def warm_up() -> None:
    """Compile ``refuse_electrodes``, before time matters."""
    none, zero = readonly(np.zeros(1), np.uint8), np.zeros(1, np.int64)
    _refuse(zero, readonly(none, np.uint16), none, (zero, zero), (0, 0), (0, 0), np.zeros(1, np.uint8))
