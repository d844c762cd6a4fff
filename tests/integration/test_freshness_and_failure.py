"""What happens when a process dies, the world is slow, or a frame is not fit for a brain; over real sockets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from helpers import HAND, wait_for

from prosthesis.cameras.checks import FrameCheck
from prosthesis.errors import LinkError
from prosthesis.links.keys import make_keys
from prosthesis.messages import Frame, ImplantState
from prosthesis.runtime import run
from prosthesis.timing import MonotonicClock

FPS = 30


def states(world):
    return [event.text for event in world.of("event")]


class Runner:
    """The runtime in a thread, with what it published."""

    def __init__(self, built, source=None, check=None):
        self.published, self.stop, self.summary = [], threading.Event(), None
        self._args = (source or built.source, check or built.check, built.pipeline, built.session, MonotonicClock())
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self):
        def publish(topic, message):
            self.published.append((time.monotonic(), topic, message))

        self.summary = run(*self._args, publish, None, lambda passage, summary: not self.stop.is_set())

    def events(self):
        return [message.text for _, topic, message in list(self.published) if topic == "event"]

    def end(self):
        self.stop.set()
        self._thread.join(5)
        assert not self._thread.is_alive()
        return self.summary


class ListSource:
    """Plays given pictures at 30 frames a second, the last for ever."""

    live = True

    def __init__(self, pictures):
        self._pictures, self._seq = pictures, 0

    def read(self, timeout_s):
        time.sleep(1 / FPS)
        self._seq += 1
        picture = self._pictures[min(self._seq, len(self._pictures)) - 1]
        return Frame(self._seq, time.monotonic_ns(), picture() if callable(picture) else picture)

    def close(self):
        pass


def noisy_white():
    return np.random.default_rng(time.monotonic_ns()).integers(200, 256, (64, 64, 3)).astype(np.uint8)


def driven_since(world, moment):
    return [m for t, name, m in list(world.heard) if name == "delivered" and t > moment and m.pulses.any()]


def test_a_slow_world_sees_fresh_patterns_and_counts_what_it_skipped(sim, taps, device):
    sim(HAND, "--slow-ms", str(4000 / FPS))  # a quarter of the camera's rate
    world = taps("world_hops")
    built = device()
    runner = Runner(built, ListSource([noisy_white]), FrameCheck(64, 64, True))
    wait_for(lambda: len(world.of("world_hops")) >= 20, 15, "twenty percepts")
    skipped = [m.skipped for _, topic, m in runner.published if topic == "telemetry"][-1]
    runner.end()
    ages_s = [(hops.stamps_ns[1] - hops.t_ns) * 1e-9 for hops in world.of("world_hops")][2:]
    assert max(ages_s) < 2 / FPS, f"oldest pattern obeyed was {max(ages_s) * FPS:.1f} frames old"
    assert skipped >= 2 * len(ages_s), "three of four patterns were skipped, and every one is counted"


@pytest.fixture
def device_process(port):
    """``prosthesis run`` as a second process."""
    started = []

    def start():
        command = [sys.executable, "-m", "prosthesis", "run", HAND, "--link", f"127.0.0.1:{port}"]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for child in started:
        if child.poll() is None:
            child.kill()
        child.communicate(timeout=5)


def test_kill_9_of_the_device_silences_the_implant_within_250_ms_and_a_new_one_starts_it_again(
    sim, taps, device_process
):
    sim()
    world = taps("delivered", "event", "world_hops")
    first = device_process()
    wait_for(lambda: len(driven_since(world, 0)) > 50, 10, "stimulation")
    os.kill(first.pid, signal.SIGKILL)
    killed = time.monotonic()
    wait_for(lambda: any("implant is safe" in text for text in states(world)), 2, "SAFE")
    time.sleep(0.3)
    last = max(t for t, name, m in world.heard if name == "delivered" and m.pulses.any())
    assert last - killed < 0.25, f"stimulated for {last - killed:.3f} s after the device died"
    assert any("no valid frame for 250 ms" in text for text in states(world))
    before = len(states(world))
    device_process()

    def rearmed():
        moments = [t for t, name, m in list(world.heard) if name == "event"][before:]
        return next((t for t, text in zip(moments, states(world)[before:], strict=False) if "armed" in text), None)

    wait_for(rearmed, 10, lambda: f"re-arming ({states(world)})")
    wait_for(lambda: driven_since(world, rearmed()), 2.0, "stimulation after re-arming")
    again = min(t for t, name, m in world.heard if name == "delivered" and t > rearmed() and m.pulses.any())
    assert again - rearmed() < 1.0


def test_the_device_reports_a_killed_world_keeps_trying_and_recovers(sim, taps, device):
    patient = sim()
    built = device()
    runner = Runner(built)
    wait_for(lambda: any("stimulating" in text for text in runner.events()), 10, "stimulation")
    patient.kill()
    wait_for(lambda: any("gone quiet" in t or "no implant answers" in t for t in runner.events()), 3, "the report")
    before = len(runner.events())
    patient.start()
    wait_for(lambda: any("stimulating" in text for text in runner.events()[before:]), 10, "recovery")
    summary = runner.end()
    assert summary.sessions == 2


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (np.zeros((64, 64, 3), np.uint8), "black"),
        (np.full((64, 64, 3), 180, np.uint8), "frozen"),
        (np.full((32, 64, 3), 180, np.uint8), "wrong size"),
    ],
)
def test_frames_not_fit_for_a_brain_reach_no_electrode_and_are_reported(sim, taps, device, bad, word):
    sim()
    world = taps("delivered")
    built = device()
    runner = Runner(built, ListSource([noisy_white] * 45 + [bad]), FrameCheck(64, 64, True))
    wait_for(lambda: any(word in text for text in runner.events()), 10, word)
    time.sleep(0.1)
    reported = time.monotonic()
    time.sleep(0.5)
    assert driven_since(world, 0), "the good frames before did reach electrodes"
    assert not driven_since(world, reported)
    summary = runner.end()
    assert summary.faulty > 0
    assert next(text for text in summary.events if word in text).count("\n") == 0


def test_nan_after_the_encoder_is_silence_and_an_intervention(sim, taps, device, monkeypatch):
    sim()
    world = taps("delivered")
    built = device()
    encode = built.pipeline._encoder.encode
    broken = threading.Event()

    def encoder(frame, now_ns):
        code = encode(frame, now_ns)
        if broken.is_set():
            from dataclasses import replace

            code = replace(code, values=np.full_like(code.values, np.nan))
        return code

    monkeypatch.setattr(built.pipeline._encoder, "encode", encoder)
    runner = Runner(built, ListSource([noisy_white]), FrameCheck(64, 64, True))
    wait_for(lambda: len(driven_since(world, 0)) > 20, 10, "stimulation")
    broken.set()
    time.sleep(0.1)
    since = time.monotonic()
    time.sleep(0.4)
    assert not driven_since(world, since)
    runner.end()
    reports = [m for _, topic, m in runner.published if topic == "guard" and m.interventions]
    assert any(i.rule == "not finite" for report in reports for i in report.interventions)


def test_a_device_whose_key_is_unknown_is_refused_and_told_what_to_do(sim, device, keys):
    sim()
    for file in (keys / "device.key", keys / "device.key_secret"):
        file.unlink()
    allowed = (keys / "allowed" / "device.key").read_bytes()
    make_keys(keys)
    (keys / "allowed" / "device.key").write_bytes(allowed)
    with pytest.raises(LinkError, match=r"refuses this device's key; copy .*device\.key into"):
        device().session.open(1.0)


def test_a_device_that_pins_another_implants_key_is_told_so(sim, device, keys):
    sim()
    for file in (keys / "implant.key", keys / "implant.key_secret"):
        file.unlink()
    make_keys(keys)
    with pytest.raises(LinkError, match=r"does not have the key pinned in .*implant\.key"):
        device().session.open(1.0)


def test_without_an_implant_the_device_says_where_it_looked(device, port):
    with pytest.raises(LinkError, match=f"no implant answers at 127.0.0.1:{port}"):
        device().session.open(0.3)


def test_the_implant_refuses_a_plain_client(sim, port):
    import zmq

    sim()
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(f"tcp://127.0.0.1:{port + 1}")
    socket.send(b"\0\0\0\0" + b"PVOPEN1\0" + bytes(68))
    assert not socket.poll(500)
    socket.close(0)
    context.term()


def test_states_are_the_documented_ones():
    names = ["SILENT", "ARMED", "STIMULATING", "HOLD", "SAFE", "LOCKED", "STOPPED", "SELF_TEST"]
    assert [state.name for state in ImplantState] == names
