"""What a recording says of frames, latency, link, guard, charge and the implant's states, as JSON and HTML."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.config import Rig, load_rig
from prosthesis.errors import ConfigError
from prosthesis.messages import (
    Delivered,
    Event,
    GuardReport,
    HopTimes,
    Message,
    Refusal,
    Telemetry,
)
from prosthesis.recording.recorder import entries, metadata
from prosthesis.timing import NS_PER_S, Percentiles, percentiles
from prosthesis_sim.film import Painter, Stage, stills
from prosthesis_sim.report_page import page

TOPICS = ("frame", "hops", "guard", "telemetry", "delivered", "percept", "world_hops", "event")
STILLS = (0.15, 0.5, 0.85)  # shares of the recording
PC_PER_NC = 1000.0


@dataclass(frozen=True, slots=True)
class Frames:
    """How many frames reached each stage; ``dropped`` are the gaps in the recorded frames' ``seq``.

    ``sent`` passed the guard and were handed to the link, ``delivered`` drove electrodes, ``perceived`` were rendered.
    """

    captured: int
    dropped: int
    sent: int
    delivered: int
    perceived: int


@dataclass(frozen=True, slots=True)
class Link:
    """The implant's counters since it was powered up: tiles ``accepted``, ``refused`` by reason, messages skipped."""

    accepted: int
    skipped: int
    refused: dict[str, int]


@dataclass(frozen=True, slots=True)
class Found:
    """One rule of the guard in one tier: on how many frames, on at most how many electrodes, and the worst value."""

    rule: str
    tier: str
    frames: int
    electrodes: int
    worst: float
    limit: float
    unit: str


@dataclass(frozen=True, slots=True)
class Charge:
    """Cathodic charge delivered: per electrode, their sum and largest, and the largest of one phase."""

    per_electrode_nc: tuple[float, ...]
    total_nc: float
    most_nc: float
    most_per_phase_nc: float


@dataclass(frozen=True, slots=True)
class State:
    """From ``t_s`` after the recording's start on, the implant was in ``state``."""

    t_s: float
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Said:
    """One event, ``t_s`` after the recording's start."""

    t_s: float
    source: str
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Summary:
    """A recording in numbers; ``hops`` holds how long each hop took, in the order of the path.

    The hop ``receive`` is the air: from ``send`` on the device to arrival at the implant.
    """

    about: dict[str, str]
    seconds: float
    frames: Frames
    hops: dict[str, Percentiles]
    capture_to_percept: Percentiles
    link: Link
    guard: tuple[Found, ...]
    charge: Charge
    states: tuple[State, ...]
    events: tuple[Said, ...]


@dataclass(slots=True)
class _Tally:
    """What has been counted so far while reading."""

    seen: dict[str, set[int]] = field(default_factory=lambda: {topic: set() for topic in TOPICS})
    device_hops: dict[int, HopTimes] = field(default_factory=dict)
    world_hops: dict[int, HopTimes] = field(default_factory=dict)
    health: Telemetry | None = None
    guard: dict[tuple[str, str], Found] = field(default_factory=dict)
    charge_pc: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    most_per_phase_pc: float = 0.0
    states: list[State] = field(default_factory=list)
    events: list[Said] = field(default_factory=list)


def summarise(log: Path) -> Summary:
    """Return a recording in numbers; raises ``ProsthesisError`` when it cannot be read."""
    tally = _Tally()
    start_ns = end_ns = 0
    for entry in entries(log, TOPICS):
        start_ns, end_ns = start_ns or entry.log_ns, entry.log_ns
        tally.seen[entry.topic].add(entry.message.seq)
        _count(tally, entry.topic, entry.message, (entry.log_ns - start_ns) / NS_PER_S)
    captured = tally.seen["frame"] | tally.seen["hops"]
    health = tally.health
    refused = Counter({Refusal(code).name: count for code, count in enumerate(health.refused)} if health else {})
    total_nc = tally.charge_pc / PC_PER_NC
    return Summary(
        about=metadata(log),
        seconds=(end_ns - start_ns) / NS_PER_S,
        frames=Frames(
            captured=len(captured),
            dropped=max(captured) - min(captured) + 1 - len(captured) if captured else 0,
            sent=len(tally.seen["hops"]),
            delivered=len(tally.seen["delivered"] - {0}),
            perceived=len(tally.seen["percept"] - {0}),
        ),
        hops={hop: percentiles(took) for hop, took in _hop_times_ns(tally.device_hops, tally.world_hops).items()},
        capture_to_percept=percentiles([hops.stamps_ns[-1] - hops.t_ns for hops in tally.world_hops.values()]),
        link=Link(health.accepted if health else 0, health.skipped if health else 0, dict(+refused)),
        guard=tuple(tally.guard.values()),
        charge=Charge(
            tuple(float(nc) for nc in total_nc),
            float(total_nc.sum()),
            float(total_nc.max(initial=0.0)),
            tally.most_per_phase_pc / PC_PER_NC,
        ),
        states=tuple(tally.states),
        events=tuple(tally.events),
    )


