"""A made-up but consistent session, recorded through the real taps and recorder over loopback."""

import time

import numpy as np
import zmq

from prosthesis.messages import (
    About,
    BrainCode,
    Delivered,
    Event,
    Evoked,
    Findings,
    Found,
    Frame,
    GuardReport,
    Heard,
    HopTimes,
    ImplantState,
    Intervention,
    MachineCode,
    Percept,
    Receipt,
    Refusal,
    StimulationPattern,
    Telemetry,
    readonly,
)
from prosthesis.recording.recorder import Recorder
from prosthesis.schemas import TOPICS
from prosthesis.taps import Tap

MS = 1_000_000
N = 4
FRAMES, PERIOD_S = 30, 0.02
LOST = (10, 11)  # frames the camera dropped
UNHEARD = 20  # a pattern the radio lost
DEVICE_HOPS = ("read", "encode", "translate", "modulate", "guard", "seal", "send")
DEVICE_MS = (1, 3, 4, 5, 6, 7, 8)  # after capture
RATES_HZ = [0.0, 5.0, 20.0, 0.5]
WORLD_HOPS = ("receive", "open", "deliver", "percept")
WORLD_MS = (10, 11, 12, 20)
AMPLITUDE_UA, WIDTH_US, PULSES = (0.0, 10.0, 20.0, 40.0), 200.0, (0, 2, 2, 2)
SIM = {"sim_world": "made_up", "sim_patient": "3"}
INTERVENTION = Intervention("charge per phase", "advisory", 1, 8.0, 4.0, "nC")


def picture(seq, size=(60, 80)):
    rgb = np.full((*size, 3), 30, np.uint8)
    rgb[:, (seq * 2) % size[1] :][:, :8] = (250, 200, 40)
    return readonly(rgb, np.uint8)


def device_messages(seq, t_ns):
    def f(*values):
        return readonly(values, np.float32)

    slot = readonly([0, 1, 0, 1], np.uint8)
    pattern = StimulationPattern(seq, t_ns, f(*AMPLITUDE_UA), f(*[WIDTH_US] * N), f(*[100] * N), slot)
    interventions = (INTERVENTION,) if seq % 10 == 0 else ()
    task_map = np.outer(np.linspace(0, 1, 32), np.linspace(0, 1, 32))
    yield "frame", Frame(seq, t_ns, picture(seq))
    yield "machine_code", MachineCode(seq, t_ns, readonly(task_map.ravel(), np.float32), "map", (32, 32))
    yield "brain_code", BrainCode(seq, t_ns, f(0, 0.3, 0.6, 1), 2)
    yield "wanted", pattern
    yield "allowed", pattern
    yield "guard", GuardReport(seq, t_ns, interventions)
    yield "hops", HopTimes(seq, t_ns, DEVICE_HOPS, tuple(t_ns + ms * MS for ms in DEVICE_MS))
    if seq % 5 == 0:
        yield "findings", Findings(seq - 2, t_ns - 40 * MS, "text", (Found("word", "EXIT", 0.9, 0.2, 0.3, 0.4, 0.1),))


def world_messages(seq, t_ns):
    amplitude, width = readonly(AMPLITUDE_UA, np.float32), readonly([WIDTH_US] * N, np.float32)
    pulses, slot = readonly(PULSES, np.int32), readonly([0, 1, 0, 1], np.uint8)
    x, y = np.meshgrid(np.linspace(-2, 2, 48), np.linspace(-2, 2, 48))
    image = readonly(np.exp(-(x**2 + y**2)), np.float32)
    stamps = tuple(t_ns + ms * MS for ms in WORLD_MS)
    yield "heard", Heard(seq, t_ns, t_ns + 10 * MS, "tiles", (0, 1), t_ns + 10 * MS)
    yield "delivered", Delivered(seq, t_ns, t_ns + 10 * MS, 20 * MS, amplitude, width, pulses, slot)
    yield "percept", Percept(seq, t_ns, image, (4.0, 0.0), (4.0, 4.0), 3, stamps[-1])
    yield "evoked", Evoked(seq, t_ns, readonly(RATES_HZ, np.float32))
    yield "world_hops", HopTimes(seq, t_ns, WORLD_HOPS, stamps)


def uplink_messages(seq, t_ns):
    refused = [0] * len(Refusal)
    refused[Refusal.STALE] = seq // 10
    state = ImplantState.SILENT if seq < 3 else ImplantState.STIMULATING
    reason = "powered up" if seq < 3 else "fresh frames"
    charge = readonly([0, 4000, 8000, 16000], np.int64)
    yield "receipt", Receipt(seq, t_ns, charge, readonly([0, 0, 0, Refusal.AMPLITUDE], np.uint8))
    yield "telemetry", Telemetry(seq, t_ns, state, reason, 99, seq, tuple(refused), 1)


def open_taps(context):
    """Return a tap and its endpoint, on a port the system chose."""
    with zmq.Context() as probe, probe.socket(zmq.PUB) as socket:
        endpoint = f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}"
    return Tap(endpoint, context), endpoint


def wait_for(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.005)


def record_session(path, frames=FRAMES, period_s=PERIOD_S, metadata=None, tell=lambda text: None):
    """Record a session of ``frames`` at ``path`` and return the messages published, as (topic, message)."""
    published = []
    with zmq.Context() as context:
        device, device_end = open_taps(context)
        world, world_end = open_taps(context)
        recorder = Recorder(path, [device_end, world_end], metadata or {"rig": "hand2x2", "seed": "7"}, tell=tell)
        wait_for(lambda: device.wanted == world.wanted == set(TOPICS))

        def publish(tap, messages):
            for topic, message in messages:
                published.append((topic, message))
                tap.publish(topic, message)

        start_ns = time.monotonic_ns()
        publish(world, [("about", About(0, start_ns, *zip(*SIM.items(), strict=True)))])
        for i in range(frames):
            seq, t_ns = i + 1, start_ns + round(i * period_s * 1e9)
            time.sleep(max(0.0, (t_ns - time.monotonic_ns()) * 1e-9))
            if seq in LOST:
                continue
            publish(device, device_messages(seq, t_ns))
            if seq != UNHEARD:
                publish(world, world_messages(seq, t_ns))
                publish(device, uplink_messages(seq, t_ns))
            if seq == 3:
                publish(device, [("event", Event(seq, t_ns, "device", "info", "implant is <stimulating>"))])
        recorder.stop()
        device.close()
        world.close()
    return published
