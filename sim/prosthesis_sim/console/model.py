"""What one device's and its patient's taps have said, summed up for a person: no sockets, no pictures, no page."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.messages import (
    Event,
    Findings,
    Found,
    GuardReport,
    HopTimes,
    ImplantState,
    Message,
    Receipt,
    Refusal,
    Telemetry,
)
from prosthesis.schemas import decode, stamp
from prosthesis.timing import NS_PER_S
from prosthesis_sim.console.latency import Latency

# large ones stay as they came until somebody looks
PICTURES = ("frame", "machine_code", "delivered", "percept")
COUNTED = ("findings", "guard", "hops", "world_hops", "receipt", "telemetry", "event")
TOPICS = PICTURES + COUNTED
SPAN_NS = 5 * NS_PER_S  # what rates are taken over
GUARD_NS = 10 * NS_PER_S
QUIET_NS = 1 * NS_PER_S  # after that a device or patient counts as gone
OLD_NS = 1 * NS_PER_S  # what was found so long before the picture shown is not in it any more
REPEAT_NS = 5 * NS_PER_S
EVENTS, STATES = 200, 100


@dataclass(slots=True)
class Rule:
    """One rule of the guard in one tier: when it was broken lately, with the worst value asked for by then."""

    rule: str
    tier: str
    unit: str
    limit: float
    worst: float = 0.0
    electrodes: int = 0
    broken_ns: deque[int] = field(default_factory=lambda: deque(maxlen=1024))


@dataclass(frozen=True, slots=True)
class Counts:
    """The implant's counters at one time."""

    t_ns: int
    accepted: int
    refused: tuple[int, ...]
    skipped: int


@dataclass(slots=True)
class Charge:
    """Cathodic charge in pC: what each electrode was given in the last seconds, and in all."""

    recent: deque[tuple[int, npt.NDArray[np.int64]]] = field(default_factory=deque)
    total_pc: float = 0.0


