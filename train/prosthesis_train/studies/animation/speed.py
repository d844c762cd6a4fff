"""How long a frame takes in the device's own engine, by processor time: wall time says little on a shared machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from prosthesis.animation.animator import MODEL, Animator, open_animator
from prosthesis.bundles.bundle import load_bundle
from prosthesis.results import Figure
from prosthesis_train.animation.clips import shot

RUNS = 60
Say = Callable[[str], None]


def measure(say: Say) -> list[Figure]:
    """Return frames a second of one thread at 64 pixels, and of the same weights at 128."""
    found = []
    with TemporaryDirectory() as folder:
        for side, model in ((64, MODEL), (128, _larger(Path(folder), 128))):
            say(f"timing at {side} px")
            found += _timed(open_animator(model), side)
    return found


def _larger(folder: Path, side: int) -> str:
    """Return a bundle of the shipped weights for larger pictures, for which they were not trained."""
    words = [str(load_bundle(MODEL).folder), "--side", str(side), "--out", str(folder)]
    # the desk may not import the room of delivery, whose command this is
    subprocess.run([sys.executable, "-m", "prosthesis_export.animation", *words], check=True, capture_output=True)
    return str(folder / f"animation{side}")


def _timed(animator: Animator, side: int) -> list[Figure]:
    frames = shot("faces", "test", 0, 8, side).frames()
    source = animator.points(frames[0])
    spent, passed = [], []
    for k in range(RUNS + 5):
        began, clock = time.process_time(), time.perf_counter()
        animator.make(frames[0], source, animator.points(frames[k % 8]))
        spent.append(time.process_time() - began)
        passed.append(time.perf_counter() - clock)
    low, middle, high = (1 / q for q in np.quantile(spent[5:], (0.975, 0.5, 0.025)))
    low_clock, clocked, high_clock = (1 / q for q in np.quantile(passed[5:], (0.975, 0.5, 0.025)))
    where = f"middle 95 % of {RUNS}, {os.cpu_count()} cores at load {os.getloadavg()[0]:.1f}"
    return [
        Figure(f"{side} px, one thread, by processor time", middle, "frames/s", low, high, f"middle 95 % of {RUNS}"),
        Figure(f"{side} px, one thread, by the clock", clocked, "frames/s", low_clock, high_clock, where),
    ]  # fmt: skip
