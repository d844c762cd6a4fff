"""Time every hop of a rig, and the floor beneath them, in one run on this machine.

The floor is what no design can avoid: the engine's bare inference, then one bare ZeroMQ CURVE hop of the same bytes to
another process. Pipeline and floor take turns, so both see the same weather on a shared machine.
"""

from __future__ import annotations

import os
import platform
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import zmq

from prosthesis.assembly import Device, assemble, open_link, with_choices
from prosthesis.bundles.bundle import load_bundle
from prosthesis.config import Rig, load_rig
from prosthesis.engines import open_engine
from prosthesis.errors import LinkError
from prosthesis.links.keys import Keys, load_keys
from prosthesis.links.zmq import WORLD_TAPS, curve_client, heartbeats
from prosthesis.messages import U8, Frame, HopTimes, ImplantState, Message, Percept
from prosthesis.pipeline import Passage
from prosthesis.processes import free_port, running
from prosthesis.results import Figure, Recipe
from prosthesis.runtime import RunSummary, Watch
from prosthesis.schemas import decode, stamp
from prosthesis.taps import Context, listen
from prosthesis.timing import MonotonicClock, Percentiles, percentiles

START_S = 30.0
WARM_UP = 60
FLOOR_PORT = 8
REFERENCE_RIGS = ("argus60", "utah96", "icvp400", "nhp1024")


@dataclass(frozen=True, slots=True)
class Pace:
    """Latencies in ms at one pace; ``overhead`` is capture-to-percept less the floor, ``ratio`` one over the other."""

    frames: int
    hops: dict[str, Percentiles]
    capture_to_percept: Percentiles
    floor: dict[str, Percentiles]
    overhead_p50_ms: float
    overhead_p99_ms: float
    ratio_p50: float


@dataclass(frozen=True, slots=True)
class BenchResult:
    """One rig on this machine.

    ``busy``: each frame follows at once when the last percept and the floor's turn are done. ``paced``: one turn each
    at the camera's rate, with the processes asleep in between; a processor just woken runs everything more slowly, the
    floor too. ``frames_per_s`` are percepts a second when frames come as fast as the device can carry them.
    """

    rig: str
    electrodes: int
    percept_px: tuple[int, int]
    machine: str
    busy: Pace
    paced: Pace
    frames_per_s: float


def bench(rig_name: str, seconds: float = 10.0) -> BenchResult:
    """Run the rig against a world in a second process for about ``seconds`` and return what was measured."""
    load_keys("device")  # made now if this is the first use, before several processes look for them
    rig = with_choices(load_rig(rig_name), port=free_port())
    with running("-m", "prosthesis", "sim", rig_name, "--port", str(rig.link.port)), _floor(rig.link.port) as floor:
        link, credentials = open_link(rig)
        device = assemble(rig, link, credentials, MonotonicClock())
        try:
            return _measure(rig, device, floor, seconds)
        finally:
            device.source.close()
            link.close()


class Floor:
    """A bare CURVE PUSH to a process that does nothing but note when bytes arrive."""

    def __init__(self, port: int, keys: Keys) -> None:
        context: Context = zmq.Context.instance()
        self._out, self._back = context.socket(zmq.PUSH), context.socket(zmq.PULL)
        heartbeats(self._out)
        curve_client(self._out, keys)
        self._out.connect(f"tcp://127.0.0.1:{port + FLOOR_PORT}")
        self._back.connect(f"tcp://127.0.0.1:{port + FLOOR_PORT + 1}")

    def hop_ns(self, data: bytes) -> int:
        """Return how long ``data`` took to the other process."""
        sent_ns = time.monotonic_ns()
        self._out.send(data)
        if not self._back.poll(int(START_S * 1000)):
            raise LinkError("the floor's receiver does not answer")
        arrived_ns: int = struct.unpack("<q", self._back.recv())[0]
        return arrived_ns - sent_ns

    def close(self) -> None:
        """Close the sockets."""
        self._out.close(0)
        self._back.close(0)


@contextmanager
def _floor(port: int) -> Iterator[Floor]:
    with running("-m", "prosthesis.bench", str(port)):
        floor = Floor(port, load_keys("device"))
        try:
            yield floor
        finally:
            floor.close()


def receive_floor(port: int) -> None:
    """Be the floor's other process: note the time of each arrival and send it back, until killed."""
    keys = load_keys("implant")
    context: Context = zmq.Context.instance()
    incoming, back = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    incoming.curve_server, incoming.curve_secretkey, incoming.curve_publickey = True, keys.secret, keys.public
    incoming.bind(f"tcp://127.0.0.1:{port + FLOOR_PORT}")
    back.bind(f"tcp://127.0.0.1:{port + FLOOR_PORT + 1}")
    while True:
        incoming.poll()
        incoming.recv(zmq.NOBLOCK)
        back.send(struct.pack("<q", time.monotonic_ns()))


