"""The whole path on one machine: the world in a second process, the device in this one, then a report."""

from __future__ import annotations

import datetime
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from prosthesis.assembly import open_bijective, run_rig, with_choices
from prosthesis.bundles.bundle import load_bundle
from prosthesis.config import Rig, load_rig
from prosthesis.engines import open_engine
from prosthesis.errors import ConfigError, LinkError
from prosthesis.links.keys import load_keys
from prosthesis.links.zmq import PARTICIPANT
from prosthesis.messages import F32, U8
from prosthesis.pipeline import Passage
from prosthesis.processes import free_port, running
from prosthesis.recording.identity import recorded_rig
from prosthesis.recording.recorder import metadata
from prosthesis.runtime import RunSummary
from prosthesis_sim.film import Painter, Stage, make_film
from prosthesis_sim.loop import LoopStage, Reader, summarise_loop
from prosthesis_sim.report import write_report

Say = Callable[[str], None]
START_S = 30.0


@dataclass(frozen=True, slots=True)
class Choices:
    """What to use instead of the rig's own camera, encoder model, patient and link."""

    source: str | None = None
    task: str | None = None
    world: str | None = None
    air: str | None = None


def demo(rig_name: str, seconds: float, choices: Choices, out: Path, say: Say, *, loop: bool = False) -> Path:
    """Run the rig for ``seconds`` against a simulated patient; return the folder with film, report and recording.

    ``loop`` insists on a rig whose code map can be read back. Raises ``ProsthesisError`` with one line when a part
    cannot work.
    """
    load_keys("device")  # made now if this is the first use, before two processes look for them
    port = free_port()
    rig = with_choices(
        load_rig(rig_name, air=choices.air), choices.source, choices.task, port=port, world=choices.world
    )
    if loop:
        open_reader(rig)  # now, for it would be told only after the run
    folder = out / datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "run.mcap"
    patient = [*(["--world", choices.world] if choices.world else []), *(["--air", choices.air] if choices.air else [])]
    with running("-m", "prosthesis", "sim", rig_name, "--port", str(port), *patient) as world:
        _await_listening(world, port)
        summary = run_rig(rig, record=log, on_frame=_Progress(seconds, world, say))
    if not summary.sent:
        raise LinkError(f"the simulated patient did not take part ({'; '.join(summary.events) or 'no reason given'})")
    say("drawing the film and the report")
    report(log, folder, rig_name, say)
    return folder


def report(log: Path, folder: Path, rig_name: str | None, say: Say) -> None:
    """Write film and report of a recording into ``folder``; of a rig with a code map, those of the closed loop."""
    rig = recorded_rig(log, metadata(log), rig_name)
    folder.mkdir(parents=True, exist_ok=True)
    painter: Painter = Stage(rig)
    loop, name = None, "percept"
    if rig.config.translator.type == "bijective":
        reader = open_reader(rig)
        painter, name = LoopStage(rig, reader), "loop"
        loop = asdict(summarise_loop(log, reader))
        say(f"wanted against evoked activity r {loop['sites_r']:.2f}, code read back r {loop['code_r']:.2f}")
    # one for any player, one that browsers play inside the report
    for suffix in (".mp4", ".webm"):
        make_film(log, folder / f"{name}{suffix}", painter)
    write_report(log, folder, rig, painter, loop)
    say(f"wrote {folder}")


def open_reader(rig: Rig) -> Reader:
    """Return the way back of a rig with a code map: its map inverted, and the generator of its encoder's bundle.

    Raises ``ConfigError`` when the rig has no code map or its bundle no generator.
    """
    translator = open_bijective(rig)
    bundle = load_bundle(rig.config.encoder.model)
    if len(bundle.manifest.graphs) < 2:
        raise ConfigError(f"{bundle.folder}: has no generator to paint codes with; choose a bundle that has one")
    graph = bundle.manifest.graphs[1]
    engine = open_engine(bundle, "onnx", index=1)

    def read(rate_hz: npt.NDArray[np.floating]) -> F32:
        return translator.read(0, 0, rate_hz).values

    def paint(code: F32) -> U8:
        picture = engine.run({graph.inputs[0].name: code[None].astype(np.float32)})[graph.outputs[0].name][0]
        levels = np.clip((np.moveaxis(picture, 0, -1) + 1) * 127.5, 0, 255).astype(np.uint8)
        return np.broadcast_to(levels, (*levels.shape[:2], 3))

    return Reader(read, paint, translator.evoked_hz, rig.calibration.column("enabled").astype(bool))


def _await_listening(child: subprocess.Popen[bytes], port: int) -> None:
    """Return when the world accepts connections: before that a device would only report that nobody answers."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if child.poll() is not None:
            raise LinkError("the simulated patient did not start; its own message is above")
        try:
            socket.create_connection(("127.0.0.1", port + PARTICIPANT), 0.2).close()
            return
        except OSError:
            time.sleep(0.05)
    raise LinkError(f"the simulated patient was not ready within {START_S:g} s")


class _Progress:
    """Says how far the run is, and ends it ``seconds`` after the first pattern was sent, or when the world has died."""

    def __init__(self, seconds: float, world: subprocess.Popen[bytes], say: Say) -> None:
        self._seconds, self._world, self._say = seconds, world, say
        self._began = time.monotonic()
        self._first: float | None = None
        self._told = 0

    def __call__(self, passage: Passage | None, summary: RunSummary) -> bool:
        now = time.monotonic()
        if self._world.poll() is not None:
            return False
        if self._first is None:
            if passage is not None and passage.sent:
                self._first = now
                self._say(f"running for {self._seconds:g} s")
            return now - self._began < START_S
        done = now - self._first
        if int(done) > self._told:
            self._told = int(done)
            self._say(f"  {self._told} s: {summary.sent} patterns sent, {summary.dropped} camera frames dropped")
        return done < self._seconds
