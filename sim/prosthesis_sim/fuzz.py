"""The verb ``fuzz``: hostile patterns and packets through guard, wire and implant, and a judge that shares no code.

It joins both ends, like ``demo``. One frame is one pattern through the guard, one attack on the air, and (mostly) the
genuine message after it. *Accepted* is an attack that changed any output other than towards silence.
"""

from __future__ import annotations

import time
import traceback
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from prosthesis import __version__, control
from prosthesis.config import Limit, Limits, Rig, load_rig
from prosthesis.errors import LinkError
from prosthesis.glance import QuickGuard
from prosthesis.limits import guard_limits
from prosthesis.messages import ImplantState, Refusal, StimulationPattern
from prosthesis.modulator import PulseModulator
from prosthesis.sealing import Sealing
from prosthesis.session import Credentials, Session
from prosthesis.timing import ManualClock
from prosthesis.wire import HEADER_BYTES, PacketType, split
from prosthesis_sim.attacks import ATTACKS, Heard
from prosthesis_sim.door import ImplantDoor
from prosthesis_sim.hostile import PATTERNS, Hostile
from prosthesis_sim.implant import DRIVING, Implant, Outputs
from prosthesis_sim.oracle import Judge

NS_PER_MS = 1_000_000
START_NS = 1_000_000_000
# ms from frame to frame: mostly a camera's, at times jitter, a freeze, a lost link
STEPS_MS = (33, 33, 33, 33, 33, 20, 40, 1, 60, 90)
RARE_MS = (120, 300, 2000)
# how many frames a session lasts: where an attacker can make the numbers jump, nothing genuine is heard until the next
SESSION_FRAMES, WEAK_SESSION_FRAMES = 997, 50
SHOWN = 20


@dataclass(slots=True)
class Report:
    """What a campaign did and found; ``attacks`` name: tried, accepted, and refusals by code."""

    rig: str
    sealing: str
    frames: int
    seed: int
    version: str = __version__
    seconds: float = 0.0
    patterns: Counter[str] = field(default_factory=Counter)
    interventions: Counter[str] = field(default_factory=Counter)
    genuine_accepted: int = 0
    pulses: int = 0
    judged: int = 0
    violations: dict[str, int] = field(default_factory=dict)
    raised: int = 0
    tried: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    commands_tried: int = 0
    commands_accepted: int = 0
    locked: int = 0
    readable: bool = False
    crashes: list[str] = field(default_factory=list)
    matrix: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether nothing was found that must not be."""
        found = sum(self.violations.values()) + sum(self.accepted.values()) + self.commands_accepted + self.raised
        return not found and not self.crashes and not self.locked

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON's types."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**{k: dict(v) if isinstance(v, Counter) else v for k, v in plain.items()}, "clean": self.clean}


def tightened(rig: Rig) -> Rig:
    """Return ``rig`` with a hard limit of every kind that it has none of, low enough to be met."""
    source = "fuzz: chosen to be met often"
    n, stimulator = rig.electrodes, rig.stimulator
    wanted = {
        "net_current_na": 40.0,
        "average_charge_nc_per_s": 250.0,
        "array_charge_nc_per_s": 200.0 * n,
        "slot_current_ua": 0.2 * n * stimulator.full_scale_na / 1000 / rig.config.modulator.raster_groups,
        "total_current_ua": 0.15 * n * stimulator.full_scale_na / 1000,
    }
    hard = stimulator.limits.hard
    missing = {k: Limit(value=v, source=source) for k, v in wanted.items() if getattr(hard, k) is None}
    limits = Limits(hard=hard.model_copy(update=missing), advisory=stimulator.limits.advisory)
    return replace(rig, stimulator=stimulator.model_copy(update={"limits": limits}))


class Sender:
    """What of a device decides what it sends: guard and modulator, with the guard's memory."""

    def __init__(self, rig: Rig) -> None:
        self.modulator, self.guard = PulseModulator(rig), QuickGuard(guard_limits(rig))
        self.configuration, self._state = self.modulator.configuration, self.guard.initial()

    def codes(self, wanted: StimulationPattern, dt_s: float) -> npt.NDArray[np.uint16]:
        """Return the codes of what may be delivered, ``dt_s`` after the last."""
        allowed, _, self._state = self.guard.allow(wanted, self._state, dt_s)
        return self.modulator.codes(allowed)


