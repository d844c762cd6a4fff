"""Rerun the hops of a recording and compare every later message with the recorded one: regression tests from logs.

The first hop gets its recorded input, every later one what the hop before has made now. Time is the recording's, so
nothing waits. The world's hops are brought by its own room (``prosthesis_sim.rerun``).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from prosthesis.airtime import AirTime
from prosthesis.assembly import open_way, radio_of
from prosthesis.config import Rig
from prosthesis.encoders.switching import Switchboard
from prosthesis.errors import ConfigError, MissingExtraError, ProsthesisError
from prosthesis.glance import QuickGuard
from prosthesis.limits import guard_limits
from prosthesis.messages import (
    About,
    Delivered,
    Evoked,
    GuardReport,
    Heard,
    Intervention,
    Message,
    Percept,
    StimulationPattern,
    readonly,
)
from prosthesis.recording.identity import encoders_of, measured_rig, model_digest, recorded_rig
from prosthesis.recording.recorder import entries, metadata
from prosthesis.recording.told import Told, told
from prosthesis.recording.tolerances import Compared, differences, is_beyond
from prosthesis.solver import open_modulator
from prosthesis.timing import NS_PER_S
from prosthesis.tone import Tone
from prosthesis.view import make_view
from prosthesis.wire import U16, Configuration

HOPS = ("encoder", "translator", "modulator", "guard", "implant", "percept")
WORLD = HOPS[4:]
MAKES = {
    "encoder": ("machine_code",),
    "translator": ("brain_code",),
    "modulator": ("wanted",),
    "guard": ("allowed", "guard"),
    "implant": ("delivered",),
    "percept": ("percept", "evoked"),
}
PASSAGE = ("frame", "machine_code", "brain_code", "wanted", "allowed", "guard", "hops")
DEVICE = (*PASSAGE, "about")
THREADED = ("text", "face", "obstacle", "layered")
LATE_NS = 2 * NS_PER_S  # a pattern that is not in the recording so long after it was heard never will be
PROGRESS_S = 2.0
Say = Callable[[str], None]


class Patient(Protocol):
    """The world's hops of one recording; see ``prosthesis_sim.rerun.Patient``."""

    def hear(self, heard: Heard, codes: U16 | None) -> None:
        """Obey what was obeyed; ``codes`` of a pattern, ``None`` when it is not known."""
        ...

    def deliver(self, recorded: Delivered, again: bool) -> Delivered | None:
        """Live through one interval, ``again`` by the implant or as recorded; ``None`` when it cannot be compared."""
        ...

    def see(self, recorded: Percept) -> Percept:
        """Return what is seen now."""
        ...

    def evoked(self, recorded: Evoked) -> Evoked:
        """Return what the sites do now."""
        ...


MakePatient = Callable[[Rig, Mapping[str, str], Configuration], Patient]


@dataclass(frozen=True, slots=True)
class Rerun:
    """What came of it: ``rows`` by topic, ``notes`` on what else is not as recorded; not ``sound`` if damaged."""

    first: str
    last: str
    rows: list[Compared]
    notes: list[str]
    seconds: float
    sound: bool

    @property
    def holds(self) -> bool:
        """Whether something was compared, to the end, and nothing is beyond its tolerance."""
        return (
            self.sound and any(row.same + row.within for row in self.rows) and not any(row.beyond for row in self.rows)
        )


