"""What a rig can do and where its parts conflict, on one screen, before anything is switched on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from prosthesis.airtime import AirTime
from prosthesis.bundles.bundle import load_bundle
from prosthesis.config import Limit, Rig, load_rig, slot_us
from prosthesis.errors import ProsthesisError
from prosthesis.layout import raster_slots
from prosthesis.limits import Cap, guard_limits
from prosthesis.modulator import PulseModulator
from prosthesis.wire import OVERHEAD_BYTES

F64 = npt.NDArray[np.float64]
PROBLEM = "! "


def check(rig_name: str) -> list[str]:
    """Return the facts of a rig, one a line; lines that start with ``PROBLEM`` say what will not work as wanted.

    Raises ``ConfigError`` when a part is wrong in itself or the parts cannot work together at all.
    """
    rig = load_rig(rig_name)
    parts = (_identity, _coverage, _raster, _limits, _dose, _link, _encoder)
    return [line for part in parts for line in part(rig)]


def _line(name: str, text: str) -> str:
    return f"{name:12}{text}"


def _identity(rig: Rig) -> Iterator[str]:
    array, made = rig.array, rig.calibration.made
    yield _line(rig.config.name, rig.config.summary)
    yield _line("file", str(rig.path))
    count = len(rig.config.implant.placements)
    small, large = min(array.areas_um2), max(array.areas_um2)
    area = f"{small:.0f}" if small == large else f"{small:.0f} to {large:.0f}"
    contact = f"{area} um2 {array.contact.material}"
    enabled = int(rig.calibration.column("enabled").sum())
    yield _line("electrodes", f"{rig.electrodes} on {count} x {array.name} ({contact}), {enabled} enabled")
    yield _line("stimulator", f"{rig.stimulator.name}: {rig.stimulator.dac_bits} bits of {rig.stimulator.lsb_na} nA")
    yield _line("calibration", f"{rig.calibration.digest}, {made.date}, {made.method}")
    if not enabled:
        yield f"{PROBLEM}no electrode is enabled; calibrate this patient again"


def _coverage(rig: Rig) -> Iterator[str]:
    on = rig.calibration.column("enabled").astype(bool)
    if not on.any():
        return
    x, y, sigma = (rig.calibration.column(name)[on] for name in ("x_deg", "y_deg", "rf_sigma_deg"))
    view = rig.config.view
    yield _line(
        "coverage",
        f"x {x.min():+.2f} to {x.max():+.2f} deg, y {y.min():+.2f} to {y.max():+.2f} deg; "
        f"median receptive field sigma {np.median(sigma):.2f} deg; view {view.mode}",
    )


def _raster(rig: Rig) -> Iterator[str]:
    modulator = rig.config.modulator
    groups, length = modulator.raster_groups, slot_us(rig)
    slot = raster_slots(rig.array, len(rig.config.implant.placements), groups, modulator.raster_order)
    fullest = int(np.bincount(slot, minlength=groups).max())
    yield _line(
        "raster",
        f"{groups} slots x {length} us = {groups * length} of {1e6 / modulator.rate_hz:.0f} us "
        f"({modulator.rate_hz:g} Hz); at most {fullest} electrodes together",
    )
    limits = guard_limits(rig)
    maximum = np.where(limits.enabled, rig.calibration.column("max_ua"), 0.0)
    if fullest > limits.hard.simultaneous:
        most = f"at most {limits.hard.simultaneous:g} may be; use more groups"
        yield f"{PROBLEM}a full slot has {fullest} electrodes, {most}"
    total = float(np.bincount(slot, maximum, groups).max())
    if total > limits.hard.slot_current_ua:
        scaled = f"the guard scales it to {limits.hard.slot_current_ua:.0f} uA"
        yield _line("", f"a slot all at max_ua draws {total:.0f} uA; {scaled}")


def _limits(rig: Rig) -> Iterator[str]:
    """Every limit that a pulse at an electrode's ``max_ua`` could meet, and how many electrodes would."""
    limits, width_us = guard_limits(rig), rig.config.modulator.pulse_width_us
    maximum = rig.calibration.column("max_ua")[limits.enabled]
    if not len(maximum):
        return
    charge = maximum * width_us * 1e-3
    at = f"max_ua {maximum.min():.0f} to {maximum.max():.0f} uA x {width_us} us"
    yield _line("charge", f"{at} = {charge.min():.2f} to {charge.max():.2f} nC a phase")
    for cap in sorted(limits.caps, key=lambda cap: cap.tier == "advisory"):
        if cap.rule == "calibrated maximum":
            continue
        ceiling = np.minimum(cap.current_ua, np.asarray(cap.charge_nc) * 1e3 / width_us)
        ceiling = np.broadcast_to(ceiling, limits.enabled.shape)[limits.enabled]
        over = int(np.count_nonzero(maximum > ceiling))
        yield _line(cap.tier, _limit_text(cap, float(ceiling.min()), over, len(maximum)))


