"""Time every hop of a rig, and the floor beneath them, in one run on this machine.

The floor is what no design can avoid: the engine's bare inference, then one bare ZeroMQ CURVE hop of the same bytes to
another process. Pipeline and floor take turns, so both see the same weather on a shared machine.
"""

from __future__ import annotations

import os
import platform
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import zmq

from prosthesis.assembly import Device, assemble, open_link, with_choices
from prosthesis.bundle import load_bundle
from prosthesis.config import Rig, load_rig
from prosthesis.engines import open_engine
from prosthesis.errors import LinkError
from prosthesis.links.keys import Keys, key_folder, load_keys, make_keys
from prosthesis.links.zmq import WORLD_TAPS, curve_client, heartbeats
from prosthesis.messages import U8, Frame, HopTimes, ImplantState, Message
from prosthesis.pipeline import Passage
from prosthesis.results import Figure, Recipe
from prosthesis.runtime import RunSummary, Watch
from prosthesis.schemas import decode
from prosthesis.taps import Context, listen
from prosthesis.timing import MonotonicClock, Percentiles, percentiles

START_S = 30.0
WARM_UP = 60
# turns a second, each of the pipeline and of the floor
RATE_HZ = 60.0
FLOOR_PORT = 8
REFERENCE_RIGS = ("argus60", "utah96", "icvp400", "nhp1024")


@dataclass(frozen=True, slots=True)
class BenchResult:
    """Latencies in ms. ``overhead`` is capture-to-percept less the floor, ``ratio`` the one over the other."""

    rig: str
    electrodes: int
    machine: str
    frames: int
    hops: dict[str, Percentiles]
    capture_to_percept: Percentiles
    floor: dict[str, Percentiles]
    overhead_p50_ms: float
    overhead_p99_ms: float
    ratio_p50: float
    frames_per_s: float


def bench(rig_name: str, seconds: float = 10.0) -> BenchResult:
    """Run the rig against a world in a second process for about ``seconds`` and return what was measured."""
    make_keys(key_folder())
    rig = with_choices(load_rig(rig_name), port=free_port())
    with _process("-m", "prosthesis", "sim", rig_name, "--port", str(rig.link.port)), _floor(rig.link.port) as floor:
        link, credentials = open_link(rig)
        device = assemble(rig, link, credentials, MonotonicClock())
        try:
            return _measure(rig, device, floor, seconds)
        finally:
            device.source.close()
            link.close()


def free_port() -> int:
    """Return the first of several free consecutive ports on loopback."""
    for _ in range(50):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            base = int(probe.getsockname()[1])
        if base < 65500 and all(_is_free(base + offset) for offset in range(FLOOR_PORT + 2)):
            return base
    raise LinkError("no ten consecutive free ports on this machine")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def _process(*arguments: str) -> Iterator[None]:
    child = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        child.terminate()
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()


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
    with _process("-m", "prosthesis.bench", str(port)):
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
    pictures = _pictures(device)
    percepts = _Percepts(rig)
    watch = _connect(device)
    bare = _bare_inference(rig)
    samples: list[tuple[Passage, HopTimes]] = []
    inference, hop = [], []
    due = time.monotonic_ns()
    for i in range(WARM_UP + int(seconds * RATE_HZ)):
        due = _pace(due)
        frame = Frame(i + 1, time.monotonic_ns(), pictures[i % len(pictures)])
        passage = device.pipeline.process(frame)
        world = percepts.of(frame.seq)
        due = _pace(due)
        started_ns = time.monotonic_ns()
        bare()
        inference_ns = time.monotonic_ns() - started_ns
        hop_ns = floor.hop_ns(passage.message)
        watch.tend(_nothing)
        if i >= WARM_UP and world is not None:
            samples.append((passage, world))
            inference.append(inference_ns)
            hop.append(hop_ns)
    if len(samples) < 10:
        raise LinkError("the world made no percepts; look at 'prosthesis check' for this rig")
    rate = _flat_out(device, pictures, percepts, watch, samples[-1][0].frame.seq, min(seconds, 5.0))
    device.session.stop()
    return _result(rig, samples, inference, hop, rate)


def _nothing(topic: str, message: Message) -> None:
    """Publish nowhere."""