def rerun(
    log: Path,
    first: str | None = None,
    last: str | None = None,
    rig_name: str | None = None,
    patient: MakePatient | None = None,
    say: Say = lambda text: None,
) -> Rerun:
    """Rerun hops ``first`` to ``last`` (of ``HOPS``; default all that can be) of a recording.

    ``rig_name`` takes another rig's parts in the recorded one's place. ``patient`` makes the world's hops. Raises
    ``ConfigError`` when the recording lacks what is needed, ``MissingExtraError`` without the world.
    """
    about = metadata(log)
    rig = recorded_rig(log, about, rig_name)
    encoders = encoders_of(about, log) if first in (None, "encoder", "translator") else {}
    first, last, notes = _span(first, last, patient, {config.type for config in encoders.values()}, about)
    chosen = HOPS[HOPS.index(first) : HOPS.index(last) + 1]
    loaded = encoders if chosen[0] in ("encoder", "translator") else {}
    notes += [
        f"the model of task '{name}' has changed since"
        for (name, config), then in zip(loaded.items(), about.get("model_sha256", "").split(", "), strict=False)
        if model_digest(config) != then
    ]
    view = make_view(rig.config.view, rig.config.camera, rig.calibration)
    board = Switchboard({name: open_way(rig, view, config) for name, config in loaded.items()}) if loaded else None
    beside = told(log)
    device = _Device(rig, chosen, board, beside)
    world = patient(rig, about, device.configuration) if patient and set(chosen) & set(WORLD) else None
    return Rerun(first, last, *_Run(device, world, chosen, rig, beside, say).all(log, notes))


def _span(
    first: str | None, last: str | None, patient: MakePatient | None, types: set[str], about: Mapping[str, str]
) -> tuple[str, str, list[str]]:
    """Return the first and last hop, and what is to be said of the choice."""
    notes = []
    threaded = sorted(types & set(THREADED))
    if threaded and first == "encoder":
        raise ConfigError(
            f"the encoder '{threaded[0]}' works in a thread of its own, so what it says depends on this machine's "
            "speed; start after it: --from translator"
        )
    if first is None and threaded:
        notes.append(f"the encoder '{threaded[0]}' depends on the machine's speed and was not rerun")
        first = "translator"
    able = patient is not None and "sim_world_config" in about
    if last is None:
        last = HOPS[-1] if able else "guard"
        if not able:
            notes.append("the patient was not rerun: " + _why_not(patient))
    elif last in WORLD and not able:
        error = MissingExtraError if patient is None else ConfigError
        raise error(f"--to {last}: {_why_not(patient)}")
    first = first or HOPS[0]
    if HOPS.index(first) > HOPS.index(last):
        raise ConfigError(f"--from {first} is after --to {last}; the order is {', '.join(HOPS)}")
    if faults := about.get("sim_faults"):
        notes.append(f"faults were put into this run ({faults}), which a rerun does not have")
    return first, last, notes


def _why_not(patient: MakePatient | None) -> str:
    if patient is None:
        return "the simulated patient is not installed; run: pip install 'prosthesis[sim]'"
    return "the recording does not say who the patient was (no simulated one, or an older version's)"