class Bench:
    """A device and an implant at two ends of a table, under one judge, in simulated time; it is its session's link."""

    def __init__(self, rig: Rig, sealing: Sealing) -> None:
        rig = replace(rig, link=rig.link.model_copy(update={"sealing": sealing.value}))
        self.clock = ManualClock(START_NS)
        identity, device = X25519PrivateKey.generate(), X25519PrivateKey.generate()
        self.implant = Implant(rig, START_NS)
        allowed = frozenset([device.public_key().public_bytes_raw()])
        self.door = ImplantDoor(self.implant, identity, allowed, None, sealing)
        self.modulator, self.guard, self.judge = PulseModulator(rig), QuickGuard(guard_limits(rig)), Judge(rig)
        credentials = Credentials(device, identity.public_key().public_bytes_raw())
        configuration, ttl_ms = self.modulator.configuration, rig.link.ttl_ms
        self.session = Session(self, credentials, configuration, ttl_ms, self.clock, sealing)
        self.ttl_ms = ttl_ms
        self.commands: deque[bytes] = deque(maxlen=50)

    def send(self, data: bytes) -> bool:
        """Hand packets to the implant."""
        self.implant.receive(list(split(data)), self.clock.now_ns())
        return True

    def receive(self, timeout_s: float) -> bytes | None:
        """Nothing comes back but replies."""
        return None

    def request(self, data: bytes, timeout_s: float) -> bytes:
        """Hand a command to the implant's door."""
        self.commands.append(data)
        return self.door.answer(data, self.clock.now_ns())

    def close(self) -> None:
        """Nothing to release."""

    def pass_time(self, ms: float) -> int:
        """Let time pass; return the pulses that were delivered."""
        self.clock.advance(round(ms * NS_PER_MS))
        pulses = 0
        for piece in self.implant.advance(self.clock.now_ns()):
            self.judge.delivered(piece)
            pulses += int(piece.pulses.sum())
        return pulses


def accepted(before: Outputs, after: Outputs) -> bool:
    """Tell whether any output changed other than towards silence."""
    driven = after.amplitude_na > 0
    changed = driven & ((after.amplitude_na != before.amplitude_na) | (after.rate_mhz > before.rate_mhz))
    longer = any(late > soon for soon, late in zip(before.expires_ns, after.expires_ns, strict=False))
    begins = after.state in DRIVING and before.state is not after.state
    return bool(changed.any() or longer or begins or after.last_valid_ns > before.last_valid_ns)


