"""What an open console costs the pipeline it shows: one run on two cores, alone and with a browser on it, in turns.

Needs ``pip install 'prosthesis[view]' playwright`` and Chromium. The console attaches to a run that is there already; a
turn begins when its pictures move, so that what starting Python and a browser costs is in no turn.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import zmq

from prosthesis.links.keys import load_keys
from prosthesis.links.zmq import DEVICE_TAPS, WORLD_TAPS
from prosthesis.messages import HopTimes, ImplantState, Refusal, Telemetry
from prosthesis.processes import free_port
from prosthesis.schemas import decode
from prosthesis.taps import listen

CORES = 2
MOVING = "window.prosthesisConsole && prosthesisConsole.counts.percept > 5"


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: frames sent a second, capture to percept in ms, and what came too late at the implant."""

    console: bool
    seconds: float
    fps: float
    p50_ms: float
    p99_ms: float
    stale: int
    holds: int
    drawn_fps: float = 0.0


@contextlib.contextmanager
def process(*arguments: str, quiet: bool = True) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(
        [sys.executable, "-m", "prosthesis", *arguments],
        stderr=subprocess.DEVNULL if quiet else None,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield child
    finally:
        child.terminate()  # an interrupt is ignored by what a shell has put into the background
        child.wait(20)


def watch(port: int, seconds: float) -> Turn:
    """Count for ``seconds`` what passes; of the taps only numbers are asked for."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    ends = [f"tcp://127.0.0.1:{port + offset}" for offset in (DEVICE_TAPS, WORLD_TAPS)]
    sent: set[int] = set()
    took: dict[int, float] = {}
    health: list[Telemetry] = []
    with listen(ends, ["hops", "world_hops", "telemetry"], context) as listener:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            heard = listener.receive(left)
            if heard is None:
                continue
            message = decode(*heard)
            if isinstance(message, Telemetry):
                health.append(message)
            elif isinstance(message, HopTimes) and heard[0] == "hops":
                sent.add(message.seq)
            elif isinstance(message, HopTimes):
                took[message.seq] = (message.stamps_ns[-1] - message.t_ns) / 1e6
    context.term()
    times = np.asarray(list(took.values()) or [np.nan])
    stale = health[-1].refused[Refusal.STALE] - health[0].refused[Refusal.STALE] if health else 0
    states = [message.state for message in health]
    holds = sum(a is not b and b in (ImplantState.HOLD, ImplantState.SAFE) for a, b in itertools.pairwise(states))
    p50, p99 = np.percentile(times, (50, 99)).tolist()
    return Turn(False, seconds, len(sent) / seconds, p50, p99, stale, holds)


def watched(rig: str, port: int, seconds: float, chromium: str) -> Turn:
    """The same with the console and its page open."""
    from playwright.sync_api import sync_playwright

    page_port = free_port()
    attach = ("view", rig, "--attach", f"127.0.0.1:{port}", "--port", str(page_port))
    with process(*attach), sync_playwright() as drive:
        browser = drive.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        for _ in range(60):
            with contextlib.suppress(Exception):
                page.goto(f"http://127.0.0.1:{page_port}/")
                break
            time.sleep(1)
        page.wait_for_function(MOVING, timeout=60_000)
        time.sleep(3)
        before = page.evaluate("prosthesisConsole.counts.percept")
        turn = watch(port, seconds)
        drawn = page.evaluate("prosthesisConsole.counts.percept") - before
        browser.close()
    return Turn(**{**asdict(turn), "console": True, "drawn_fps": drawn / seconds})


def measure(rig: str, turns: int, seconds: float, chromium: str) -> list[Turn]:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])  # children inherit it
    load_keys("device")
    port, found = free_port(), []
    with process("sim", rig, "--port", str(port)), process("run", rig, "--link", f"127.0.0.1:{port}", "--headless"):
        time.sleep(15)
        for _ in range(turns):
            found.append(watch(port, seconds))
            found.append(watched(rig, port, seconds, chromium))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rig", nargs="?", default="utah96")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", type=Path, help="write JSON here")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("Chromium is not here: apt-get install -y chromium")
    turns = measure(options.rig, options.turns, options.seconds, chromium)
    for turn in turns:
        who = f"console, drawing {turn.drawn_fps:4.1f} /s" if turn.console else "alone"
        print(f"{who:24} {turn.fps:5.1f} frames/s   p50 {turn.p50_ms:5.1f} ms   p99 {turn.p99_ms:6.1f} ms   ", end="")
        print(f"{turn.stale} stale, {turn.holds} holds")
    alone, shown = (np.median([turn.fps for turn in turns if turn.console is which]) for which in (False, True))
    print(f"frame rate with the console over that without: {shown / alone:.3f}; load {os.getloadavg()[0]:.1f}")
    if options.json:
        options.json.write_text(json.dumps([asdict(turn) for turn in turns], indent=1) + "\n")


if __name__ == "__main__":
    main()
