"""What the guard enforces and what it only reports, collected from a rig: limits on single pulses, slots and doses."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from prosthesis.config import Rig, Tier, slot_us
from prosthesis.messages import SAFE_AFTER_MS

F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
COMPLIANCE_MARGIN = 0.9


@dataclass(frozen=True, slots=True)
class Cap:
    """One limit on a single electrode's pulse: ``current_ua`` or ``charge_nc`` is finite, each a number or f64[n].

    ``limit`` (the least of all electrodes) and ``unit`` are the rule's own; times ``in_unit``, a value is in that unit.
    """

    rule: str
    tier: str
    limit: float
    unit: str
    current_ua: float | F64
    charge_nc: float | F64
    in_unit: float | F64


@dataclass(frozen=True, slots=True)
class Totals:
    """One tier's limits on what is no single pulse; infinite where the tier has none.

    ``net_current_na`` is the direct current that an electrode may be left with where its phases do not quite balance;
    ``slot_current_ua`` and ``simultaneous`` hold in each raster slot, ``total_current_ua`` for a whole sweep.
    ``average_nc_per_s`` holds for each electrode, ``array_nc_per_s`` for all together, both as leaky buckets.
    """

    rate_hz: float = math.inf
    net_current_na: float = math.inf
    slot_current_ua: float = math.inf
    simultaneous: float = math.inf
    total_current_ua: float = math.inf
    average_nc_per_s: float = math.inf
    array_nc_per_s: float = math.inf
    session_uc: float = math.inf


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """Everything the guard enforces and reports on n electrodes; built by ``guard_limits`` from a rig.

    ``hold_s`` is how long the implant obeys a pattern that no other follows; ``mismatch`` the share of a phase's charge
    by which the second may differ.
    """

    caps: tuple[Cap, ...]
    hard: Totals
    advisory: Totals
    enabled: Mask
    lsb_ua: float
    slots: int
    mismatch: float
    hold_s: float


def guard_limits(rig: Rig) -> GuardLimits:
    """Collect a rig's limits: the array's charge limits, the stimulator's currents, the calibration's maxima."""
    hard = (rig.array.limits.hard, rig.stimulator.limits.hard)
    advisory = (rig.array.limits.advisory, rig.stimulator.limits.advisory)
    tiers = [(tier, "hard") for tier in hard] + [(tier, "advisory") for tier in advisory]
    caps = [cap for tier, name in tiers for cap in _caps(rig, tier, name)]
    maximum, full_scale_ua = rig.calibration.column("max_ua"), rig.stimulator.full_scale_na / 1000
    caps.append(_current_cap("calibrated maximum", "hard", float(maximum.max()), maximum))
    caps.append(_compliance(rig, min(COMPLIANCE_MARGIN, _least(hard, "compliance_share")), "hard"))
    caps.append(_current_cap("full scale", "hard", full_scale_ua, full_scale_ua))
    period_hz = 1e6 / (rig.config.modulator.raster_groups * slot_us(rig))
    fastest = min(period_hz, rig.stimulator.rate_hz[1], _least(hard, "rate_hz"))
    return GuardLimits(
        tuple(caps),
        replace(_totals(hard), rate_hz=fastest, simultaneous=min(rig.electrodes, _least(hard, "simultaneous"))),
        _totals(advisory),
        rig.calibration.column("enabled").astype(bool),
        rig.stimulator.lsb_na / 1000,
        rig.config.modulator.raster_groups,
        rig.stimulator.phase_mismatch,
        hold_s(rig),
    )


def hold_s(rig: Rig) -> float:
    """Return how long a pattern that no other follows is obeyed at most."""
    return min(rig.link.ttl_ms, SAFE_AFTER_MS) / 1000


def _totals(tiers: tuple[Tier, Tier]) -> Totals:
    return Totals(
        _least(tiers, "rate_hz"),
        _least(tiers, "net_current_na"),
        _least(tiers, "slot_current_ua"),
        _least(tiers, "simultaneous"),
        _least(tiers, "total_current_ua"),
        _least(tiers, "average_charge_nc_per_s"),
        _least(tiers, "array_charge_nc_per_s"),
        _least(tiers, "session_charge_uc"),
    )


def _least(tiers: tuple[Tier, Tier], name: str) -> float:
    limits = [getattr(tier, name) for tier in tiers]
    return min((limit.value for limit in limits if limit is not None), default=math.inf)


def _compliance(rig: Rig, share: float, tier: str) -> Cap:
    most_ua = share * 1e3 * rig.stimulator.compliance_v / rig.calibration.column("impedance_kohm")
    return _current_cap("compliance voltage", tier, float(most_ua.min()), most_ua)


def _current_cap(rule: str, tier: str, limit: float, current_ua: float | F64) -> Cap:
    return Cap(rule, tier, limit, "uA", current_ua, math.inf, 1.0)


def _caps(rig: Rig, tier: Tier, name: str) -> list[Cap]:
    areas_um2 = set(rig.areas_um2)
    area_cm2 = np.asarray(rig.areas_um2) * 1e-8 if len(areas_um2) > 1 else float(areas_um2.pop()) * 1e-8
    caps = []
    if limit := tier.amplitude_ua:
        caps.append(_current_cap("amplitude", name, limit.value, limit.value))
    if limit := tier.charge_per_phase_nc:
        caps.append(Cap("charge per phase", name, limit.value, "nC", math.inf, limit.value, 1.0))
    if limit := tier.charge_density_uc_per_cm2:
        per_nc = 1e-3 / area_cm2
        caps.append(Cap("charge density", name, limit.value, "uC/cm2", math.inf, limit.value / per_nc, per_nc))
    # Shannon 1992, log D = k - log Q; microelectrodes do not follow it (Cogan 2016)
    if (limit := tier.shannon_k) and rig.array.contact.scale == "macro":
        most_nc = 1e3 * np.sqrt(10**limit.value * area_cm2)
        caps.append(Cap("Shannon", name, float(most_nc.min()), "nC", math.inf, most_nc, 1.0))
    if (limit := tier.compliance_share) and name == "advisory":
        caps.append(_compliance(rig, limit.value, name))
    return caps