class _Device:
    """The device's hops, wired as in ``pipeline.py``; ``carry`` runs the chosen ones on one recorded passage."""

    def __init__(self, rig: Rig, chosen: tuple[str, ...], board: Switchboard | None, beside: Told) -> None:
        self._chosen, self._board = chosen, board
        self._changes, self._silences, self.unknown = deque(beside.changes), deque(beside.silences), beside.unknown
        self._modulator, self._guard = open_modulator(rig), QuickGuard(guard_limits(rig))
        self.configuration = self._modulator.configuration
        self._air = AirTime(self.configuration, radio_of(rig), rig.link.air_ms)
        self._state, self._last_ns = self._guard.initial(), 0

    def be_guarded_by(self, measured: Rig) -> None:
        """Guard by the impedances that the device measured, from now on."""
        self._guard = QuickGuard(guard_limits(measured))

    def carry(self, said: dict[str, Any]) -> tuple[dict[str, Message], U16 | None]:
        """Return the messages made again of one frame, by topic, and the codes of its pattern if there is one."""
        made: dict[str, Message] = {}
        seq = next(iter(said.values())).seq
        self._change(seq)
        self._be_silent(seq)

        def given(topic: str) -> Any:
            return made.get(topic, said.get(topic))

        if "encoder" in self._chosen and self._board and (frame := said.get("frame")) is not None:
            at_ns = said["hops"].stamps_ns[0] if "hops" in said else frame.t_ns
            made["machine_code"] = self._board.encode(frame, at_ns)
        if "translator" in self._chosen and self._board and (code := given("machine_code")) is not None:
            made["brain_code"] = self._board.translate(code)
        if "modulator" in self._chosen and (brain := given("brain_code")) is not None:
            made["wanted"] = self._modulator.modulate(brain)
        if (wanted := given("wanted")) is not None and "guard" in self._chosen:
            allowed, found = self._allow(wanted)
            made["allowed"], lost = self._modulator.fit(allowed)
            cut = self._air.fit(self._modulator.codes(given("allowed")))[1]
            made["guard"] = GuardReport(wanted.seq, wanted.t_ns, found + lost + cut)
        elif "guard" in self._chosen and not self.forgets(seq):
            self.unknown = seq
        allowed = given("allowed")
        return made, None if allowed is None else self.codes(allowed)

    def forgets(self, seq: int) -> bool:
        """Tell whether something is missing before frame ``seq`` that the guard remembered in the recorded run."""
        return self.unknown is not None and self.unknown < seq

    def codes(self, allowed: StimulationPattern) -> U16:
        """Return what is sent of an allowed pattern."""
        return self._air.fit(self._modulator.codes(allowed))[0]

    def _allow(self, wanted: StimulationPattern) -> tuple[StimulationPattern, tuple[Intervention, ...]]:
        elapsed_ns = wanted.t_ns - self._last_ns if self._last_ns else 0
        self._last_ns = wanted.t_ns
        allowed, found, self._state = self._guard.allow(wanted, self._state, elapsed_ns * 1e-9)
        return allowed, found

    def _change(self, seq: int) -> None:
        """Put in force what was changed up to frame ``seq``, also where the frame that it began with is missing."""
        while self._changes and self._changes[0][0] <= seq:
            change = self._changes.popleft()[1]
            if self._board and isinstance(change, Tone):
                self._board.see(change)
            elif self._board and isinstance(change, str):
                self._board.choose(change)
                self._board.turn()

    def _be_silent(self, seq: int) -> None:
        """Let the guard remember the silence in place of frames that were refused before frame ``seq``."""
        while self._silences and self._silences[0][0] < seq:
            self._allow(self._modulator.silent(*self._silences.popleft()))


