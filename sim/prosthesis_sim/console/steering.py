"""What a person can do from the console: each verb takes the way that exists, and says so where it starts anew."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from prosthesis.config import load_rig
from prosthesis.errors import ConfigError, ProsthesisError
from prosthesis.links.zmq import DEVICE_TAPS
from prosthesis.processes import free_port
from prosthesis.recording.recorder import Recorder
from prosthesis.tone import Tone
from prosthesis_sim.console.children import Address, Child
from prosthesis_sim.console.hearing import endpoints
from prosthesis_sim.console.model import Model
from prosthesis_sim.console.setup import OWN, Menu, Setup, first_setup, menu, own_task
from prosthesis_sim.console.side import Side
from prosthesis_sim.console.stopway import StopWay
from prosthesis_sim.faults.catalogue import parse_fault

WATCHING = "this console only watches; start it with 'prosthesis view RIG' to steer"


class Steering:
    """One or two sides and the verbs that change them; verbs may be called from any thread, one at a time.

    Each returns one sentence for the person who asked. Raises ``ProsthesisError`` when it cannot be done.
    """

    def __init__(self, side: Side, stop_way: StopWay, folder: Path) -> None:
        self.sides: dict[str, Side] = {"a": side}
        self.menu: Menu = menu(side.rig)
        self.tone = Tone()
        self.busy = ""
        self.faults: list[str] = []
        self._stop_way, self._folder = stop_way, folder
        self._lock = threading.RLock()
        self._recorder: Recorder | None = None
        self.recording: Path | None = None
        self._aim()

    # what the page shows

    @property
    def setup(self) -> Setup:
        """Side a's setup."""
        return self.sides["a"].setup

    @property
    def watching(self) -> bool:
        """Whether nothing here is ours to steer."""
        return self.sides["a"].pair is None

    def now_ns(self) -> int:
        """Return the time of models."""
        return time.monotonic_ns()

    def models(self) -> dict[str, Model]:
        """Return each side's model."""
        return {name: side.model for name, side in list(self.sides.items())}

    def geometry(self) -> tuple[str, dict[str, Any]]:
        """Return each side's fixed places, and a word that changes when they do."""
        sides = list(self.sides.items())
        return "-".join(f"{name}{id(side)}.{side.version}" for name, side in sides), {
            name: side.geometry for name, side in sides
        }

    def status(self) -> dict[str, Any]:
        """Return what was chosen, ready for JSON."""
        return {
            "mode": "live",
            "busy": self.busy,
            "watching": self.watching,
            "recording": self.recording.name if self.recording else None,
            "faults": list(self.faults),
            "setups": {name: _said(side) for name, side in list(self.sides.items())},
        }

    # verbs

    def stop(self) -> str:
        """Stop every implant; waits for no other verb."""
        took = self._stop_way.press()
        for side in list(self.sides.values()):
            if side.pair is not None and side.pair.run is not None:
                side.pair.run.say("stop")
        return "STOP sent" if took else "STOP sent to the devices; the STOP process does not answer"

    def arm(self) -> str:
        """Let devices arm their implants again after a STOP; one that latched a fault is reset first."""
        sides = self._ours()
        self._stop_way.relent()
        for side in sides:
            health = side.model.health
            if health is not None and health.state.name == "LOCKED":
                self._say(side, "reset")
            self._say(side, "arm")
        return "arming"

    def choose_task(self, task: str) -> str:
        """Put a task in force: between two frames where it is loaded, else by a new start of the device."""
        with self._lock:
            side = self._ours()[0]
            task = own_task(side.rig) if task == OWN else task
            if task == side.setup.task:
                return f"task is '{task}' already"
            if side.pair and task in side.pair.tasks and side.pair.run and side.pair.run.ended is None:
                self._say(side, f"task {task}")
                side.note_task(task)
                return f"task '{task}' from the next frame on"
            return self._anew(
                f"starting the device anew with '{task}'",
                lambda: side.restart_device(replace(side.setup, task=task)),
            )

    def choose_patient(self, world: str | None = None, patient: int | None = None) -> str:
        """Put another patient behind the implant: the patient starts anew, the device finds it by itself."""
        with self._lock:
            side = self._ours()[0]
            setup = replace(
                side.setup,
                world=side.setup.world if world is None else world,
                patient=side.setup.patient if patient is None else patient,
            )
            if setup == side.setup:
                return "this patient is there already"
            self._patient(side)
            who = f"patient {setup.patient} of {setup.world or side.rig.config.world}"
            return self._anew(f"starting {who}", lambda: side.restart_patient(setup))

    def choose_rig(self, rig: str) -> str:
        """Take another rig: array, stimulator, link and patient with it; both start anew."""
        with self._lock:
            side = self._ours()[0]
            if rig == side.setup.rig:
                return f"the rig is {rig} already"
            self._patient(side)
            setup = replace(first_setup(rig), source=side.setup.source)
            self.compare(None)
            said = self._anew(f"starting device and patient anew as {rig}", lambda: side.restart(setup))
            self.menu = menu(side.rig)
            self.faults.clear()
            return said

    def choose_link(self, air: str) -> str:
        """Take another link preset; both ends start anew, for both must know it."""
        with self._lock:
            side = self._ours()[0]
            if air == (side.setup.air or side.rig.link.name):
                return f"the link is {air} already"
            self._patient(side)
            setup = replace(side.setup, air=air)
            return self._anew(f"starting both ends anew on {air}", lambda: side.restart(setup))

    def set_tone(self, brightness: float, contrast: float) -> str:
        """Set brightness and contrast of what encoders see, from the next frame on."""
        tone = Tone(brightness, contrast)
        with self._lock:
            for side in self._ours():
                self._say(side, f"tone brightness={tone.brightness:g} contrast={tone.contrast:g}")
            self.tone = tone
            return f"brightness {brightness:+.2f}, contrast {contrast:.2f}"

    def inject(self, words: str) -> str:
        """Put a fault into side a's patient and link: its kind, then key=value, as 'sim --live' takes it."""
        with self._lock:
            fault = parse_fault(words)
            side = self._ours()[0]
            self._patient(side).say(words)
            self.faults.append(words)
            return f"fault {fault.kind.value} put in"

    def clear_faults(self) -> str:
        """End all faults."""
        with self._lock:
            for side in self._ours():
                if side.pair is not None and side.pair.sim is not None:
                    side.pair.sim.say("clear")
            self.faults.clear()
            return "all faults ended"

    def compare(self, other: str | None) -> str:
        """Put a second device and patient beside, fed with the first one's frames; ``None`` takes them away.

        ``other`` is what differs: ``task NAME``, ``world NAME`` or ``patient NUMBER``.
        """
        with self._lock:
            beside = self.sides.pop("b", None)
            if beside is not None:
                beside.close()
                self._aim()
            if other is None:
                return "one device"
            side = self._ours()[0]
            tap = f"tap:127.0.0.1:{side.address.port + DEVICE_TAPS}"
            setup = _differs(replace(side.setup, source=tap), other, side)

            def start() -> None:
                self.sides["b"] = Side("b", setup, Address("127.0.0.1", free_port()), ours=True)

            return self._anew(f"starting a second device and patient: {other}", start)

    def record(self, on: bool, path: Path | None = None) -> str:
        """Record side a's taps to ``path``, or a new file in the folder of recordings; or finish the file."""
        with self._lock:
            if on is (self._recorder is not None):
                return "as it was"
            if self._recorder is not None:
                recorder, done = self._recorder, self.recording
                self._recorder, self.recording = None, None
                recorder.stop()
                return f"recorded {done}"
            side = self.sides["a"]
            path = path or self._folder / time.strftime(f"{Path(side.setup.rig).stem}_%Y-%m-%d_%H-%M-%S.mcap")
            path.parent.mkdir(parents=True, exist_ok=True)
            listening = endpoints(side.address.host, side.address.port)
            self._recorder, self.recording = Recorder(path, listening, _about(side)), path
            return f"recording to {path}"

    def tend(self) -> None:
        """Look after children: what ended soon after a change is taken back, and said."""
        self._stop_way.tend()
        if not self._lock.acquire(blocking=False):
            return
        try:
            for side in list(self.sides.values()):
                why = side.tend()
                if why is None:
                    continue
                if side.good is not None and side.young and side.good != side.setup:
                    good = side.good
                    side.restart(good)
                    side.tell(f"{why}; back to what ran before", "error")
                    self.menu = menu(self.sides["a"].rig)
                elif not side.young:
                    side.restart(side.setup)
                    side.tell(f"{why}; started again", "error")
        finally:
            self._lock.release()

    def close(self) -> None:
        """End everything that is ours."""
        if self._recorder is not None:
            self._recorder.stop()
        for side in self.sides.values():
            side.close()
        self._stop_way.close()

    def _ours(self) -> list[Side]:
        if self.watching:
            raise ConfigError(WATCHING)
        return list(self.sides.values())

    def _anew(self, what: str, start: Any) -> str:
        self.busy = what
        self.sides["a"].tell(what)
        try:
            start()
            self._aim()
        finally:
            self.busy = ""
        return what

    def _aim(self) -> None:
        self._stop_way.aim([side.implant for side in self.sides.values()])

    @staticmethod
    def _patient(side: Side) -> Child:
        if side.pair is None or side.pair.sim is None:
            raise ConfigError("the implant is elsewhere, so its patient, links and faults are not ours to choose")
        return side.pair.sim

    @staticmethod
    def _say(side: Side, line: str) -> None:
        if side.pair is None or side.pair.run is None or not side.pair.run.say(line):
            raise ProsthesisError("the device is not running; wait a moment")


def _said(side: Side) -> dict[str, Any]:
    setup = side.setup
    return {
        "rig": setup.rig,
        "task": setup.task,
        "world": setup.world or side.rig.config.world,
        "patient": setup.patient,
        "link": side.rig.link.name,
        "source": setup.source or side.rig.config.camera.source,
    }


def _differs(setup: Setup, other: str, side: Side) -> Setup:
    what, _, value = other.partition(" ")
    if what == "task" and value:
        return replace(setup, task=own_task(side.rig) if value == OWN else value)
    if what == "world" and value:
        return replace(setup, world=value)
    if what == "patient" and value.isdecimal():
        return replace(setup, patient=int(value))
    raise ConfigError(f"'{other}': say task NAME, world NAME or patient NUMBER")


def _about(side: Side) -> dict[str, str]:
    rig = load_rig(side.setup.rig, air=side.setup.air)
    return {
        "rig": rig.config.name,
        "rig_file": str(rig.path),
        "source": side.setup.source or rig.config.camera.source,
        "model": side.setup.task,
        "calibration": rig.calibration.digest,
        "stimulator": rig.stimulator.name,
        "link": rig.link.name,
        "world": side.setup.world or rig.config.world,
        "patient": str(side.setup.patient),
    }
