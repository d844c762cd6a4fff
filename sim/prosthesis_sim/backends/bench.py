"""A patient on the bench: an emulated stimulator wired to the electrodes of a rig's simulated patient."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.config import Rig, StimulatorConfig, find, load_rig
from prosthesis.messages import Delivered
from prosthesis.stimulator.model import EventKind
from prosthesis.stimulator.profile import capabilities
from prosthesis.yamlfile import load_model
from prosthesis_sim.backends.intan import IntanServer
from prosthesis_sim.backends.stimulator import EmulatedStimulator
from prosthesis_sim.electrodes import place
from prosthesis_sim.patient import load_world
from prosthesis_sim.world import World

REPORT_S = 0.25


def stimulator_of(profile: str, now_ns: Callable[[], int], **options: object) -> EmulatedStimulator:
    """Return the emulator of a shipped profile, or of a file; ``options`` are the emulator's."""
    config = load_model(StimulatorConfig, find("stimulators", profile))
    return EmulatedStimulator(capabilities(config), now_ns, **options)  # type: ignore[arg-type]


class BenchPatient:
    """A rig's patient whose electrode k hangs on the stimulator's output k; further outputs hang in the air."""

    def __init__(self, rig: Rig, patient: int = 0) -> None:
        config = load_world(rig.config.world, rig.path.parent)
        self.world = World(config, place(rig.config.implant, rig.array), patient)
        self.electrodes = rig.electrodes

    def feel(self, piece: Delivered) -> None:
        """Live through one piece of what the stimulator delivered."""
        self.world.step(
            replace(
                piece,
                amplitude_ua=self._wired(piece.amplitude_ua),
                pulse_width_us=self._wired(piece.pulse_width_us),
                pulses=self._wired(piece.pulses),
                slot=self._wired(piece.slot),
            )
        )

    def _wired(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        wired = np.zeros(self.electrodes, values.dtype)
        given = min(self.electrodes, len(values))
        wired[:given] = values[:given]
        return wired

    def visible(self) -> int:
        """Return how many phosphenes are seen now."""
        return int(np.count_nonzero(self.world.brightness() > 0))


def serve_intan(
    profile: str,
    port: int,
    rig_name: str | None = None,
    until: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda text: None,
    host: str = "127.0.0.1",
) -> None:
    """Answer RHX's commands at ``host:port`` with an emulated controller, and a patient on it if a rig is named.

    ``say`` gets one line for each start and for each change of what is seen. ``LinkError`` when the port is taken.
    """
    person = BenchPatient(load_rig(rig_name, uncalibrated=True)) if rig_name else None
    feel = person.feel if person else lambda piece: None
    stimulator = stimulator_of(profile, time.monotonic_ns, on_delivered=feel)
    if person:
        person.world.warm_up()
    server = IntanServer(stimulator, host, port)
    say(f"{Path(profile).stem}: {stimulator.capabilities.electrodes} channels listen at {host}:{server.port}")
    due, seen = 0.0, 0

    def watch() -> bool:
        nonlocal due, seen
        if time.monotonic() >= due:
            due = time.monotonic() + REPORT_S
            starts = [event for event in stimulator.events() if event.kind is EventKind.START]
            if starts:
                say(f"{len(starts)} trains started, the first at {starts[0].t_ns} ns")
            if person and person.visible() != seen:
                seen = person.visible()
                say(f"{seen} phosphenes seen")
        return until()

    server.run(watch)
