"""A recording on the console: any moment of it, at any pace, with a timeline of what happened."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from prosthesis.config import load_rig
from prosthesis.errors import ConfigError, ProsthesisError
from prosthesis.messages import Delivered, Event, HopTimes, Telemetry
from prosthesis.recording.recorder import metadata
from prosthesis.schemas import decode
from prosthesis.timing import NS_PER_MS, NS_PER_S
from prosthesis_sim.console.geometry import describe, describe_unknown
from prosthesis_sim.console.model import PICTURES, Model
from prosthesis_sim.console.tape import Said, Tape

LOOK_NS = 10 * NS_PER_S  # how far from the start the first pictures are looked for
BACK_NS = 3 * NS_PER_S  # what figures after a jump are taken over
TICK_S = 1 / 30
BINS = 400
SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)


class Player:
    """Plays one recording into a model; ``told`` does what a page asks. Times there count from the first percept."""

    def __init__(self, log: Path) -> None:
        self.tape, self.about = Tape(log), metadata(log)
        self._lock = threading.RLock()
        self._begin_ns = _begin_ns(self.tape)
        self._at_ns, self._playing, self._speed = self._begin_ns, False, 1.0
        self._model = Model()
        self._closing = threading.Event()
        self._geometry = self._places()
        self.timeline = Timeline(self.tape, self._begin_ns)
        self.seek(0.0)
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for name, work in (("player", self._play), ("timeline", self.timeline.scan))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def seconds(self) -> float:
        """How long the recording is."""
        return (self.tape.last_ns - self._begin_ns) / NS_PER_S

    def now_ns(self) -> int:
        """Return the moment shown, on the recording's clock."""
        return self._at_ns

    def models(self) -> dict[str, Model]:
        """Return the model of the moment."""
        return {"a": self._model}

    def geometry(self) -> tuple[str, dict[str, Any]]:
        """Return the recorded rig's places, and the timeline as far as it is known."""
        word, marks = self.timeline.marks()
        return f"tape {word}", {"a": self._geometry, "timeline": marks}

    def status(self) -> dict[str, Any]:
        """Return where it is, ready for JSON."""
        return {
            "mode": "scrub",
            "log": self.tape.path.name,
            "at": round((self._at_ns - self._begin_ns) / NS_PER_S, 3),
            "seconds": round(self.seconds, 3),
            "playing": self._playing,
            "speed": self._speed,
            "damaged": len(self.tape.damaged),
            "setups": {"a": self._setup()},
        }

    def _setup(self) -> dict[str, Any]:
        keys = {
            "rig": "rig",
            "task": "model",
            "world": "world",
            "patient": "patient",
            "link": "link",
            "source": "source",
        }
        return {key: self.about.get(name, "") for key, name in keys.items()}

    def told(self, said: dict[str, Any]) -> None:
        """Do what a page asks: ``seek`` to seconds, ``play`` or not, at a ``speed``, or ``step`` frames."""
        if "speed" in said and float(said["speed"]) in SPEEDS:
            self._speed = float(said["speed"])
        if "seek" in said:
            self.seek(float(said["seek"]))
        if "step" in said:
            self.step(1 if said["step"] > 0 else -1)
        if "play" in said:
            with self._lock:
                self._playing = bool(said["play"])
                if self._playing and self._at_ns >= self.tape.last_ns:
                    self.seek(0.0)

    def seek(self, seconds: float) -> None:
        """Show the moment ``seconds`` after the start, with figures of what came just before it."""
        with self._lock:
            self._jump(self._begin_ns + round(min(max(seconds, 0.0), self.seconds) * NS_PER_S))

    def step(self, frames: int) -> None:
        """Go one camera frame on (1) or back (-1), and stop there."""
        with self._lock:
            self._playing = False
            at_ns, reach_ns = self._at_ns, NS_PER_S
            if frames > 0:
                ahead = (s for s in self.tape.between(at_ns, at_ns + reach_ns) if s.topic == "frame")
                said = next(ahead, None)
                if said is not None:
                    self._feed(said.log_ns)
                return
            shown = [s for s in self.tape.between(at_ns - reach_ns, at_ns) if s.topic == "frame"]
            self._jump(max(self._begin_ns, shown[-2].log_ns if len(shown) > 1 else at_ns - reach_ns))

    def close(self) -> None:
        """End the threads."""
        self._closing.set()
        self.timeline.close()
        for thread in self._threads:
            thread.join(1.0)

    def _jump(self, at_ns: int) -> None:
        model = Model()
        for t_s, level, text, source in list(self.timeline.events):
            if t_s * NS_PER_S < at_ns - BACK_NS - self._begin_ns:
                model.tell(self._begin_ns + round(t_s * NS_PER_S), source, level, text)
        wanted = set(PICTURES) | {"receipt", "telemetry"}
        for said in self.tape.newest(wanted, at_ns).values():
            if said.log_ns <= at_ns - BACK_NS:
                _take(model, said)
        for said in self.tape.between(at_ns - BACK_NS, at_ns):
            _take(model, said)
        self._at_ns, self._model = at_ns, model

    def _feed(self, to_ns: int) -> None:
        for said in self.tape.between(self._at_ns, to_ns):
            _take(self._model, said)
        self._at_ns = to_ns

    def _play(self) -> None:
        last_s = time.monotonic()
        while not self._closing.wait(TICK_S):
            now_s = time.monotonic()
            passed_s, last_s = now_s - last_s, now_s
            with self._lock:
                if self._playing:
                    self._feed(min(self._at_ns + round(passed_s * self._speed * NS_PER_S), self.tape.last_ns))
                    self._playing = self._at_ns < self.tape.last_ns

    def _places(self) -> dict[str, Any]:
        """Return the recorded rig's places where it is still known as it was, else rows of electrodes by number."""
        try:
            rig = load_rig(self.about.get("rig_file") or self.about.get("rig", ""))
            if self.about.get("calibration", rig.calibration.digest) == rig.calibration.digest:
                return describe(rig, self.about.get("world") or rig.config.world)
        except ConfigError:
            pass
        said = self.tape.newest({"delivered"}, self.tape.last_ns).get("delivered")
        message = decode("delivered", said.data) if said else None
        n = len(message.amplitude_ua) if isinstance(message, Delivered) else 0
        return describe_unknown(n, self.about.get("rig", "unknown rig"))


