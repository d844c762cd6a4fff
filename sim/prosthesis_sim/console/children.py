"""The console's own processes: a simulated patient and a device, told what to do by lines on their standard input."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from prosthesis.config import load_rig
from prosthesis_sim.console.setup import Setup, at_hand

END_S, FAREWELL_S = 5.0, 0.15
Hear = Callable[[str, str], None]  # who, and one line


class Child:
    """One ``prosthesis VERB`` beside us; ``hear(name, line)`` gets what it writes to its standard error."""

    def __init__(self, name: str, arguments: list[str], hear: Hear) -> None:
        self.name, self.last = name, ""
        self._hear = hear
        self.process = subprocess.Popen(
            [sys.executable, "-m", "prosthesis", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C at our terminal is ours to pass on
        )
        threading.Thread(target=self._read, name=f"{name} said", daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stderr or ():
            if line.strip():
                self.last = line.strip()
                self._hear(self.name, self.last)

    def say(self, line: str) -> bool:
        """Send one line; ``False`` when it has gone."""
        if self.process.stdin is None:
            return False
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except (OSError, ValueError):
            return False
        return True

    @property
    def ended(self) -> int | None:
        """Its exit code, ``None`` while it runs."""
        return self.process.poll()

    def end(self, farewell: str | None = None) -> None:
        """Ask it to end, and see to it; ``farewell`` is a last line, which it gets a moment to obey."""
        if farewell is not None and self.ended is None and self.say(farewell):
            time.sleep(FAREWELL_S)
        self.process.terminate()
        with contextlib.suppress(OSError):  # it may have gone before it read its last line
            if self.process.stdin is not None:
                self.process.stdin.close()
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass(frozen=True, slots=True)
class Address:
    """Where an implant listens: ``port`` is the first of its six."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Pair:
    """A device and, unless its implant is elsewhere, a patient for it; the patient is there first.

    ``patient`` false leaves the implant at ``address`` to others.
    """

    def __init__(self, name: str, address: Address, hear: Hear, *, patient: bool = True) -> None:
        self.name, self.address = name, address
        self._hear, self._own_patient = hear, patient
        self.sim: Child | None = None
        self.run: Child | None = None
        self.tasks: tuple[str, ...] = ()

    def start(self, setup: Setup) -> None:
        """Start what is ours; the device waits for the patient by itself."""
        self.start_patient(setup)
        self.start_device(setup)

    def start_patient(self, setup: Setup) -> None:
        """Start the patient, or another one in its place; the device finds it again by itself."""
        if not self._own_patient:
            return
        self._end(self.sim)
        command = ["sim", setup.rig, "--port", str(self.address.port), "--live", "--patient", str(setup.patient)]
        command += ["--day", f"{setup.day:g}", *_option("--world", setup.world), *_option("--air", setup.air)]
        self.sim = Child(f"patient {self.name}", command, self._hear)

    def start_device(self, setup: Setup) -> None:
        """Start the device, or another one in its place."""
        self._end(self.run, "stop")
        self.tasks = at_hand(load_rig(setup.rig), setup.task)
        command = ["run", setup.rig, "--link", str(self.address), "--live", "--headless"]
        command += ["--task", ",".join(self.tasks), *_option("--source", setup.source), *_option("--air", setup.air)]
        self.run = Child(f"device {self.name}", command, self._hear)

    def end(self) -> None:
        """End both, the device first: it tells the implant to stop."""
        self._end(self.run, "stop")
        self._end(self.sim)

    @staticmethod
    def _end(child: Child | None, farewell: str | None = None) -> None:
        if child is not None:
            child.end(farewell)


def _option(name: str, value: str | None) -> list[str]:
    return [name, value] if value else []
