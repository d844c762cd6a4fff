"""Hop 7, the implant emulator: sealed packets in, charge-balanced pulses out, silent unless told and fed.

It tests itself, starts silent, needs a configuration, ARM and fresh frames, checks its own limits, and falls silent by
itself: no new pulses when the last pattern's time to live is over (HOLD), outputs off 250 ms after the last valid frame
(SAFE), for good when charge is left behind, its memory is corrupt or it grows too warm (LOCKED).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from prosthesis.config import MAX_TILES, Rig
from prosthesis.messages import (
    SAFE_AFTER_MS,
    Delivered,
    ImplantState,
    Receipt,
    Refusal,
    Telemetry,
    readonly,
)
from prosthesis.sealing import Sealing
from prosthesis.wire import (
    Configuration,
    Header,
    Modulated,
    PacketType,
    Sealer,
    WireError,
    check_tile,
    read_header,
    read_tiles,
)
from prosthesis_sim.frontend import F64, FrontEnd
from prosthesis_sim.journal import Journal
from prosthesis_sim.limits import implant_limits, refuse_configuration, refuse_electrodes
from prosthesis_sim.limits import warm_up as warm_up_limits
from prosthesis_sim.monitor import Monitor
from prosthesis_sim.monitor import Outputs as Outputs
from prosthesis_sim.raster import Raster
from prosthesis_sim.raster import warm_up as warm_up_raster

NS_PER_MS = 1_000_000
FRAMES_TO_REARM = 10
WATCHDOG_NS = 100 * NS_PER_MS
DRIVING = (ImplantState.ARMED, ImplantState.STIMULATING, ImplantState.HOLD)
MAX_NS = 1 << 63  # as in every message but the air frame, whose times are unsigned


class Implant:
    """One implant; every method takes the implant's clock, so it runs as well in simulated time.

    ``sealer`` and ``session`` are set by ``ImplantDoor`` when a device opens a session; ``impedance`` f64[n] multiplies
    the contacts' nominal one.
    """

    def __init__(self, rig: Rig, now_ns: int, impedance: F64 | None = None) -> None:
        self._limits, self._sealing = implant_limits(rig), Sealing(rig.link.sealing)
        self.electrodes = rig.electrodes
        self.front = FrontEnd(rig, impedance)
        self.monitor = Monitor(rig, self.front, now_ns)
        self.state, self.reason = ImplantState.SELF_TEST, "powered up"
        self._changes: list[tuple[ImplantState, str]] = []
        self.journal = Journal(lambda: self._t_ns)
        self._t_ns = now_ns
        self._refused = [0] * len(Refusal)
        self._accepted = self._uplinks = self.skipped = 0
        self._seq = self.capture_ns = 0
        self._charge_fc = np.zeros(rig.electrodes, np.int64)
        self._rate_mhz = np.zeros(rig.electrodes, np.int64)
        self._width_us = np.zeros(rig.electrodes, np.int64)
        self._hung_ns = 1 << 62
        self._codes = np.zeros(rig.electrodes, np.uint16)
        self.adopt(0, None)
        warm_up_limits()  # compiled now: the first pattern must not wait for it
        warm_up_raster()
        self._power_up("powered up")

    # the session

    def adopt(self, session: int, sealer: Sealer | None) -> None:
        """Obey this session and no other: nothing is configured, everything is silent."""
        self.session, self.sealer = session, sealer
        self.offset_ns = 0
        self._configuration: Configuration | None = None
        self._shown_width_us = readonly(np.zeros(self.electrodes), np.float32)
        self._slot = readonly(np.zeros(self.electrodes), np.uint8)
        self._profile = 0
        self._last_seq = np.zeros(MAX_TILES + 1, np.int64)
        self._expires_ns: list[int] = []
        self._last_valid_ns = self._t_ns
        self._silence()
        if self.state in DRIVING:
            self._become(ImplantState.SAFE, "another session was opened")

    def configure(self, configuration: Configuration) -> Refusal:
        """Take the parameters that frames are read by; outputs stop until armed again."""
        limits = replace(self._limits, compliance_na=self.front.most_na(configuration.pulse_width_us))
        refusal = refuse_configuration(configuration, limits, self.electrodes)
        if refusal is Refusal.NONE:
            self._limits = limits
            self._silence()
            if self.state in DRIVING:
                self._become(ImplantState.SAFE, "reconfigured")
            self._configuration, self._profile = configuration, configuration.profile
            self._width_us = configuration.pulse_width_us.astype(np.int64)
            self._rate_mhz = configuration.rate_mhz.astype(np.int64)
            self._raster = Raster(configuration, self._t_ns)
            self.monitor.forget()
            tiles = -(-self.electrodes // configuration.tile_electrodes)
            self._codes = np.zeros(tiles * configuration.tile_electrodes, np.uint16)
            self._expires_ns = [0] * tiles
            self._shown_width_us, self._slot = readonly(configuration.pulse_width_us, np.float32), configuration.slot
        return refusal

    def arm(self) -> Refusal:
        """Be ready to stimulate with the next valid frame; after a stop only once ten have been seen."""
        if self.state is ImplantState.LOCKED:
            return Refusal.LOCKED
        if self._configuration is None:
            return Refusal.CONFIGURATION
        if self.state in (ImplantState.SAFE, ImplantState.STOPPED) and self._ready < FRAMES_TO_REARM:
            return Refusal.NOT_READY
        if self.state in (ImplantState.SILENT, ImplantState.SAFE, ImplantState.STOPPED):
            self._last_valid_ns = self._t_ns
            self._become(ImplantState.ARMED, "armed by host")
        return Refusal.NONE

    def stop(self, reason: str) -> None:
        """Be silent now; always obeyed. A powered-up or locked implant stays what it is."""
        self._silence()
        if self.state not in (ImplantState.SILENT, ImplantState.LOCKED):
            self._become(ImplantState.STOPPED, reason)

    def lock(self, reason: str) -> None:
        """Be silent and stay so until ``reset``."""
        self._silence()
        self._become(ImplantState.LOCKED, reason)

    def reset(self) -> None:
        """Leave LOCKED, as if powered up."""
        if self.state is ImplantState.LOCKED:
            self._power_up("reset by host")

    def self_test(self, reason: str) -> Refusal:
        """Test the sources into a dummy load and learn the electrodes' impedances; LOCKED when something is wrong."""
        if self.state in DRIVING:
            return Refusal.NOT_READY
        if self.state is ImplantState.LOCKED:
            return Refusal.LOCKED
        self._power_up(reason)
        return Refusal.NONE

    def _power_up(self, reason: str) -> None:
        """Test itself, which takes no time here; a fault locks."""
        self._become(ImplantState.SELF_TEST, reason)
        fault = self.front.self_test()
        if fault:
            self._become(ImplantState.LOCKED, f"self-test failed: {fault}")
            return
        self.front.learn()
        self._become(ImplantState.SILENT, reason)

    def restart(self, reason: str) -> None:
        """Lose configuration and session, as at a loss of power; LOCKED is remembered."""
        self._hung_ns = 1 << 62
        self.adopt(0, None)
        self.front.left_nc[:] = 0.0
        if self.state is not ImplantState.LOCKED:
            self._power_up(reason)

    def hang(self) -> None:
        """Stop computing, as by a fault: what is driven goes on until the watchdog restarts everything."""
        self._hung_ns = self._t_ns

    @property
    def hung(self) -> bool:
        """Whether it computes nothing, and answers nobody."""
        return self._hung_ns < 1 << 62

    def flip_bit(self, electrode: int) -> None:
        """Corrupt the configuration memory, as by a fault: one electrode's pulse width."""
        self._width_us[electrode] ^= 16
        if self._configuration is not None:
            width = readonly(self._width_us, np.uint16)
            self._configuration = replace(self._configuration, pulse_width_us=width)

    # patterns

    def receive(self, packets: Sequence[bytes], now_ns: int) -> bool:
        """Take the packets of one message; return whether any output may have changed."""
        if self.hung:
            return False
        tiles = []
        for packet in packets:
            try:
                tile = self._open(packet, now_ns)
            except WireError as error:
                self._refused[error.refusal] += 1
                continue
            if tile is not None:
                tiles.append(tile)
        if not tiles or self._configuration is None:
            return False
        return self._obey(tiles, self._configuration, now_ns)

    def _open(self, packet: bytes, now_ns: int) -> tuple[Header, bytes] | None:
        header = read_header(packet, self._sealing)
        if header.type is PacketType.STOP:
            self.journal.note("stop")
            self.stop("STOP received")
            return None
        if header.type is not PacketType.PATTERN:
            raise WireError(Refusal.TYPE)
        if self.sealer is None:
            raise WireError(Refusal.SESSION)
        header, payload = self.sealer.open(packet)
        configuration = self._configuration
        if configuration is None or header.profile != self._profile:
            raise WireError(Refusal.CONFIGURATION)
        if header.tile * configuration.tile_electrodes >= self.electrodes:
            raise WireError(Refusal.LAYOUT)
        check_tile(header, payload, configuration.bits, configuration.tile_electrodes)
        if header.seq <= self._last_seq[header.tile]:
            raise WireError(Refusal.REPLAYED)
        # a capture in the future would outlive every time to live
        if header.t_ns >= MAX_NS or abs(now_ns - (header.t_ns + self.offset_ns)) > self._ttl_ns(header):
            raise WireError(Refusal.STALE)
        self._last_seq[header.tile] = header.seq
        return header, payload

    def _ttl_ns(self, header: Header) -> int:
        return min(header.ttl_ms, SAFE_AFTER_MS) * NS_PER_MS

    def _obey(self, tiles: list[tuple[Header, bytes]], configuration: Configuration, now_ns: int) -> bool:
        self._last_valid_ns = now_ns
        self.journal.tiles((header for header, _ in tiles), now_ns)
        if self.state not in DRIVING:
            self._ready += 1
            self._refused[Refusal.NOT_ARMED] += len(tiles)
            return False
        codes = read_tiles(tiles, configuration.bits, configuration.tile_electrodes)
        for (header, _), values in zip(tiles, codes, strict=True):
            start = header.tile * configuration.tile_electrodes
            self._codes[start : start + configuration.tile_electrodes] = values
            self._expires_ns[header.tile] = (header.t_ns + self.offset_ns) + self._ttl_ns(header)
        self._apply(configuration)
        self._accepted += len(tiles)
        newest = max((header for header, _ in tiles), key=lambda header: header.seq)
        self._seq, self.capture_ns = newest.seq, newest.t_ns
        if self.state is not ImplantState.STIMULATING:
            self._become(ImplantState.STIMULATING, "fresh frames")
        return True

    def _apply(self, configuration: Configuration) -> None:
        """Turn the codes in force into what each electrode is driven with."""
        value = self._codes[: self.electrodes].astype(np.int64) * configuration.lsb
        if configuration.modulated is Modulated.RATE:
            self._rate_mhz = np.minimum(value, configuration.rate_mhz)
            self._raster.set_rates(self._rate_mhz)
            value = np.where(value > 0, configuration.amplitude_na, 0).astype(np.int64)
        self._refusal = refuse_electrodes(value, configuration, self._limits)
        self._refusal[(value > 0) & (self._rate_mhz < self._limits.rate_mhz[0])] = Refusal.TIMING
        np.copyto(self._refusal, self.monitor.barred, where=(self.monitor.barred > 0) & (value > 0))
        self._amplitude_na = np.where(self._refusal == 0, value, 0) if self._refusal.any() else value
        self.front.drive(self._amplitude_na, self._width_us, configuration.interphase_us)
        self._refusal[(self._refusal == 0) & self.front.clipped] = Refusal.COMPLIANCE

    # time

    def advance(self, until_ns: int) -> list[Delivered]:
        """Let time pass to ``until_ns`` and return what was delivered, split where an output fell silent by itself."""
        pieces = []
        self._watch()  # time may have run ahead of a deadline that came with the last frame
        while self._t_ns < until_ns:
            pieces.append(self._deliver(min(until_ns, self._next_deadline_ns())))
            self._watch()
        return pieces

    def shows_ns(self, now_ns: int) -> int:
        """Return until when time must run for a new pattern to show: one pulse period at the fastest configured rate.

        Never into a deadline, which the next frame may put off.
        """
        if self.state is not ImplantState.STIMULATING or self._configuration is None:
            return now_ns
        period_ns = int(1e12 / max(int(self._configuration.rate_mhz.max()), 1))
        return max(now_ns, min(now_ns + period_ns, self._next_deadline_ns() - 1))

    def _next_deadline_ns(self) -> int:
        if self.hung:
            return self._hung_ns + WATCHDOG_NS
        deadlines = [self._last_valid_ns + SAFE_AFTER_MS * NS_PER_MS]
        if self.state is ImplantState.STIMULATING:
            deadlines += self._expires_ns
            if not self.front.sound:  # whatever is wrong must be noticed within one period
                deadlines.append(self._t_ns + self._raster.period_ns)
        return min((t for t in deadlines if t > self._t_ns), default=1 << 62)

    def _deliver(self, until_ns: int) -> Delivered:
        t0_ns, dt_ns = self._t_ns, until_ns - self._t_ns
        self._t_ns = until_ns
        n, configuration = self.electrodes, self._configuration
        pulses, amplitude_ua = np.zeros(n, np.int32), self.front.amplitude_ua
        if configuration is not None:
            self._raster.pulses(t0_ns, until_ns, self._amplitude_na, pulses)
            pulses = self.front.routed(pulses)
        charge_fc, why = self.monitor.account(pulses, self._width_us, self._rate_mhz, dt_ns)
        self._charge_fc += charge_fc
        if why is not None and self.state is not ImplantState.LOCKED:
            self.lock(why)
        self._look()
        shown = (amplitude_ua, self._shown_width_us, readonly(pulses, np.int32), self._slot)
        return Delivered(self._seq, self.capture_ns, t0_ns, dt_ns, *shown)

    def _look(self) -> None:
        """Check memory and electrodes, now and then."""
        if self.hung or self._configuration is None or not self.monitor.looks(self._t_ns):
            return
        if self._configuration.profile != self._profile:
            self.lock("configuration memory is corrupt")
        elif self.state is ImplantState.STIMULATING and self.monitor.bar():
            self._apply(self._configuration)

    def _watch(self) -> None:
        if self.hung:
            if self._t_ns >= self._hung_ns + WATCHDOG_NS:
                self.restart("restarted by its watchdog")
            return
        if self.state is ImplantState.STIMULATING and min(self._expires_ns) <= self._t_ns:
            self._expire()
        if self._t_ns - self._last_valid_ns >= SAFE_AFTER_MS * NS_PER_MS:
            self._ready = 0
            if self.state in DRIVING:
                self._silence()
                self._become(ImplantState.SAFE, f"no valid frame for {SAFE_AFTER_MS} ms")

    def _expire(self) -> None:
        """Silence the tiles whose time to live is over; HOLD when no other is left."""
        configuration = self._configuration
        if configuration is None:
            return
        size = configuration.tile_electrodes
        expired = [tile for tile, expires_ns in enumerate(self._expires_ns) if expires_ns <= self._t_ns]
        for tile in expired:
            self._codes[tile * size : (tile + 1) * size] = 0
        self._apply(configuration)
        if len(expired) == len(self._expires_ns):
            self._become(ImplantState.HOLD, "no fresh frame within its time to live")

    def _silence(self) -> None:
        """Drive nothing, and count anew the valid frames that must come before arming."""
        self._ready = 0
        self._codes = np.zeros_like(self._codes)
        self.front.rest()
        self._amplitude_na = np.zeros(self.electrodes, np.int64)
        self._refusal = np.zeros(self.electrodes, np.uint8)

    def _become(self, state: ImplantState, reason: str) -> None:
        self.state, self.reason = state, reason
        self._changes.append((state, reason))

    # what flows back

    def outputs(self) -> Outputs:
        """Return what decides everything an electrode will do if nothing more is received."""
        expires = tuple(self._expires_ns)
        return Outputs(self.state, self._amplitude_na.copy(), self._rate_mhz.copy(), expires, self._last_valid_ns)

    def changes(self) -> list[tuple[ImplantState, str]]:
        """Return the states entered since last asked, in order, each with its reason."""
        changes, self._changes = self._changes, []
        return changes

    def receipt(self) -> Receipt:
        """Return what was delivered since the last receipt."""
        charge_pc, self._charge_fc = self._charge_fc // 1000, self._charge_fc % 1000
        return Receipt(self._seq, self.capture_ns, readonly(charge_pc, np.int64), readonly(self._refusal, np.uint8))

    def telemetry(self, now_ns: int) -> Telemetry:
        """Return the implant's health."""
        vitals = self.monitor.vitals
        left_ms = max(0, (self._last_valid_ns - self._t_ns) // NS_PER_MS + SAFE_AFTER_MS)
        session = (self.session, self._accepted, tuple(self._refused), self.skipped)
        health = (vitals.power_mw, vitals.warming_c, self.monitor.left_pc(), left_ms)
        return Telemetry(self._seq, now_ns, self.state, self.reason, *session, *health)

    def seal_up(self, kind: PacketType, payload: bytes) -> bytes | None:
        """Seal one uplink packet under its own running number; ``None`` while there is no session."""
        if self.sealer is None:
            return None
        self._uplinks += 1
        return self.sealer.seal(Header(kind, self.session, self._uplinks, self._t_ns), payload)
