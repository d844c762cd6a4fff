"""One pass over a recording: what its exports hold, on one clock, in seconds since the recording began."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.config import Rig
from prosthesis.errors import ConfigError
from prosthesis.messages import F32, I32, I64, U8, Delivered, Event, Evoked, Frame, Heard, Message, Percept, Telemetry
from prosthesis.recording.identity import recorded_rig
from prosthesis.recording.recorder import entries, metadata
from prosthesis.timing import NS_PER_S

F64 = npt.NDArray[np.float64]
TOPICS = ("frame", "telemetry", "heard", "delivered", "percept", "evoked", "event")
PC_PER_NC = 1000.0


@dataclass(frozen=True, slots=True)
class Trains:
    """One row a train: an electrode that pulsed at one amplitude without a pause; columns in order of their start.

    ``amplitude_ua`` and ``width_us`` are of one phase, ``charge_nc`` is the cathodic charge of all ``pulses``.
    """

    start_s: F64
    stop_s: F64
    electrode: I64
    pulses: I64
    amplitude_ua: F64
    width_us: F64

    @property
    def charge_nc(self) -> F64:
        """Return each train's charge."""
        charge: F64 = self.amplitude_ua * self.width_us * self.pulses / PC_PER_NC  # uA us is pC
        return charge

    def __len__(self) -> int:
        return len(self.start_s)


@dataclass(frozen=True, slots=True)
class Said:
    """One event, or a state that the implant came into."""

    t_s: float
    source: str
    level: str
    text: str


@dataclass(slots=True)
class Gathered:
    """A recording, ``rig`` and ``about`` included; lists of arrays run with the lists of times beside them.

    Pictures are kept every ``every_s`` seconds, everything else whole.
    """

    rig: Rig
    about: dict[str, str]
    began: datetime
    frames_s: list[float] = field(default_factory=list)
    frames: list[U8] = field(default_factory=list)
    percepts_s: list[float] = field(default_factory=list)
    percepts: list[F32] = field(default_factory=list)
    seen_s: list[float] = field(default_factory=list)
    seen: list[tuple[int, float, float, float, float]] = field(default_factory=list)
    delivered_s: list[float] = field(default_factory=list)
    amplitude_ua: list[F32] = field(default_factory=list)
    pulses: list[I32] = field(default_factory=list)
    evoked_s: list[float] = field(default_factory=list)
    evoked_hz: list[F32] = field(default_factory=list)
    trains: Trains = field(default_factory=lambda: _trains([]))
    states: list[Said] = field(default_factory=list)
    events: list[Said] = field(default_factory=list)
    end_s: float = 0.0


def gather(log: Path, every_s: float = 1.0, rig_name: str | None = None) -> Gathered:
    """Read ``log``; ``rig_name`` is needed for recordings that do not hold their rig. Raises ``ProsthesisError``."""
    about = metadata(log)
    reading = _Reading(Gathered(recorded_rig(log, about, rig_name), about, _began(log, about)), every_s)
    zero_ns = int(about["recorded_ns"]) if "recorded_ns" in about else None
    for entry in entries(log, TOPICS):
        zero_ns = entry.log_ns if zero_ns is None else zero_ns
        reading.take(entry.message, (entry.log_ns - zero_ns) / NS_PER_S, zero_ns)
    reading.finish()
    return reading.got


def _began(log: Path, about: dict[str, str]) -> datetime:
    try:
        return datetime.fromisoformat(about["recorded"])
    except (KeyError, ValueError) as error:
        raise ConfigError(f"{log}: does not say when it was recorded; is it a recording of ours?") from error


