"""One device and its patient as the console sees them: processes, taps, model, what was chosen, what is fixed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from prosthesis.config import Rig, load_rig
from prosthesis.links.zmq import plain
from prosthesis_sim.console.children import Address, Child, Pair
from prosthesis_sim.console.geometry import describe
from prosthesis_sim.console.hearing import Hearing, endpoints
from prosthesis_sim.console.model import Model
from prosthesis_sim.console.setup import Setup

SETTLED_S = 10.0  # a child that ends sooner than this after a change did not like the change
# said by taps as well, or only an answer to what we told it
NOISE = ("task is now", "task '", "brightness ", "session with the implant opened", "implant is ", "told to stop")


class Side:
    """Side ``name`` ("a" or "b"); ``pair`` is ``None`` where the console only watches."""

    def __init__(self, name: str, setup: Setup, address: Address, *, ours: bool, patient: bool = True) -> None:
        self.name, self.setup, self.address = name, setup, address
        self.good: Setup | None = None
        self.changed_s = time.monotonic()
        self.model = Model()
        self.rig: Rig = load_rig(setup.rig, air=setup.air)
        self.geometry: dict[str, Any] = describe(self.rig, setup.world or self.rig.config.world)
        self.version = 0
        self.pair = Pair(name, address, self._hear, patient=patient) if ours else None
        if self.pair:
            self.pair.start(setup)
        self._hearing = Hearing(self.model, endpoints(address.host, address.port))

    def _hear(self, who: str, line: str) -> None:
        if not line.startswith(NOISE):
            level = "error" if line.startswith("prosthesis: ") else "info"
            self.tell(line.removeprefix("prosthesis: "), level, who)

    def tell(self, text: str, level: str = "info", source: str = "console") -> None:
        """Add one sentence to this side's events."""
        self.model.tell(time.monotonic_ns(), source, level, text)

    @property
    def implant(self) -> str:
        """Its address as the STOP process takes it."""
        return f"{self.address}/plain" if plain(self.rig.link) else str(self.address)

    def change(self, setup: Setup, start: Callable[[Pair], Callable[[Setup], None]]) -> None:
        """Take ``setup``, start anew what ``start`` picks of the pair, and begin to count afresh where it matters."""
        rig = load_rig(setup.rig, air=setup.air)
        geometry = describe(rig, setup.world or rig.config.world)
        if self.pair is not None:
            start(self.pair)(setup)
        # what was measured with other parts says nothing about these
        events = self.model.events
        if start is not _device:
            self._hearing.close()
            self.model = Model()
            self.model.events.extend(events)
            self.model.said = len(events)
            self._hearing = Hearing(self.model, endpoints(self.address.host, self.address.port))
        self.setup, self.rig, self.geometry = setup, rig, geometry
        self.version += 1
        self.changed_s = time.monotonic()

    def restart_device(self, setup: Setup) -> None:
        """Start the device anew; patient and counts stay."""
        self.change(setup, _device)

    def restart_patient(self, setup: Setup) -> None:
        """Start the patient anew; the device finds it again."""
        self.change(setup, _patient)

    def restart(self, setup: Setup) -> None:
        """Start both anew."""
        self.change(setup, _both)

    def note_task(self, task: str) -> None:
        """Remember the task that a running device was told to change to."""
        self.setup = replace(self.setup, task=task)

    def tend(self) -> str | None:
        """Look after the children; return why one ended, which a caller may undo by ``good``."""
        if self.pair is None:
            return None
        young = time.monotonic() - self.changed_s < SETTLED_S
        for child in (self.pair.run, self.pair.sim):
            if child is not None and child.ended is not None:
                return _obituary(child)
        if not young:
            self.good = self.setup
        return None

    @property
    def young(self) -> bool:
        """Whether the last change was only just made."""
        return time.monotonic() - self.changed_s < SETTLED_S

    def close(self) -> None:
        """End children and listening."""
        if self.pair is not None:
            self.pair.end()
        self._hearing.close()


def _device(pair: Pair) -> Callable[[Setup], None]:
    return pair.start_device


def _patient(pair: Pair) -> Callable[[Setup], None]:
    return pair.start_patient


def _both(pair: Pair) -> Callable[[Setup], None]:
    return pair.start


def _obituary(child: Child) -> str:
    why = child.last.removeprefix("prosthesis: ") or "no reason given"
    return f"the {child.name} ended with code {child.ended}: {why}"
