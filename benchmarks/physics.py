"""The patient's speed, memory and gradients against dynaphos, pulse2percept and the floor, in turns, on one thread.

Needs the extra ``peers``. Writes ``docs/results/physics.json`` and its page, and ``docs/images/physics_growth.png``;
``--quick`` does a few repetitions of everything but the largest and writes nothing.
"""

from __future__ import annotations

import os

# ruff: noqa: E402
# before anything loads a library that starts threads
for _name in ("OMP", "MKL", "OPENBLAS", "NUMBA"):
    os.environ[f"{_name}_NUM_THREADS"] = "1"

import argparse
import json
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import physics_subjects as subjects
import torch
from physics_subjects import Subject

from prosthesis.results import Figure, page, provenance

DOCS = Path(__file__).resolve().parent.parent / "docs"
GROWTH = (60, 96, 400, 1024, 4000, 10_000, 40_000, 100_000)
PEERS_UP_TO = 1024
# frames that pulse2percept gets in one call: it finds who lights which pixel anew in every call
BATCHES = (1, 10, 40, 160, 640)
Times = Mapping[str, npt.NDArray[np.float64]]
SUMMARY = """\
Times are per frame at 256x256 pixels over 16 degrees, one thread, state update included, all in one process and in
turns: median over the turns, with the least and the most; a ratio is taken within each turn, so that both sides saw the
same weather. Ours is `World.step` and `World.percept` of `van_der_grinten_2024`, which is dynaphos' law solved exactly;
places, sizes, thresholds and currents are the same, and the run stops if brightness or size differ. Every electrode is
driven at 40 to 120 uA in every frame; habituation is computed with strength 0 on both sides, so that all stays lit.

dynaphos runs warmed up, under `torch.no_grad()` where no gradient is asked for, in float32, one frame a call with
`batch_size: 0`, as its configuration says for simulation; the deterministic algorithms that it switches on are off
again. pulse2percept gets 1 to 640 frames in one call, with our mean size and its own cut of tails. It finds who lights
which pixel anew in every call, so it gains by many frames; a patient who sees each frame when it comes has one a call.
Its scoreboard has no state. The floor is a new image, cleared and clipped, and the bare multiply-adds of ready profiles
in our windows: no state, no profiles to make. Axon maps: Argus II over 24 degrees. Memory is what Python's tracemalloc
sees of making the rig's World and living a second: all its arrays, not the compiled code, which all Worlds share."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few repetitions, no 100,000 electrodes, writes nothing")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    turns = 3 if options.quick else 9
    curve: dict[str, list[tuple[int, float]]] = {}
    figures = [
        *cortex(96, turns, 1000),
        *cortex(1024, turns, 2000),
        *human(turns),
        *retina(min(turns, 3), (1, 10) if options.quick else (1, 10, 40, 160)),
        *gradients(1024, 2 if options.quick else 5),
        memory(),
        *growth(GROWTH[:-2] if options.quick else GROWTH, turns, curve),
    ]
    content = {
        "name": "physics",
        "title": "The simulated patient against its peers",
        "summary": SUMMARY,
        "command": "python benchmarks/physics.py",
        "made": provenance(),
        "figures": [asdict(figure) for figure in figures],
        "pictures": ["../images/physics_growth.png"],
    }
    content["made"]["packages"] |= {name: version(name) for name in ("torch", "dynaphos", "pulse2percept")}
    if not options.quick:
        draw_growth(curve, DOCS / "images" / "physics_growth.png")
        (DOCS / "results" / "physics.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        (DOCS / "results" / "physics.md").write_text(page(content), encoding="utf-8")
    print(json.dumps(content, indent=2) if options.json else page(content))


def in_turns(each: Mapping[str, Subject], turns: int) -> Times:
    """Return ms per frame of every subject, f64[turns]."""
    taken: dict[str, list[float]] = {name: [] for name in each}
    for _ in range(turns):
        for name, subject in each.items():
            began = time.perf_counter()
            subject.run()
            taken[name].append((time.perf_counter() - began) * 1e3 / subject.frames)
    return {name: np.array(ms) for name, ms in taken.items()}


def figure(name: str, values: npt.NDArray[np.float64], unit: str) -> Figure:
    return Figure(
        name, float(np.median(values)), unit, float(values.min()), float(values.max()), f"range of {len(values)} turns"
    )


def cortex(count: int, turns: int, target: int) -> list[Figure]:
    """Compare at ``count`` electrodes with both peers and the floor."""
    world = subjects.our_world(count)
    # first, for they bring it to life; as many frames as the peer's longest call, so that both are equally warm
    each = {"ours": subjects.ours(world, max(BATCHES)), "floor": subjects.floor(world, max(BATCHES))}
    scoreboards = {f"pulse2percept scoreboard, {n} a call": subjects.scoreboard(world, n) for n in BATCHES}
    peers = {
        "dynaphos": subjects.dynaphos(world),
        **scoreboards,
        "pulse2percept DynaphosModel, 10 a call": subjects.pulse2percept_dynaphos(world, 10),
    }
    ms = in_turns({**each, **peers}, turns)
    at, targets = f"{count} electrodes", {"dynaphos": f" (target {target})"}
    targets |= {f"pulse2percept scoreboard, {n} a call": " (target 60)" for n in BATCHES if n > 1}
    rows = [figure(f"{at}: ours", ms["ours"], "ms"), figure(f"{at}: floor", ms["floor"], "ms")]
    rows += [figure(f"{at}: {name}", ms[name], "ms") for name in peers]
    rows += [figure(f"{at}: {name}, over ours{targets.get(name, '')}", ms[name] / ms["ours"], "x") for name in peers]
    return [*rows, figure(f"{at}: ours over floor", ms["ours"] / ms["floor"], "x")]


def human(turns: int) -> list[Figure]:
    """Time our own patient, whose neighbouring electrodes interact."""
    world = subjects.our_world(1024, "human_v1")
    ms = in_turns({"ours": subjects.ours(world, max(BATCHES)), "floor": subjects.floor(world, max(BATCHES))}, turns)
    return [
        figure("1024 electrodes: ours, human_v1", ms["ours"], "ms"),
        figure("1024 electrodes: ours, human_v1, over floor", ms["ours"] / ms["floor"], "x"),
    ]


def retina(turns: int, batches: Sequence[int]) -> list[Figure]:
    """Compare axon maps with pulse2percept."""
    with tempfile.TemporaryDirectory() as scratch:
        mine, by_batch, difference = subjects.axon_maps(batches, Path(scratch))
    peers = {f"pulse2percept, {n} a call": peer for n, peer in by_batch.items()}
    ms = in_turns({"ours": mine, **peers}, turns)
    at, target = "axon map, Argus II", " (target 100)"
    return [
        *(figure(f"{at}: {name}", taken, "ms") for name, taken in ms.items()),
        *(figure(f"{at}: {name}, over ours{target}", ms[name] / ms["ours"], "x") for name in peers),
        Figure(f"{at}: largest difference of the two images", difference, "of white"),
    ]


def gradients(count: int, turns: int) -> list[Figure]:
    """Time one frame forward and backward, and hold the gradient against central differences."""
    amplitude = torch.as_tensor(subjects.currents_ua(count))
    single = subjects.our_gradient(count, torch.float32)
    single(amplitude)
    each = {"ours": Subject(lambda: single(amplitude)), "dynaphos": Subject(subjects.dynaphos_gradient(count))}
    ms = in_turns(each, turns)
    at = f"{count} electrodes, forward and backward"
    exact, rounded = gradient_errors(count, single(amplitude)[1])
    return [
        figure(f"{at}: ours", ms["ours"], "ms"),
        figure(f"{at}: dynaphos", ms["dynaphos"], "ms"),
        figure(f"{at}: dynaphos over ours (target 100)", ms["dynaphos"] / ms["ours"], "x"),
        Figure(f"{at}: gradient against central differences, float64, worst of 8", exact, "relative"),
        Figure(f"{at}: float32's gradient against float64's", rounded, "of the largest"),
    ]


def gradient_errors(count: int, single: torch.Tensor) -> tuple[float, float]:
    double = subjects.our_gradient(count, torch.float64)
    amplitude = torch.as_tensor(subjects.currents_ua(count)).double()
    gradient = double(amplitude)[1]
    worst = 0.0
    for k in np.linspace(0, count - 1, 8).astype(int).tolist():
        shift = torch.zeros(count, dtype=torch.float64)
        shift[k] = 1e-3
        difference = float(double(amplitude + shift)[0] - double(amplitude - shift)[0]) / 2e-3
        worst = max(worst, abs(float(gradient[k]) / difference - 1))
    return worst, float((single - gradient).abs().max() / gradient.abs().max())


def memory() -> Figure:
    """Measure what one World adds, at most, while it is made and lives."""
    subjects.ours(subjects.reference_world("utah96"), 1)  # imports and compiles
    tracemalloc.start()
    began = tracemalloc.get_traced_memory()[0]
    subjects.ours(subjects.reference_world("nhp1024"), 1)
    peak = tracemalloc.get_traced_memory()[1] - began
    tracemalloc.stop()
    return Figure("nhp1024: memory added by a World, at most (target 20)", peak / 1e6, "MB")


def growth(counts: tuple[int, ...], turns: int, curve: dict[str, list[tuple[int, float]]]) -> list[Figure]:
    """Time each number of electrodes; fill ``curve`` with ms by subject."""
    figures = []
    for count in counts:
        world = subjects.our_world(count)
        calls = max(2, 20_000 // count)
        each = {"ours": subjects.ours(world, calls), "floor": subjects.floor(world, calls)}
        if count <= PEERS_UP_TO:
            each |= {"dynaphos": subjects.dynaphos(world), "pulse2percept scoreboard": subjects.scoreboard(world, 10)}
        ms = in_turns(each, min(turns, 5))
        for name, taken in ms.items():
            curve.setdefault(name, []).append((count, float(np.median(taken))))
        figures.append(figure(f"growth, {count} electrodes: ours", ms["ours"], "ms"))
    return figures


def draw_growth(curve: Mapping[str, list[tuple[int, float]]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    picture, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for name, points in curve.items():
        axes.loglog(*zip(*points, strict=True), "o--" if name == "floor" else "o-", label=name)
    axes.set(xlabel="electrodes, all driven", ylabel="ms per frame, one thread")
    axes.grid(visible=True, which="both", alpha=0.2)
    axes.legend()
    picture.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