def _begin_ns(tape: Tape) -> int:
    """Return when there was first something to see: a camera picture and a percept."""
    missing = {"frame", "percept"}
    for said in tape.between(0, tape.first_ns + LOOK_NS):
        missing.discard(said.topic)
        if not missing:
            return said.log_ns
    return tape.first_ns


def _take(model: Model, said: Said) -> None:
    try:
        model.take(said.topic, said.data, said.log_ns)
    except ProsthesisError as error:
        model.tell(said.log_ns, "console", "error", str(error))


class Timeline:
    """What happened when: the implant's states, events, and the latency along the recording; scanned once, beside."""

    def __init__(self, tape: Tape, begin_ns: int) -> None:
        self._begin_ns = begin_ns
        self._tape = Tape(tape.path)  # one of its own: chunks kept for the player are not pushed out
        self._closing = threading.Event()
        self._done = 0
        self._states: list[list[Any]] = []
        self.events: list[list[Any]] = []
        self._worst_ms = np.zeros(BINS)

    def marks(self) -> tuple[str, dict[str, Any]]:
        """Return a word that changes as it grows, and states, events and the worst latency of each bin in ms."""
        share = self._done / len(self._tape.places)
        known = {
            "share": round(share, 3),
            "states": list(self._states),
            "events": list(self.events),
            "worst_ms": [round(float(ms), 1) for ms in self._worst_ms],
        }
        return f"{int(share * 8)}", known

    def scan(self) -> None:
        """Read the whole recording once."""
        span_ns = max(self._tape.last_ns - self._begin_ns, 1)
        for index in range(len(self._tape.places)):
            if self._closing.is_set():
                return
            for said in self._tape.chunk(index):
                if said.topic in ("telemetry", "event", "world_hops"):
                    self._mark(said, max(0.0, (said.log_ns - self._begin_ns) / span_ns), span_ns)
            self._done = index + 1

    def close(self) -> None:
        """Leave the rest unread."""
        self._closing.set()

    def _mark(self, said: Said, share: float, span_ns: int) -> None:
        try:
            message = decode(said.topic, said.data)
        except ProsthesisError:
            return
        t_s = round(share * span_ns / NS_PER_S, 3)
        match message:
            case Telemetry() if not self._states or self._states[-1][1] != message.state.name:
                self._states.append([t_s, message.state.name])
            case Event():
                self.events.append([t_s, message.level, message.text, message.source])
            case HopTimes():
                at = min(int(share * BINS), BINS - 1)
                self._worst_ms[at] = max(self._worst_ms[at], (message.stamps_ns[-1] - message.t_ns) / NS_PER_MS)
            case _:
                pass
