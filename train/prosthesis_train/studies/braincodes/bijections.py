"""Every map between machine codes and brain codes, in both directions, over brains, seeds and numbers of trials.

Codes are the 120 numbers that the shipped encoder gives to pictures of clothes; a trial is 200 ms of spikes of a frozen
simulated brain, its noise drawn anew. Test pictures and their trials are seen by no fit and no choice.
"""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from prosthesis.codemap import CodeMap
from prosthesis.results import Figure
from prosthesis_sim.brain import counts, frozen_brain
from prosthesis_train.artefacts import load_artefact
from prosthesis_train.data.images import open_images
from prosthesis_train.methods.classifier import to_float
from prosthesis_train.reading.judging import jacobian_spectrum, judge, round_trip
from prosthesis_train.reading.maps import choose, fit_map
from prosthesis_train.reading.posterior import coverage, fit_posterior
from prosthesis_train.scores.card import in_batches
from prosthesis_train.studies.braincodes.paired import mean_figure

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
BRAINS = ("tuned600", "utah96", "nhp1024")
BRAIN_SEEDS, SEEDS = (0, 1, 2), (0, 1, 2)  # SEEDS are those of the trials, on each of the brains
CODES = "bigbigan-fashion120"
TRIALS, TEST, FEW = 8000, 2000, (100, 300, 1000)
DURATION_S = 0.2
KINDS = ("ols", "gls", "ridge", "two maps", "procrustes", "pca", "bijection", "chosen")
DRAWN = ("gls", "ridge", "two maps", "procrustes", "bijection", "chosen")  # the others leave the picture
LEVEL = 0.9  # of the posterior
POINTS = 20  # where the Jacobian is taken
CELLS = Path("runs/braincodes/bijections/cells")


def measure(say: Callable[[str], None]) -> list[Figure]:
    """Return all figures; cells already measured are read from ``CELLS``."""
    cells = {brain: _cells(brain, say) for brain in BRAINS}
    return [figure for brain, found in cells.items() for figure in _figures(brain, found)]


def _cells(brain: str, say: Callable[[str], None]) -> list[dict[str, Any]]:
    return [_cell(brain, brain_seed, seed, say) for seed, brain_seed in product(SEEDS, BRAIN_SEEDS)]


def _cell(brain: str, brain_seed: int, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    path = CELLS / f"{brain}-{brain_seed}-{seed}.json"
    if not path.is_file():
        say(f"{brain}, brain {brain_seed}, seed {seed}")
        CELLS.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(cell(brain, brain_seed, seed, (*FEW, TRIALS))), encoding="utf-8")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def cell(brain: str, brain_seed: int, seed: int, trials: Sequence[int]) -> dict[str, Any]:
    """Return, for each number of trials and each map, what ``judged`` says; ``chosen`` also says what was chosen."""
    codes, rates = _shown()
    expected = rates(brain, brain_seed)
    active = expected[:TRIALS].std(0) > 1e-6
    random = np.random.default_rng([brain_seed, seed])
    measured = counts(expected[:, active], DURATION_S, random) / DURATION_S
    order = random.permutation(len(codes) - TEST)
    test = (codes[-TEST:], measured[-TEST:])
    out: dict[str, Any] = {"sites": int(active.sum()), "digest": frozen_brain(brain, brain_seed).digest}
    for n in trials:
        own = (codes[order[:n]], measured[order[:n]])
        choice = choose(*own, seed)
        for kind in KINDS:
            same = kind in ("chosen", choice.chosen)
            code_map = choice.code_map if same else fit_map(kind, *own, seed)
            chosen = choice.chosen if kind == "chosen" else kind
            out[f"{n} {kind}"] = {**judged(code_map, test, own), "chosen": chosen}
    return out


def judged(code_map: CodeMap, test: tuple[F64, F64], own: tuple[F64, F64]) -> dict[str, float]:
    """Return a map's scores on test trials, its round trips in both precisions, and its conditioning."""
    found = judge(code_map, *test, own)
    half = len(test[0]) // 2  # one half for the posterior's spread, the other for whether it covers
    posterior = fit_posterior(code_map, test[0][:half], test[1][:half])
    each, joint = coverage(posterior, test[0][half:], test[1][half:], LEVEL)
    double = round_trip(code_map, *test)
    single = round_trip(code_map, *test, np.float32)
    values = jacobian_spectrum(code_map, test[0][:POINTS])
    condition = values[:, 0] / np.maximum(values[:, -1], 1e-300)
    return {
        "latent error": found.latent_error,
        "encoding r": found.mean_r,
        "sampled latent error": found.sampled_latent_error,
        "sampled encoding r": found.sampled_encoding_r,
        "coverage each": each,
        "coverage joint": joint,
        "double max": max(double.machine_max, double.brain_max),
        "single max": max(single.machine_max, single.brain_max),
        "single rms": max(single.machine_rms, single.brain_rms),
        "condition median": float(np.median(condition)),
        "condition p95": float(np.percentile(condition, 95)),
    }


