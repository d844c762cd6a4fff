"""Tasks switched during a run over real sockets: nothing else may notice."""

from __future__ import annotations

import os
import pty
import signal
import sys
import threading
import time
from itertools import pairwise

import numpy as np
import zmq
from helpers import HAND, wait_for

from prosthesis.assembly import run_rig, with_choices
from prosthesis.config import load_rig
from prosthesis.glance import QuickGuard
from prosthesis.links.zmq import DEVICE_TAPS
from prosthesis.messages import ImplantState
from prosthesis.schemas import decode
from prosthesis.taps import listen

TASKS = ("luminance-32", "edges-32", "contrast-64")
FPS = 30
STIMULATING = ImplantState.STIMULATING


class Run:
    """``run_rig`` in a thread, with what passed."""

    def __init__(self, port, tasks):
        self.board, self.passages, self.telemetry, self.summary = None, [], [], None
        self._stop = threading.Event()
        self._context = zmq.Context()
        self._tap = listen([f"tcp://127.0.0.1:{port + DEVICE_TAPS}"], ["telemetry"], self._context)
        self._rig = with_choices(load_rig(HAND), source="synthetic:bar", port=port)
        self._thread = threading.Thread(target=self._work, args=(tasks,), daemon=True)
        self._thread.start()

    def _work(self, tasks):
        def attach(board):
            self.board = board

        def on_frame(passage, summary):
            self.passages.append((self.board.current, passage))
            while (heard := self._tap.receive(0)) is not None:
                self.telemetry.append(decode(*heard))
            return not self._stop.is_set()

        self.summary = run_rig(self._rig, on_frame=on_frame, tasks=tasks, ready=attach)

    def end(self):
        self._stop.set()
        self._thread.join(5)
        assert not self._thread.is_alive()
        self._tap.close()
        self._context.term()
        return self.summary


def _switched_ten_times(port):
    run = Run(port, TASKS)
    wait_for(lambda: run.telemetry and run.telemetry[-1].state is STIMULATING, 20, "stimulation")
    first = run.telemetry[-1]
    began = len(run.passages)
    for turn in range(10):
        run.board.choose(TASKS[(turn + 1) % 3])
        before = len(run.passages)
        wait_for(lambda before=before: len(run.passages) >= before + 6, 5, "six more frames")
    passed = run.passages[began:]
    return run, run.end(), first, passed


def test_ten_switches_leave_session_guard_and_implant_alone(sim, port, monkeypatch):
    guarded = []
    allow = QuickGuard.allow

    def watched(self, wanted, state, dt):
        outcome = allow(self, wanted, state, dt)
        guarded.append((state, outcome[2]))
        return outcome

    monkeypatch.setattr(QuickGuard, "allow", watched)
    sim(HAND, "--seconds", "120")
    for _ in range(4):  # where the machine itself stalls, the implant rightly falls silent
        guarded.clear()
        run, summary, first, passed = _switched_ten_times(port)
        during = [m for m in run.telemetry if m.t_ns >= first.t_ns]
        if {m.state for m in during} == {STIMULATING}:
            break

    # the implant: stimulating throughout, one session, nothing refused
    assert len(during) > 20
    assert {(m.state, m.session) for m in during} == {(STIMULATING, first.session)}
    assert during[-1].refused == first.refused
    # the device: one session and arming, every frame read was sent, in order
    assert (summary.sessions, summary.faulty, summary.unsent) == (1, 0, 0)
    assert summary.frames == summary.sent == len(run.passages)
    seqs = [passage.frame.seq for _, passage in run.passages]
    assert seqs[-1] - seqs[0] + 1 - len(seqs) == summary.dropped
    assert all(b > a for a, b in pairwise(seqs))
    # the guard's memory is one chain from the first frame to the last
    assert len(guarded) >= len(run.passages)
    assert all(after is before for (_, after), (before, _) in pairwise(guarded[-len(run.passages) :]))
    # each task did its part and was announced
    switches = [text for text in summary.events if text.startswith("task is now")]
    assert switches == [f"task is now '{TASKS[(turn + 1) % 3]}'" for turn in range(10)]
    shapes = {(name, passage.code.shape) for name, passage in passed}
    assert shapes == {("luminance-32", (32, 32)), ("edges-32", (32, 32)), ("contrast-64", (64, 64))}
    assert all(np.isfinite(passage.brain.activity).all() for _, passage in passed)


def test_keys_typed_at_the_terminal_of_a_run_switch_it(sim, port):
    sim(HAND, "--seconds", "60")
    command = [sys.executable, "-m", "prosthesis", "run", HAND, "--link", f"127.0.0.1:{port}"]
    command += ["--task", "luminance-32,edges-32", "--headless", "--source", "synthetic:bar"]
    pid, terminal = pty.fork()
    if pid == 0:  # the child, in a terminal of its own
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # who runs us in the background has it ignored
        os.execv(command[0], command)
    screen = b""

    def read_until(text, seconds=20):
        nonlocal screen
        end = time.monotonic() + seconds
        while text not in screen:
            assert time.monotonic() < end, screen.decode()
            screen += os.read(terminal, 4096)

    read_until(b"keys: 1 luminance-32, 2 edges-32, t the next")
    read_until(b"implant is stimulating")
    os.write(terminal, b"2")
    read_until(b"task is now 'edges-32'")
    os.write(terminal, b"t")
    read_until(b"task is now 'luminance-32'")
    os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert b"session with the implant opened" in screen
    assert screen.count(b"session with the implant opened") == 1
    assert os.waitstatus_to_exitcode(status) == 130