def write_report(
    log: Path,
    folder: Path,
    rig: Rig | None = None,
    painter: Painter | None = None,
    loop: dict[str, float] | None = None,
) -> Summary:
    """Write ``report.json`` and a self-contained ``report.html`` into ``folder``, with the film that is there.

    ``rig`` (default: the one the recording names, where it is still known) tells where electrodes stand, ``painter``
    (default: the film's) draws the stills, ``loop`` is said of a closed loop. Raises ``ProsthesisError`` when the
    recording cannot be read.
    """
    summary = summarise(log)
    rig = rig or _recorded_rig(summary)
    folder.mkdir(parents=True, exist_ok=True)
    pictures = (
        stills(log, painter or Stage(rig), [share * summary.seconds for share in STILLS])
        if summary.frames.captured
        else []
    )
    places = None
    if rig is not None and rig.electrodes == len(summary.charge.per_electrode_nc):
        on = rig.calibration.enabled
        places = [
            (x, y) if used else None
            for x, y, used in zip(rig.calibration.x_deg, rig.calibration.y_deg, on, strict=True)
        ]
    films = [film for kind in ("*.webm", "*.mp4") for film in sorted(folder.glob(kind))]
    data = asdict(summary) | ({"loop": loop} if loop else {})
    (folder / "report.json").write_text(json.dumps(_finite(data), indent=2) + "\n", encoding="utf-8")
    html = page(data, pictures, places, films[0] if films else None)
    (folder / "report.html").write_text(html, encoding="utf-8")
    return summary


def _recorded_rig(summary: Summary) -> Rig | None:
    """Load the rig that the recording names, if it is here and its calibration is the recorded one."""
    try:
        rig = load_rig(summary.about.get("rig_file") or summary.about.get("rig", ""))
    except ConfigError:
        return None
    return rig if summary.about.get("calibration", rig.calibration.digest) == rig.calibration.digest else None


def _count(tally: _Tally, topic: str, message: Message, t_s: float) -> None:
    match message:
        case HopTimes():
            # a pattern's tiles may arrive one by one: its percept is complete with the last
            (tally.device_hops if topic == "hops" else tally.world_hops)[message.seq] = message
        case GuardReport():
            for item in message.interventions:
                before = tally.guard.get((item.rule, item.tier))
                found = Found(item.rule, item.tier, 1, item.electrodes, item.worst, item.limit, item.unit)
                tally.guard[item.rule, item.tier] = _worse(before, found) if before else found
        case Telemetry():
            if tally.health is None or message.state is not tally.health.state:
                tally.states.append(State(t_s, message.state.name.lower(), message.reason))
            tally.health = message
        case Delivered():
            _count_charge(tally, message)
        case Event():
            tally.events.append(Said(t_s, message.source, message.level, message.text))
        case _:
            pass  # frames and percepts are only counted


def _hop_times_ns(device: dict[int, HopTimes], world: dict[int, HopTimes]) -> dict[str, list[int]]:
    """Return how long each hop took, frame by frame; the world's first hop counts from the device's last."""
    took: dict[str, list[int]] = {}
    for seq, times in device.items():
        _add_steps(took, times, times.t_ns)
        if seq in world:
            _add_steps(took, world[seq], times.stamps_ns[-1])
    return took


def _add_steps(took: dict[str, list[int]], times: HopTimes, before_ns: int) -> None:
    for hop, stamp_ns in zip(times.hops, times.stamps_ns, strict=True):
        took.setdefault(hop, []).append(stamp_ns - before_ns)
        before_ns = stamp_ns


def _count_charge(tally: _Tally, message: Delivered) -> None:
    phase_pc = message.amplitude_ua.astype(np.float64) * message.pulse_width_us  # uA us is pC
    if len(tally.charge_pc) != len(phase_pc):
        tally.charge_pc = np.zeros(len(phase_pc))
    tally.charge_pc += phase_pc * message.pulses
    tally.most_per_phase_pc = max(tally.most_per_phase_pc, float(phase_pc[message.pulses > 0].max(initial=0.0)))


def _worse(a: Found, b: Found) -> Found:
    frames, electrodes = a.frames + b.frames, max(a.electrodes, b.electrodes)
    return Found(a.rule, a.tier, frames, electrodes, max(a.worst, b.worst), a.limit, a.unit)


def _finite(value: Any) -> Any:
    """Replace NaN and infinities, which JSON does not have, by null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_finite(item) for item in value]
    return value