@functools.cache
def _shown() -> tuple[F64, Callable[[str, int], F64]]:
    """Return codes f64[trials + test, 120] of pictures, and what gives a brain's expected rates to them."""
    data, model = open_images("fashion", 32, 1), load_artefact(CODES)
    some = np.random.default_rng(0).permutation(len(data.train))[:TRIALS]
    pictures = np.concatenate((data.train[some], data.test[:TEST]))
    with torch.no_grad():
        codes = in_batches(lambda x: model.encode(x)[0], to_float(pictures)).numpy().astype(np.float64)
    gray: F32 = pictures[..., 0].astype(np.float32) / np.float32(255)

    @functools.lru_cache(maxsize=1)
    def rates(brain: str, seed: int) -> F64:
        population = frozen_brain(brain, seed)
        return np.concatenate([population.rates_hz(gray[k : k + 500]) for k in range(0, len(gray), 500)])

    return codes, rates


def _figures(brain: str, cells: list[dict[str, Any]]) -> list[Figure]:
    sites = sorted({cell["sites"] for cell in cells})
    where = f"{brain} ({sites[0]} to {sites[-1]} sites that answer)"
    out, of = [], f"of {len(BRAIN_SEEDS)} brains x {len(SEEDS)} seeds"

    def column(n: int, kind: str, score: str) -> F64:
        return np.array([cell[f"{n} {kind}"][score] for cell in cells])

    for n in (*FEW, TRIALS):
        for kind in KINDS:
            out += [
                mean_figure(f"{where}, N = {n}, {kind}: {score}", column(n, kind, score), "", of)
                for score in ("latent error", "encoding r")
            ]
        gain = column(n, "chosen", "latent error") - column(n, "gls", "latent error")
        more = column(n, "chosen", "encoding r") - column(n, "gls", "encoding r")
        out.append(mean_figure(f"{where}, N = {n}: latent error of chosen less that of gls", gain, "", of))
        out.append(mean_figure(f"{where}, N = {n}: encoding r of chosen less that of gls", more, "", of))
        picked = [cell[f"{n} chosen"]["chosen"] for cell in cells]
        names = ", ".join(f"{name} {picked.count(name)}" for name in sorted(set(picked)))
        out.append(
            Figure(
                f"{where}, N = {n}: chosen is the bijection in",
                picked.count("bijection"),
                f"of {len(cells)}",
                interval=names,
            )
        )
    ridge = column(TRIALS, "chosen", "latent error") - column(TRIALS, "ridge", "latent error")
    share = column(TRIALS, "chosen", "encoding r") / column(TRIALS, "ols", "encoding r")
    out.append(mean_figure(f"{where}: latent error of chosen less that of the ridge decoder", ridge, "", of))
    out.append(mean_figure(f"{where}: encoding r of chosen over that of OLS", share, "", of))
    for kind in ("gls", "chosen"):
        out += [
            mean_figure(f"{where}, {kind}: {score}", column(TRIALS, kind, score), "", of)
            for score in ("sampled latent error", "sampled encoding r", "condition median", "condition p95")
        ]
        out += [
            mean_figure(f"{where}, {kind}: {LEVEL:.0%} posterior, {score}", column(TRIALS, kind, score), "", of)
            for score in ("coverage each", "coverage joint")
        ]
        for score in ("double max", "single max", "single rms"):
            worst = float(column(TRIALS, kind, score).max())
            out.append(Figure(f"{where}, {kind}: round trip, {score}, worst", worst, "sd", interval=f"most {of}"))
    out.append(Figure(f"{where}: data scale N/k", TRIALS / min(120, sites[0]), ""))
    return out


def draw(folder: Path) -> list[str]:
    """Draw latent error and encoding r against the number of trials, one column a brain."""
    canvas = importlib.import_module("matplotlib.figure").Figure(figsize=(11, 6), layout="constrained")
    axes = canvas.subplots(2, len(BRAINS), squeeze=False)
    for column, brain in enumerate(BRAINS):
        cells = _cells(brain, lambda text: None)
        for row, score in enumerate(("latent error", "encoding r")):
            for kind in DRAWN:
                values = np.array([[cell[f"{n} {kind}"][score] for n in (*FEW, TRIALS)] for cell in cells])
                axes[row, column].errorbar((*FEW, TRIALS), values.mean(0), values.std(0), label=kind, capsize=2)
            axes[row, column].set(xscale="log", xlabel="trials", ylabel=score, title=brain)
        axes[0, column].set_yscale("log")
    axes[0, 0].legend(fontsize=8)
    canvas.savefig(folder / "braincodes_maps.png", dpi=90)
    return ["braincodes_maps.png"]