def _pace(due_ns: int) -> int:
    """Wait until ``due_ns`` and return when the next turn is due."""
    wait_ns = due_ns - time.monotonic_ns()
    if wait_ns > 0:
        time.sleep(wait_ns * 1e-9)
    return max(due_ns, time.monotonic_ns()) + int(0.5e9 / RATE_HZ)


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
        taps = [f"tcp://{rig.link.host}:{rig.link.port + WORLD_TAPS}"]
        self._messages = listen(taps, ["world_hops"], zmq.Context.instance())

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

    def count(self) -> int:
        """Return how many percepts have been reported since last asked."""
        count = 0
        while self._messages.receive(0.0) is not None:
            count += 1
        return count


def _flat_out(device: Device, pictures: list[U8], percepts: _Percepts, watch: Watch, seq: int, seconds: float) -> float:
    """Return percepts per second when frames come as fast as the device can carry them."""
    percepts.count()
    started = time.monotonic()
    made = 0
    while (now := time.monotonic()) - started < seconds:
        seq += 1
        device.pipeline.process(Frame(seq, time.monotonic_ns(), pictures[seq % len(pictures)]))
        made += percepts.count()
        watch.tend(_nothing)
    return made / (now - started)


def _result(
    rig: Rig, samples: list[tuple[Passage, HopTimes]], inference: list[int], hop: list[int], rate: float
) -> BenchResult:
    durations: dict[str, list[int]] = {}
    for passage, world in samples:
        previous = passage.frame.t_ns
        pairs = [*zip(passage.hops.hops, passage.hops.stamps_ns, strict=True)]
        pairs += [*zip(world.hops, world.stamps_ns, strict=True)]
        for name, stamp in pairs:
            durations.setdefault(name, []).append(stamp - previous)
            previous = stamp
    path = percentiles([world.stamps_ns[-1] - passage.frame.t_ns for passage, world in samples])
    floor = {"inference": inference, "hop": hop, "both": [a + b for a, b in zip(inference, hop, strict=True)]}
    floors = {name: percentiles(values) for name, values in floor.items()}
    return BenchResult(
        rig.config.name,
        rig.electrodes,
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        len(samples),
        {name: percentiles(values) for name, values in durations.items()},
        path,
        floors,
        path.p50_ms - floors["both"].p50_ms,
        path.p99_ms - floors["both"].p99_ms,
        path.p50_ms / floors["both"].p50_ms,
        rate,
    )


def reference_figures() -> list[Figure]:
    """Return the quotable figures of the four reference rigs."""
    figures = []
    for rig_name in REFERENCE_RIGS:
        result = bench(rig_name)
        n, path, floor = result.electrodes, result.capture_to_percept, result.floor["both"]
        kind = f"p95 and p99 of {result.frames} frames"
        figures += [
            Figure(f"{n} electrodes: capture to percept, p50", path.p50_ms, "ms", path.p95_ms, path.p99_ms, kind),
            Figure(f"{n} electrodes: floor, p50", floor.p50_ms, "ms", floor.p95_ms, floor.p99_ms, kind),
            Figure(f"{n} electrodes: above the floor at p50", result.overhead_p50_ms, "ms"),
            Figure(f"{n} electrodes: above the floor at p99", result.overhead_p99_ms, "ms"),
            Figure(f"{n} electrodes: ratio to the floor at p50", result.ratio_p50, ""),
            Figure(f"{n} electrodes: percepts a second, flat out", result.frames_per_s, "/s"),
        ]
    return figures


RECIPE = Recipe(
    "The pipeline's own cost",
    "Capture to percept of the reference rigs, camera and world in two processes on one machine, beside the floor "
    "measured in turn with it: the engine's bare inference and one bare ZeroMQ CURVE hop of the same bytes.",
    reference_figures,
)


def table(result: BenchResult) -> str:
    """Return the result as text."""
    lines = [f"{result.rig}: {result.electrodes} electrodes, {result.frames} frames on {result.machine}", ""]
    lines.append(f"{'ms':<22}{'p50':>9}{'p95':>9}{'p99':>9}")
    rows = {**result.hops, "capture to percept": result.capture_to_percept}
    rows |= {f"floor: {name}": value for name, value in result.floor.items()}
    lines += [f"{name:<22}{p.p50_ms:>9.3f}{p.p95_ms:>9.3f}{p.p99_ms:>9.3f}" for name, p in rows.items()]
    lines.append("")
    lines.append(f"above the floor: {result.overhead_p50_ms:.3f} ms at p50, {result.overhead_p99_ms:.3f} ms at p99")
    lines.append(f"{result.ratio_p50:.2f} times the floor at p50; {result.frames_per_s:.0f} percepts/s flat out")
    return "\n".join(lines)


if __name__ == "__main__":
    receive_floor(int(sys.argv[1]))