class _Reading:
    """What is known so far; an electrode's train is closed when it is driven otherwise, or no more."""

    def __init__(self, got: Gathered, every_s: float) -> None:
        n = got.rig.electrodes
        self.got, self._every_s, self._offset_ns = got, every_s, 0
        self._start_s, self._pulses = np.zeros(n), np.zeros(n, np.int64)
        self._ua, self._width_us = np.zeros(n, np.float32), np.zeros(n, np.float32)
        self._closed: list[tuple[Any, ...]] = []

    def take(self, message: Message, heard_s: float, zero_ns: int) -> None:
        got = self.got
        got.end_s = max(got.end_s, heard_s)

        def at(t_ns: int) -> float:
            return (t_ns - zero_ns) / NS_PER_S

        match message:
            case Heard(what="offset"):
                self._offset_ns = message.value
            case Frame() if self._due(got.frames_s, at(message.t_ns)):
                got.frames_s.append(at(message.t_ns))
                got.frames.append(message.rgb)
            case Percept():
                self._see(message, at(message.made_ns))
            case Evoked():
                got.evoked_s.append(heard_s)
                got.evoked_hz.append(message.rate_hz)
            case Delivered():
                self._deliver(message, at(message.t0_ns - self._offset_ns))
            case Event():
                got.events.append(Said(heard_s, message.source, message.level, message.text))
            case Telemetry() if not got.states or got.states[-1].text != message.state.name.lower():
                got.states.append(Said(heard_s, "implant", message.reason, message.state.name.lower()))
            case _:
                pass

    def _due(self, times: list[float], t_s: float) -> bool:
        return not times or t_s >= times[-1] + self._every_s

    def _see(self, percept: Percept, t_s: float) -> None:
        got, image = self.got, percept.image
        if got.seen_s and t_s <= got.seen_s[-1]:
            return
        got.seen_s.append(t_s)
        got.seen.append((percept.visible, float(image.mean()), float(image.max(initial=0.0)), *percept.gaze_deg))
        if self._due(got.percepts_s, t_s):
            got.percepts_s.append(t_s)
            got.percepts.append(image)

    def _deliver(self, piece: Delivered, t_s: float) -> None:
        got = self.got
        if len(piece.pulses) != got.rig.electrodes or (got.delivered_s and t_s <= got.delivered_s[-1]):
            return  # another rig's, or the clock was set back
        got.delivered_s.append(t_s)
        got.amplitude_ua.append(piece.amplitude_ua)
        got.pulses.append(piece.pulses)
        same = (piece.amplitude_ua == self._ua) & (piece.pulse_width_us == self._width_us)
        self._close((self._pulses > 0) & ~same, t_s)
        begun = (self._pulses == 0) & (piece.pulses > 0)
        self._start_s[begun] = t_s
        self._ua, self._width_us = piece.amplitude_ua, piece.pulse_width_us
        self._pulses += piece.pulses

    def _close(self, ended: npt.NDArray[np.bool_], t_s: float) -> None:
        (which,) = ended.nonzero()
        if len(which):
            stop_s = np.full(len(which), t_s)
            numbers = (self._start_s, self._pulses, self._ua, self._width_us)
            self._closed.append((stop_s, which, *(column[which].copy() for column in numbers)))
            self._pulses[which] = 0

    def finish(self) -> None:
        """Close what is still driven when the recording ends."""
        self._close(self._pulses > 0, max([self.got.end_s, *self.got.delivered_s[-1:]]))
        self.got.trains = _trains(self._closed)


def _trains(closed: list[tuple[Any, ...]]) -> Trains:
    """Return the table of trains, each given as (stop, electrode, start, pulses, amplitude, width)."""
    columns = [np.concatenate(parts) for parts in zip(*closed, strict=True)] or [np.zeros(0)] * 6
    stop, electrode, start, pulses, ua, width = columns
    order = np.lexsort((electrode, start))

    def real(values: Any) -> F64:
        return np.asarray(values, np.float64)[order]

    def whole(values: Any) -> I64:
        return np.asarray(values, np.int64)[order]

    return Trains(real(start), real(stop), whole(electrode), whole(pulses), real(ua), real(width))