class Model:
    """Takes messages as they come, in any thread, and answers what is so now; all times are the hearer's clock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._raw: dict[str, bytes] = {}
        self._seen: dict[str, Message] = {}
        self._came: dict[str, deque[int]] = {topic: deque(maxlen=512) for topic in TOPICS}
        self._seqs: dict[str, int] = {}
        self.latency = Latency()
        self.rules: dict[tuple[str, str], Rule] = {}
        self.events: deque[tuple[int, str, str, str]] = deque(maxlen=EVENTS)
        self.states: deque[tuple[int, str, str]] = deque(maxlen=STATES)
        self.health: Telemetry | None = None
        self.receipt: Receipt | None = None
        self._findings: dict[str, Findings] = {}
        self.said = 0
        self._counts: deque[Counts] = deque()
        self._charge = Charge()
        self.dropped = 0

    def take(self, topic: str, data: bytes, now_ns: int) -> None:
        """Take one message as it came from a tap or a recording; pictures are only kept."""
        with self._lock:
            self._came[topic].append(now_ns)
            if topic == "world_hops" and not self._is_next(topic, stamp(topic, data)[0]):
                self._came[topic].pop()  # one more tile of the same pattern
            if topic in PICTURES:
                self._raw[topic] = data
                if topic == "frame":
                    self._count_gap(stamp(topic, data)[0])
            else:
                self._count(topic, decode(topic, data), now_ns)

    def _is_next(self, topic: str, seq: int) -> bool:
        before, self._seqs[topic] = self._seqs.get(topic), seq
        return before != seq

    def _count_gap(self, seq: int) -> None:
        before = self._seqs.get("frame")
        if before is not None and 0 < seq - before < 1000:
            self.dropped += seq - before - 1
        self._seqs["frame"] = seq

    def _count(self, topic: str, message: Message, now_ns: int) -> None:
        match message:
            case HopTimes() if topic == "hops":
                self.latency.device(message)
            case HopTimes():
                self.latency.world(message)
            case GuardReport():
                self._count_rules(message, now_ns)
            case Telemetry():
                self._count_health(message, now_ns)
            case Receipt():
                self.receipt = message
                self._charge.recent.append((now_ns, message.charge_pc))
                self._charge.total_pc += float(message.charge_pc.sum())
                _forget(self._charge.recent, now_ns - SPAN_NS)
            case Findings():
                self._findings[message.task] = message
            case Event():
                self.tell(now_ns, message.source, message.level, message.text)
            case _:
                pass

    def _count_rules(self, message: GuardReport, now_ns: int) -> None:
        for found in message.interventions:
            fresh = Rule(found.rule, found.tier, found.unit, found.limit)
            rule = self.rules.setdefault((found.rule, found.tier), fresh)
            rule.broken_ns.append(now_ns)
            rule.limit = found.limit
            rule.worst, rule.electrodes = max(rule.worst, found.worst), max(rule.electrodes, found.electrodes)

    def _count_health(self, message: Telemetry, now_ns: int) -> None:
        if self.health is None or message.state is not self.health.state:
            self.states.append((now_ns, message.state.name, message.reason))
        self.health = message
        self._counts.append(Counts(now_ns, message.accepted, message.refused, message.skipped))
        while self._counts and self._counts[0].t_ns < now_ns - SPAN_NS:
            self._counts.popleft()

    def tell(self, now_ns: int, source: str, level: str, text: str) -> None:
        """Add one sentence to what has happened, unless somebody said the same just before."""
        recent = (event for event in reversed(self.events) if event[0] > now_ns - REPEAT_NS)
        if all(event[3] != text for event in recent):
            self.events.append((now_ns, source, level, text))
            self.said += 1

    def _broken(self, now_ns: int) -> list[list[Any]]:
        """Return rule, tier, share of frames, most electrodes, worst value, limit, unit of each rule broken lately."""
        looked = max(1, sum(t > now_ns - GUARD_NS for t in self._came["guard"]))
        found = []
        for rule in sorted(self.rules.values(), key=lambda rule: (rule.tier != "hard", rule.rule)):
            times = sum(t > now_ns - GUARD_NS for t in rule.broken_ns)
            if times:
                told = (rule.electrodes, _finite(rule.worst), rule.limit, rule.unit)
                found.append([rule.rule, rule.tier, round(min(times / looked, 1.0), 3), *told])
        return found

    def picture(self, topic: str) -> Message | None:
        """Return the newest message of one of ``PICTURES``, decoded when first asked for."""
        with self._lock:
            data = self._raw.pop(topic, None)
        if data is not None:
            self._seen[topic] = decode(topic, data)
        return self._seen.get(topic)

    def found(self, t_ns: int) -> list[tuple[Found, int]]:
        """Return what encoders found lately, for the picture captured at ``t_ns``, each with its age in ns."""
        with self._lock:
            newest = [(one, max(0, t_ns - one.t_ns)) for one in self._findings.values()]
        return [(item, age_ns) for one, age_ns in newest if age_ns < OLD_NS for item in one.items]

    def fresh(self, topic: str) -> bool:
        """Tell whether a picture has come that nobody has asked for."""
        return topic in self._raw

    def rate_hz(self, topic: str, now_ns: int) -> float:
        """Return how many messages of a topic came per second lately."""
        came = [t for t in list(self._came[topic]) if t > now_ns - SPAN_NS]
        return (len(came) - 1) * NS_PER_S / (came[-1] - came[0]) if len(came) > 1 and came[-1] > came[0] else 0.0

    def alive(self, topic: str, now_ns: int) -> bool:
        """Tell whether a topic was heard of within the last second."""
        came = self._came[topic]
        return bool(came) and now_ns - came[-1] < QUIET_NS

    def charge_nc_per_s(self, n: int, now_ns: int) -> npt.NDArray[np.float64]:
        """Return each electrode's cathodic charge per second f64[n] over the last seconds."""
        with self._lock:
            recent = [(t, pc) for t, pc in self._charge.recent if t > now_ns - SPAN_NS and len(pc) == n]
        if len(recent) < 2:
            return np.zeros(n)
        given = np.sum([pc for _, pc in recent[1:]], axis=0)  # each tells what was given since the one before
        rate: npt.NDArray[np.float64] = given * 1e-3 * NS_PER_S / max(recent[-1][0] - recent[0][0], 1)
        return rate

    def figures(self, now_ns: int) -> dict[str, Any]:
        """Return everything that is told in numbers and words, ready for JSON."""
        with self._lock:
            health, counts = self.health, (self._counts[0], self._counts[-1]) if self._counts else None
            rules = self._broken(now_ns)
            spreads, trace = self.latency.spreads(), [round(ms, 2) for ms in self.latency.trace]
        lost = not self.alive("telemetry", now_ns)
        return {
            "state": "LOST" if lost else health.state.name if health else "LOST",
            "reason": _why(health, lost),
            "fps": {
                "camera": round(self.rate_hz("frame", now_ns), 1),
                "percept": round(self.rate_hz("world_hops", now_ns), 1),
            },
            "dropped": self.dropped,
            "latency": [[s.hop, *(round(x, 3) for x in (s.p5, s.p50, s.p95, s.p99))] for s in spreads],
            "trace": trace,
            "link": _link(counts),
            "guard": rules,
            "health": _health(health),
            "charge_uc": round(self._charge.total_pc * 1e-6, 3),
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _forget(recent: deque[tuple[int, Any]], before_ns: int) -> None:
    while recent and recent[0][0] < before_ns:
        recent.popleft()


def _why(health: Telemetry | None, lost: bool) -> str:
    if health is None:
        return "nothing heard of the implant yet"
    return "nothing heard of the implant for a second" if lost else health.reason


def _link(counts: tuple[Counts, Counts] | None) -> dict[str, Any]:
    """Return tiles accepted and refused a second, and the share accepted, over the time between two counts."""
    if counts is None or counts[1].t_ns <= counts[0].t_ns or counts[1].accepted < counts[0].accepted:
        return {"accepted": 0.0, "refused": {}, "share": None, "skipped": 0}
    first, last = counts
    seconds = (last.t_ns - first.t_ns) / NS_PER_S
    refused = {
        Refusal(code).name: round((now - before) / seconds, 1)
        for code, (before, now) in enumerate(zip(first.refused, last.refused, strict=True))
        if now > before
    }
    accepted = (last.accepted - first.accepted) / seconds
    total = accepted + sum(refused.values())
    return {
        "accepted": round(accepted, 1),
        "refused": refused,
        "share": round(accepted / total, 4) if total else None,
        "skipped": last.skipped - first.skipped,
    }


def _health(health: Telemetry | None) -> dict[str, Any]:
    if health is None:
        return {}
    return {
        "session": health.session,
        "power_mw": round(health.power_mw, 1),
        "warming_c": round(health.warming_c, 3),
        "net_charge_pc": health.net_charge_pc,
        "watchdog_ms": health.watchdog_ms,
        "stopped": health.state is ImplantState.STOPPED,
    }