def _measure(rig: Rig, device: Device, floor: Floor, seconds: float) -> BenchResult:
    bench_run = _Run(device, floor, _pictures(device), _Percepts(rig), _connect(device), _bare_inference(rig))
    bench_run.turns(WARM_UP, 0.0)
    busy = bench_run.turns(int(seconds * 50), 0.0)
    paced = bench_run.turns(int(seconds * rig.config.camera.fps / 2), 0.5 / rig.config.camera.fps)
    rate = bench_run.flat_out(min(seconds, 5.0))
    device.session.stop()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return BenchResult(rig.config.name, rig.electrodes, bench_run.percepts.pixels, machine, busy, paced, rate)


class _Run:
    """The pipeline and the floor in turns."""

    def __init__(
        self,
        device: Device,
        floor: Floor,
        pictures: list[U8],
        percepts: _Percepts,
        watch: Watch,
        bare: Callable[[], object],
    ) -> None:
        self.percepts = percepts
        self._device, self._floor, self._pictures, self._watch, self._bare = device, floor, pictures, watch, bare
        self._seq = 0

    def turns(self, count: int, wait_s: float) -> Pace:
        """Time ``count`` frames, each followed by a turn of the floor, with ``wait_s`` of sleep before either."""
        samples: list[tuple[Passage, HopTimes]] = []
        inference, hop = [], []
        for _ in range(count):
            time.sleep(wait_s)
            passage = self._frame()
            world = self.percepts.of(passage.frame.seq)
            time.sleep(wait_s)
            started_ns = time.monotonic_ns()
            self._bare()
            inference_ns = time.monotonic_ns() - started_ns
            hop_ns = self._floor.hop_ns(passage.message)
            self._watch.tend(_nothing)
            if world is not None:
                samples.append((passage, world))
                inference.append(inference_ns)
                hop.append(hop_ns)
        if len(samples) < count / 2:
            raise LinkError(f"the world made {len(samples)} percepts of {count} frames; is this machine overloaded?")
        return _pace(samples, inference, hop)

    def flat_out(self, seconds: float) -> float:
        """Return percepts per second when frames come as fast as the device can carry them."""
        self.percepts.count()
        started = time.monotonic()
        made = 0
        while (now := time.monotonic()) - started < seconds:
            self._frame()
            made += self.percepts.count()
            self._watch.tend(_nothing)
        return made / (now - started)

    def _frame(self) -> Passage:
        self._seq += 1
        picture = self._pictures[self._seq % len(self._pictures)]
        return self._device.pipeline.process(Frame(self._seq, time.monotonic_ns(), picture))


def _nothing(topic: str, message: Message) -> None:
    """Publish nowhere."""


def _pictures(device: Device) -> list[U8]:
    """Return the camera's first pictures: cameras have their own pace, and are no part of what is timed."""
    pictures: list[U8] = []
    while len(pictures) < 30:
        frame = device.source.read(1.0)
        if frame is None:
            raise LinkError("the rig's camera gives no frames")
        pictures.append(frame.rgb)
    return pictures


def _bare_inference(rig: Rig) -> Callable[[], object]:
    """Return the encoder's graph on one of its own inputs, with nothing around it."""
    bundle = load_bundle(rig.config.encoder.model)
    engine = open_engine(bundle, rig.config.encoder.engine, rig.config.encoder.provider)
    tensor = bundle.manifest.graphs[0].inputs[0]
    picture = np.random.default_rng(0).integers(0, 256, tensor.shape).astype(np.uint8)
    return lambda: engine.run({tensor.name: picture})


def _connect(device: Device) -> Watch:
    """Open the session and wait until the implant is armed."""
    watch = Watch(device.session, MonotonicClock(), lambda level, text: None, RunSummary())
    end = time.monotonic() + START_S
    while watch.state is not ImplantState.ARMED:
        if time.monotonic() > end:
            raise LinkError("the simulated patient did not come up; try 'prosthesis sim' by itself")
        watch.tend(_nothing)
        time.sleep(0.01)
    return watch