class _Run:
    """One pass over a recording."""

    def __init__(
        self, device: _Device, world: Patient | None, chosen: tuple[str, ...], rig: Rig, beside: Told, say: Say
    ) -> None:
        self._device, self._world, self._chosen, self._beside, self._say = device, world, chosen, beside, say
        self._rig, self._lsb_ua, self._measured = rig, rig.stimulator.lsb_na / 1000, rig.calibration.digest
        self._forgiven = 0
        self._rows = {topic: Compared(topic) for hop in chosen for topic in MAKES[hop]}
        silent = readonly(np.zeros(device.configuration.electrodes), np.uint16)
        self._codes: dict[int, U16 | None] = {seq: silent for seq, _ in beside.silences}
        self._passage: dict[str, Any] = {}
        self._waiting: deque[tuple[int, Message]] = deque()
        self._newest = 0

    def all(self, log: Path, notes: list[str]) -> tuple[list[Compared], list[str], float, bool]:
        """Return the comparison, the notes, how many seconds were recorded, and whether the file is sound."""
        wanted = list(DEVICE) if self._world is None else [*DEVICE, "heard", "delivered", "percept", "evoked"]
        began_ns = last_ns = 0
        sound = True
        told_s = time.monotonic()
        try:
            for entry in entries(log, wanted):
                began_ns, last_ns = began_ns or entry.log_ns, entry.log_ns
                self._take(entry.topic, entry.message, entry.log_ns)
                if time.monotonic() - told_s > PROGRESS_S:
                    told_s = time.monotonic()
                    self._say(f"{(last_ns - began_ns) / NS_PER_S:.0f} s of the recording rerun")
        except ProsthesisError as error:
            if not began_ns:
                raise
            sound = False
            notes.append(str(error))
        self._carry()
        self._drain(1 << 62)
        notes += self._remarks()
        return list(self._rows.values()), notes, (last_ns - began_ns) / NS_PER_S, sound

    def _take(self, topic: str, message: Message, log_ns: int) -> None:
        if isinstance(message, About):  # the world's own may come between two of one frame's messages
            self._measure(message)
        elif topic not in PASSAGE:
            self._waiting.append((log_ns, message))
        else:
            if self._passage and next(iter(self._passage.values())).seq != message.seq:
                self._carry()
            self._passage[topic] = message
            if topic == PASSAGE[-1]:
                self._carry()
        self._drain(log_ns)

    def _measure(self, about: About) -> None:
        """Guard by what the device measured, once: it says so again and again, for those who come late."""
        measured = measured_rig(self._rig, about)
        if measured is not None and measured.calibration.digest != self._measured:
            self._measured = measured.calibration.digest
            self._carry()
            self._device.be_guarded_by(measured)

    def _carry(self) -> None:
        said, self._passage = self._passage, {}
        if not said:
            return
        self._newest = next(iter(said.values())).seq
        made, codes = self._device.carry(said)
        for topic, again in made.items():
            if topic not in said:
                self._rows[topic].skipped += 1
            elif self._unsure(topic, said[topic], again):
                self._rows[topic].skipped += 1
                self._forgiven += 1
                if isinstance(allowed := said.get("allowed"), StimulationPattern):
                    codes = self._device.codes(allowed)  # the patient gets what was surely sent
            else:
                self._rows[topic].count(said[topic], again, self._lsb_ua)
        if self._world is not None:
            self._codes[self._newest] = codes
            self._codes.pop(self._newest - 500, None)

    def _unsure(self, topic: str, recorded: Message, again: Message) -> bool:
        """Tell whether a difference may come from what the guard remembers of frames that the recording lacks."""
        may = topic in MAKES["guard"] and self._device.forgets(self._newest)
        return may and is_beyond(topic, differences(topic, recorded, again, self._lsb_ua))

    def _remarks(self) -> Iterator[str]:
        """Yield what is to be said of the comparison."""
        if self._forgiven:
            yield (
                f"frames from {self._device.unknown} on are missing in the recording, which the guard may have "
                f"remembered: {self._forgiven} of its messages that differ after them were skipped"
            )
        code = self._rows.get("machine_code")
        if code and code.beyond and any(isinstance(change, Tone) for _, change in self._beside.changes):
            yield "brightness and contrast are recorded in hundredths; those set finer are not rerun exactly"

    def _drain(self, now_ns: int) -> None:
        """Let the world live on as far as the patterns it heard have been read; the two ends' messages come mixed."""
        while self._waiting and self._world is not None:
            log_ns, message = self._waiting[0]
            known = not isinstance(message, Heard) or message.what != "tiles" or message.seq in self._codes
            if not known and message.seq > self._newest and now_ns - log_ns < LATE_NS:
                return
            self._waiting.popleft()
            for topic, recorded, again in self._lived(self._world, message):
                if again is None:
                    self._rows[topic].skipped += 1
                else:
                    self._rows[topic].count(recorded, again, self._lsb_ua)

    def _lived(self, world: Patient, message: Message) -> Iterator[tuple[str, Message, Message | None]]:
        seen = "percept" in self._chosen
        match message:
            case Heard():
                world.hear(message, self._codes.get(message.seq))
            case Delivered():
                again = world.deliver(message, "implant" in self._chosen)
                if "implant" in self._chosen:
                    yield "delivered", message, again
            case Percept() if seen:
                yield "percept", message, world.see(message)
            case Evoked() if seen:
                yield "evoked", message, world.evoked(message)
            case _:
                pass