class Campaign:
    """One run of ``frames`` on one bench."""

    def __init__(self, rig: Rig, sealing: Sealing, frames: int, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._bench = Bench(rig, sealing)
        self._hostile = Hostile(rig, self._rng)
        self._state = self._bench.guard.initial()
        self._heard, self._seq, self._withheld = Heard([]), 0, False
        self._session_frames = SESSION_FRAMES if sealing.keyed else WEAK_SESSION_FRAMES
        self._late: deque[tuple[int, list[bytes]]] = deque()
        self.report = Report(rig.config.name, sealing.value, frames, seed)

    def run(self, say: Callable[[int], None]) -> Report:
        """Run all frames; ``say`` gets the number done, now and then."""
        report, began = self.report, time.monotonic()
        try:
            for done in range(report.frames):
                self._try_frame(done)
                if len(report.crashes) >= SHOWN:
                    break
                if done % 256 == 0:
                    say(done)
        except KeyboardInterrupt:  # what has been done by now is a campaign as well
            report.frames = done
        refused = self._bench.implant.telemetry(0).refused
        report.refusals = Counter({Refusal(k).name: n for k, n in enumerate(refused) if n})
        report.violations, report.judged = self._bench.judge.broken, self._bench.judge.judged
        report.seconds = time.monotonic() - began
        return report

    def _try_frame(self, number: int) -> None:
        try:
            if number % self._session_frames == 0:
                self._new_session()
            self._frame(number)
        except Exception:
            self.report.crashes.append(traceback.format_exc(limit=-3))

    def _new_session(self) -> None:
        self._heard.others = (self._heard.older + self._heard.others)[:100]
        self._heard.older, self._late = [], deque()
        self._bench.session.open()

    def _frame(self, number: int) -> None:
        bench, rng = self._bench, self._rng
        choices = RARE_MS if rng.random() < 0.01 else STEPS_MS
        ms = float(choices[int(rng.integers(len(choices)))])
        if self._withheld and rng.random() < 0.5:
            ms = bench.ttl_ms + 20.0  # what was kept from arriving is now out of date, and nothing newer has come
        self.report.pulses += bench.pass_time(ms)
        self._keep_armed()
        codes = self._guarded(ms / 1000)
        self._seq += 1
        now_ns = bench.clock.now_ns()
        message = bench.session.seal(self._seq, now_ns, codes)
        packets = list(split(message))
        self._attack(packets, now_ns)
        if number % 16 == 0:
            self._attack_door()
        self._withheld = bool(rng.random() < 0.05)
        if self._withheld:
            self._late.append((now_ns, packets))
        else:
            before = bench.implant.outputs()
            bench.implant.receive(packets, now_ns)
            self.report.genuine_accepted += accepted(before, bench.implant.outputs())
            self._heard.older = (packets[-4:] + self._heard.older)[:64]
        packet = bench.implant.seal_up(PacketType.TELEMETRY, control.encode_telemetry(bench.implant.telemetry(now_ns)))
        self._heard.uplink = [packet] if packet else []

    def _keep_armed(self) -> None:
        state = self._bench.implant.state
        try:
            if state is ImplantState.LOCKED:
                self.report.locked += 1
                self._bench.session.reset()
            if state not in DRIVING:
                self._bench.session.arm()
        except LinkError:
            if self.report.sealing in (Sealing.HMAC.value, Sealing.AEAD.value):
                raise
            self._new_session()  # without a key anybody's command may have taken this one's number

    def _guarded(self, dt_s: float) -> npt.NDArray[np.uint16]:
        """Return the codes that leave the device for one hostile pattern.

        Frames carry amplitudes only. Widths, rates and slots of a pattern's own are judged as the guard lets them
        through, and its amplitudes then asked for again with those configured.
        """
        bench, report = self._bench, self.report
        name = PATTERNS[int(self._rng.integers(len(PATTERNS)))]
        wanted, on_wire = self._hostile.make(name, self._seq + 1, bench.clock.now_ns())
        report.patterns[name] += 1
        allowed = self._allowed(wanted, dt_s)
        if not on_wire:
            plain = bench.modulator.silent(wanted.seq, wanted.t_ns)
            allowed = self._allowed(replace(plain, amplitude_ua=wanted.amplitude_ua), 0.0)
        return bench.modulator.codes(allowed)

    def _allowed(self, wanted: StimulationPattern, dt_s: float) -> StimulationPattern:
        bench, report = self._bench, self.report
        allowed, found, self._state = bench.guard.allow(wanted, self._state, dt_s)
        for intervention in found:
            report.interventions[f"{intervention.rule}, {intervention.tier}"] += 1
        report.raised += int((allowed.amplitude_ua > np.fmax(wanted.amplitude_ua, 0)).any())
        bench.judge.pulses(*_columns(allowed), allowed.slot)
        return allowed

    def _attack(self, packets: list[bytes], now_ns: int) -> None:
        bench, heard = self._bench, self._heard
        heard.packets, heard.now_ns = packets, now_ns
        overdue = [p for t_ns, p in self._late if now_ns - t_ns > self._bench.ttl_ms * NS_PER_MS]
        heard.late = overdue[-1] if overdue else []
        while len(self._late) > 3:
            self._late.popleft()
        name = list(ATTACKS)[int(self._rng.integers(len(ATTACKS)))]
        if self._withheld and heard.late and self._rng.random() < 0.7:
            name = str(self._rng.choice(["stale", "stale renewed"]))
        made = [packet for packet in ATTACKS[name](heard, self._rng) if packet not in packets]
        if not made:
            return
        before = bench.implant.outputs()
        bench.implant.receive(made, now_ns)
        self.report.tried[name] += 1
        self.report.accepted[name] += accepted(before, bench.implant.outputs())

    def _attack_door(self) -> None:
        """Send a changed, cut, repeated or made-up command; none may start, configure or adopt anything."""
        bench, rng = self._bench, self._rng
        data = bytearray(bench.commands[int(rng.integers(len(bench.commands)))])
        way = int(rng.integers(4))
        if way == 0 and data:
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        elif way == 1:
            data = data[: int(rng.integers(0, len(data) + 1))]
        elif way == 2:
            data = bytearray(rng.bytes(int(rng.integers(0, 120))))
        before, session = bench.implant.outputs(), bench.implant.session
        bench.door.answer(bytes(data), bench.clock.now_ns())
        self.report.commands_tried += 1
        adopted = bench.implant.session != session
        self.report.commands_accepted += accepted(before, bench.implant.outputs()) or adopted


F64 = npt.NDArray[np.float64]


def _columns(p: StimulationPattern) -> tuple[F64, F64, F64]:
    return p.amplitude_ua.astype(np.float64), p.pulse_width_us.astype(np.float64), p.rate_hz.astype(np.float64)


def readable(rig: Rig, sealing: Sealing) -> bool:
    """Tell whether an eavesdropper sees that two patterns are alike: without encryption their payloads are."""
    bench = Bench(rig, sealing)
    bench.session.open()
    codes = np.full(rig.electrodes, 7, np.uint16)
    one, two = (next(split(bench.session.seal(seq, START_NS, codes))) for seq in (1, 2))
    return one[HEADER_BYTES:-20] == two[HEADER_BYTES:-20]


def fuzz(
    rig_name: str, frames: int, seed: int = 0, say: Callable[[str], None] = lambda text: None, matrix: int | None = None
) -> Report:
    """Run ``matrix`` frames in every mode of sealing, then a campaign of ``frames`` as the rig is sealed on the air.

    An interrupt ends the campaign, and what it found until then is reported. All hard limits that the rig lacks are
    added, so that every rule is met. Errors are ``ProsthesisError``.
    """
    rig = tightened(load_rig(rig_name))
    began, told = time.monotonic(), 0.0

    def progress(done: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told > 2:
            told = now
            rate = done / max(now - began, 1e-9)
            say(f"{done} of {frames} frames, {rate:.0f} a second, {sum(campaign.report.accepted.values())} accepted")

    each = min(max(frames // 20, 300), 5000) if matrix is None else matrix
    rows = {}
    for sealing in Sealing:
        say(f"mode {sealing.value}: {each} frames")
        found = Campaign(rig, sealing, each, seed + 1).run(lambda done: None)
        row = {name: found.accepted[name] / found.tried[name] for name in ATTACKS if found.tried[name]}
        rows[sealing.value] = {**row, "eavesdrop": float(readable(rig, sealing))}
    began = time.monotonic()
    campaign = Campaign(rig, Sealing.AEAD, frames, seed)
    report = campaign.run(progress)
    report.readable, report.matrix = readable(rig, Sealing.AEAD), rows
    return report


def table(report: Report) -> list[str]:
    """Return the report as lines of text."""
    lines = [
        f"{report.frames} frames on {report.rig}, seed {report.seed}, {report.seconds:.0f} s: "
        f"{report.pulses} pulses delivered, {report.genuine_accepted} genuine messages took effect",
        f"limit violations delivered: {sum(report.violations.values())} in {report.judged} judged"
        + "".join(f"; {rule}: {n}" for rule, n in report.violations.items()),
        f"charges raised by the guard: {report.raised}",
        f"attacks accepted: {sum(report.accepted.values())} of {sum(report.tried.values())}; "
        f"commands: {report.commands_accepted} of {report.commands_tried}; locked by itself: {report.locked}",
        f"crashes: {len(report.crashes)}",
        "share of attacks that succeed, by sealing: " + ", ".join(report.matrix),
    ]
    for name in (*ATTACKS, "eavesdrop"):
        cells = [row.get(name) for row in report.matrix.values()]
        lines.append(f"  {name:24}" + "".join("      -" if cell is None else f"{cell:7.2f}" for cell in cells))
    return lines + report.crashes[:3]