class _Percepts:
    """The world's hop times, by sequence number, from its taps."""

    def __init__(self, rig: Rig) -> None:
        self._taps = [f"tcp://{rig.link.host}:{rig.link.port + WORLD_TAPS}"]
        self._newest = 0
        self._messages = listen(self._taps, ["world_hops"], zmq.Context.instance())

    def of(self, seq: int, timeout_s: float = 0.2) -> HopTimes | None:
        """Return when percept ``seq`` was made, ``None`` when it was not in time."""
        end = time.monotonic() + timeout_s
        while (left := end - time.monotonic()) > 0:
            heard = self._messages.receive(left)
            if heard is not None:
                hops = decode(*heard)
                if isinstance(hops, HopTimes) and hops.seq >= seq:
                    return hops if hops.seq == seq else None
        return None

    @property
    def pixels(self) -> tuple[int, int]:
        """The percept's width and height."""
        with listen(self._taps, ["percept"], zmq.Context.instance()) as listener:
            heard = listener.receive(5.0)
            percept = decode(*heard) if heard else None
        if not isinstance(percept, Percept):
            raise LinkError("the world shows no percept")
        return percept.image.shape[1], percept.image.shape[0]

    def count(self) -> int:
        """Return for how many patterns percepts have been reported since last asked; a radio brings one in parts."""
        count = 0
        while (heard := self._messages.receive(0.0)) is not None:
            seq, _ = stamp(*heard)
            count += seq > self._newest
            self._newest = max(self._newest, seq)
        return count


def _pace(samples: list[tuple[Passage, HopTimes]], inference: list[int], hop: list[int]) -> Pace:
    durations: dict[str, list[int]] = {}
    for passage, world in samples:
        previous = passage.frame.t_ns
        pairs = [*zip(passage.hops.hops, passage.hops.stamps_ns, strict=True)]
        pairs += [*zip(world.hops, world.stamps_ns, strict=True)]
        for name, stamp_ns in pairs:
            durations.setdefault(name, []).append(stamp_ns - previous)
            previous = stamp_ns
    path = percentiles([world.stamps_ns[-1] - passage.frame.t_ns for passage, world in samples])
    floor = {"inference": inference, "hop": hop, "both": [a + b for a, b in zip(inference, hop, strict=True)]}
    floors = {name: percentiles(values) for name, values in floor.items()}
    both = floors["both"]
    return Pace(
        len(samples),
        {name: percentiles(values) for name, values in durations.items()},
        path,
        floors,
        path.p50_ms - both.p50_ms,
        path.p99_ms - both.p99_ms,
        path.p50_ms / both.p50_ms,
    )


def reference_figures() -> list[Figure]:
    """Return the quotable figures of the four reference rigs."""
    figures = []
    for rig_name in REFERENCE_RIGS:
        result = bench(rig_name)
        for name, pace in (("busy", result.busy), ("paced", result.paced)):
            at = f"{result.rig}, {result.electrodes} electrodes, {name}"
            path, floor = pace.capture_to_percept, pace.floor["both"]
            kind = f"p95 and p99 of {pace.frames} frames"
            figures += [
                Figure(f"{at}: capture to percept, p50", path.p50_ms, "ms", path.p95_ms, path.p99_ms, kind),
                Figure(f"{at}: floor, p50", floor.p50_ms, "ms", floor.p95_ms, floor.p99_ms, kind),
                Figure(f"{at}: above the floor at p50", pace.overhead_p50_ms, "ms"),
                Figure(f"{at}: above the floor at p99", pace.overhead_p99_ms, "ms"),
                Figure(f"{at}: ratio to the floor at p50", pace.ratio_p50, ""),
            ]
        figures.append(Figure(f"{result.rig}: percepts a second, flat out", result.frames_per_s, "/s"))
    return figures


RECIPE = Recipe(
    "The pipeline's own cost",
    "Capture to percept of the reference rigs, device and world in two processes on one machine, beside the floor "
    "measured in turn with it: the engine's bare inference and one bare ZeroMQ CURVE hop of the same bytes. Busy: each "
    "frame follows when the last percept is made. Paced: at the camera's rate, asleep in between; a processor just "
    "woken runs everything more slowly, the floor too. icvp400 goes over a simulated radio of 1 Mb/s and 1 ms delay; "
    "the others have the radio's delay off.",
    reference_figures,
)


def table(result: BenchResult) -> str:
    """Return the result as text."""
    lines = [f"{result.rig}: {result.electrodes} electrodes, percept {result.percept_px} pixels on {result.machine}"]
    for name, pace in (("busy", result.busy), ("paced", result.paced)):
        lines += ["", f"{f'{name}, {pace.frames} frames':<22}{'p50':>9}{'p95':>9}{'p99':>9}  ms"]
        rows = {**pace.hops, "capture to percept": pace.capture_to_percept}
        rows |= {f"floor: {part}": value for part, value in pace.floor.items()}
        lines += [f"{hop:<22}{p.p50_ms:>9.3f}{p.p95_ms:>9.3f}{p.p99_ms:>9.3f}" for hop, p in rows.items()]
        above = f"{pace.overhead_p50_ms:.3f} ms at p50 ({pace.ratio_p50:.2f} times), {pace.overhead_p99_ms:.3f} at p99"
        lines.append(f"above the floor: {above}")
    return "\n".join([*lines, "", f"{result.frames_per_s:.0f} percepts a second flat out"])


if __name__ == "__main__":
    receive_floor(int(sys.argv[1]))
