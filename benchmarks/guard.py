"""The guard's cost at 1024 and 96 electrodes: at a glance and closely, beside bare struct and AEAD, in turns."""

from __future__ import annotations

import os

# ruff: noqa: E402
# before anything loads a library that starts threads
for _name in ("OMP", "MKL", "OPENBLAS"):
    os.environ[f"{_name}_NUM_THREADS"] = "1"

import argparse
import json
import struct
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from prosthesis.config import load_rig
from prosthesis.glance import QuickGuard
from prosthesis.limits import Totals, guard_limits
from prosthesis.messages import BrainCode, readonly
from prosthesis.modulator import PulseModulator
from prosthesis.safety import Guard

TURNS, PATTERNS = 1000, 32
RIGS = ("nhp1024", "utah96")


def guarded(rig_name: str, kind: type[Guard], unadvised: bool) -> Callable[[], object]:
    """Allow one pattern after another, all electrodes driven at random between threshold and maximum."""
    rig = load_rig(rig_name)
    modulator, random, limits = PulseModulator(rig), np.random.default_rng(1), guard_limits(rig)
    if unadvised:
        hard = tuple(cap for cap in limits.caps if cap.tier == "hard")
        limits = replace(limits, caps=hard, advisory=Totals())
    codes = [BrainCode(i, i, readonly(random.random(rig.electrodes), np.float32), 0) for i in range(PATTERNS)]
    wanted, guard, turn = [modulator.modulate(code) for code in codes], kind(limits), 0
    state = guard.initial()

    def run() -> object:
        nonlocal state, turn
        turn += 1
        allowed, _, state = guard.allow(wanted[turn % PATTERNS], state, 0.033)
        return allowed

    return run


def bare() -> Callable[[], object]:
    """Pack a header, seal and open 1024 codes of 10 bits: what a pattern costs on the wire at the least."""
    aead, header, payload = ChaCha20Poly1305(bytes(32)), struct.Struct("<HBBIIQHHBBBxI"), bytes(1280)

    def run() -> object:
        clear = header.pack(0x5056, 1, 1, 9, 1, 123, 100, len(payload), 0, 1, 0, 0)
        return aead.decrypt(bytes(12), aead.encrypt(bytes(12), payload, clear), clear)

    return run


def measure() -> dict[str, dict[str, float]]:
    """Return microseconds, and the median of ratios to the bare floor, taken in turns."""
    subjects = {"bare": bare()}
    for rig in RIGS:
        subjects[f"{rig}, close look"] = guarded(rig, Guard, False)
        subjects[f"{rig}, glance"] = guarded(rig, QuickGuard, False)
        subjects[f"{rig}, glance, nothing advised"] = guarded(rig, QuickGuard, True)
    times: dict[str, list[float]] = {}
    for _ in range(TURNS):
        for name, run in subjects.items():
            began = time.perf_counter()
            run()
            times.setdefault(name, []).append(1e6 * (time.perf_counter() - began))
    floor = np.asarray(times["bare"])
    return {
        name: {"p5": float(np.percentile(t, 5)), "p50": float(np.median(t)), "ratio": float(np.median(t / floor))}
        for name, t in times.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    us = measure()
    if parser.parse_args().json:
        print(json.dumps(us, indent=2))
        return
    for name, figures in us.items():
        print(f"{name:32} p5 {figures['p5']:7.1f} us   p50 {figures['p50']:7.1f} us {figures['ratio']:7.1f} times bare")


if __name__ == "__main__":
    main()
