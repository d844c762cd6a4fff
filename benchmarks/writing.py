"""The write path's two hops at 1024 sites against bare matrix products of the same size, in turns, on one thread."""

from __future__ import annotations

import os

# ruff: noqa: E402
# before anything loads a library that starts threads
for _name in ("OMP", "MKL", "OPENBLAS"):
    os.environ[f"{_name}_NUM_THREADS"] = "1"

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from prosthesis.calibration.table import Crosstalk
from prosthesis.config import load_rig
from prosthesis.messages import MachineCode, readonly
from prosthesis.modulator import PulseModulator
from prosthesis.solver import CrosstalkModulator
from prosthesis.translators.bijective import BijectiveTranslator

TURNS, CODE = 300, 120
# about the shares that calibration finds at the shipped rigs
SHARES = Crosstalk(distance_mm=(0.9, 1.5, 2.0, 3.0), share=(0.016, 0.006, 0.004, 0.0), trials=0)


class Linear:
    """A linear map: what any map costs at least."""

    def __init__(self, d: int, n: int) -> None:
        self.d, self.n = d, n
        self.matrix = 10 * np.random.default_rng(0).normal(size=(d, n)) / np.sqrt(d)

    def to_brain(self, z: np.ndarray) -> np.ndarray:
        return 15.0 + z @ self.matrix

    def to_machine(self, rates: np.ndarray) -> np.ndarray:
        return (rates - 15.0) @ self.matrix.T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    rig = load_rig("nhp1024")
    rig = replace(rig, calibration=rig.calibration.model_copy(update={"crosstalk": SHARES}))
    n, enabled = rig.electrodes, rig.calibration.column("enabled").astype(bool)
    code_map = Linear(CODE, n)
    translator = BijectiveTranslator(code_map, np.arange(n), np.full(n, 5.0), np.full(n, 60.0), enabled)
    modulator, plain = CrosstalkModulator(rig), PulseModulator(rig)
    random = np.random.default_rng(1)
    blocks, column = random.random((8, n // 8, n // 8)), random.random((8, n // 8, 1))
    times: dict[str, list[float]] = {}
    for _ in range(TURNS):
        code = MachineCode(1, 1, readonly(random.normal(size=CODE), np.float32), "latent", (CODE,))
        brain = translator.translate(code)
        wide = code.values[None].astype(np.float64)
        turns: dict[str, Callable[[], object]] = {
            "translate": lambda code=code: translator.translate(code),
            "bare map": lambda wide=wide: wide @ code_map.matrix,
            "modulate": lambda brain=brain: modulator.modulate(brain),
            "bare blocks": lambda: blocks @ column,
            "modulate by curves alone": lambda brain=brain: plain.modulate(brain),
        }
        for name, run in turns.items():
            began = time.perf_counter()
            run()
            times.setdefault(name, []).append(1e3 * (time.perf_counter() - began))
    ms = {name: float(np.median(values)) for name, values in times.items()}
    ratios = {
        "translate over its matrix product": float(np.median(np.divide(times["translate"], times["bare map"]))),
        "modulate over one product of its blocks": float(np.median(np.divide(times["modulate"], times["bare blocks"]))),
    }
    if options.json:
        print(json.dumps({"sites": n, "ms": ms, "ratios": ratios}, indent=2))
        return
    for name, value in {**{f"{k}, ms": v for k, v in ms.items()}, **ratios}.items():
        print(f"{name:45} {value:8.3f}")


if __name__ == "__main__":
    main()