def _limit_text(cap: Cap, ceiling_ua: float, over: int, electrodes: int) -> str:
    verb = "would be limited" if cap.tier == "hard" else "would be reported"
    limit = f"{cap.rule} {cap.limit:g} {cap.unit}"
    return f"{limit:34} = {ceiling_ua:6.1f} uA; {over} of {electrodes} {verb} at max_ua"


def _dose(rig: Rig) -> Iterator[str]:
    modulator = rig.config.modulator
    maximum = float(np.where(rig.calibration.column("enabled") > 0, rig.calibration.column("max_ua"), 0.0).max())
    flow = maximum * modulator.pulse_width_us * modulator.rate_hz * 1e-3
    for tier, limit in _averages(rig):
        times = f"{flow / limit.value:.0f} times" if flow > limit.value else "within"
        yield _line("dose", f"{flow:.0f} nC/s at the largest max_ua without pause: {times} {tier} {limit.value:g} nC/s")


def _averages(rig: Rig) -> Iterator[tuple[str, Limit]]:
    for limits in (rig.array.limits, rig.stimulator.limits):
        for name, tier in (("the hard limit", limits.hard), ("the advisory", limits.advisory)):
            if tier.average_charge_nc_per_s:
                yield name, tier.average_charge_nc_per_s


def _link(rig: Rig) -> Iterator[str]:
    """Compare the largest frame, all tiles dense, with the air's bit rate."""
    link, fps = rig.link, rig.config.camera.fps
    tiles = -(-rig.electrodes // link.tile_electrodes)
    size = tiles * (OVERHEAD_BYTES + link.tile_electrodes * PulseModulator(rig).configuration.bits // 8)
    wanted_kbps = size * 8 * fps / 1000
    budget = f"{tiles} tile(s), {size} B a frame at most, {wanted_kbps:.1f} kbit/s at {fps:g} fps"
    if link.radio.rate_kbps is None:
        yield _line("link", f"{link.name} to {link.host}:{link.port}: {budget}, no radio limit; ttl {link.ttl_ms} ms")
        return
    air_ms = AirTime(PulseModulator(rig).configuration, link.radio, link.air_ms).longest_ms()
    yield _line("link", f"{link.name} to {link.host}:{link.port}: {budget} of {link.radio.rate_kbps:g} kbit/s")
    late_ms = air_ms + link.radio.delay_ms
    yield _line("", f"{air_ms:.1f} ms on the air + {link.radio.delay_ms:g} ms delay; ttl {link.ttl_ms} ms")
    if link.air_ms is not None and air_ms > link.air_ms:
        yield _line("", f"air_ms {link.air_ms:g}: the weakest electrodes of a fuller pattern are silenced")
        return
    if wanted_kbps > link.radio.rate_kbps:
        fit_fps = link.radio.rate_kbps * 1000 / (size * 8)
        yield f"{PROBLEM}the radio cannot carry every dense frame; use at most {fit_fps:.0f} fps or a faster link"
    if late_ms > link.ttl_ms:
        yield f"{PROBLEM}a frame arrives after {late_ms:.0f} ms but lives {link.ttl_ms} ms; use a faster link"


def _encoder(rig: Rig) -> Iterator[str]:
    name = rig.config.encoder.model
    try:
        manifest = load_bundle(name).manifest
    except ProsthesisError as error:
        yield f"{PROBLEM}{rig.path}: key 'encoder.model': {error}"
    else:
        yield _line("encoder", f"{name}: {manifest.summary}")
