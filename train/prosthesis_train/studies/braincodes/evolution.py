"""Evolved images against the best of 5,000 natural ones, over units fixed in advance, all re-measured afterwards.

The best of many noisy scores is a lucky one. So what won, natural or evolved, is shown again, and only those fresh
spikes count. One generator knows clothes, of strong contrast; so 5,000 pictures of clothes compete beside as many
photographs, and gains are given on the best photograph and on the better of both.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from prosthesis.results import Figure
from prosthesis_sim.brain import Noise, Population, counts, frozen_brain
from prosthesis_train.artefacts import load_artefact
from prosthesis_train.data.images import open_images
from prosthesis_train.data.photographs import photographs
from prosthesis_train.reading.evolution import F32, F64, Cma, Evolution, Genetic, Score, evolve, rate_of
from prosthesis_train.reading.genealogy import best_picture, film
from prosthesis_train.reading.painters import Painter, cosines, gray, of_artefact
from prosthesis_train.studies.braincodes.paired import mean_figure

BRAINS = ("it", "tuned600")
UNITS = 20  # of each brain, drawn by seed before anything is measured
NATURAL = 5000
GENERATIONS = 125  # of 40: as many pictures as there are natural ones
DURATION_S = 0.2
AGAIN = 50  # fresh presentations of every winner
SEED = 0
SIDE = 32
OPTIMISERS: dict[str, Callable[[int, int], Genetic | Cma]] = {"GA": Genetic, "CMA-ES": Cma}


@dataclass(frozen=True, slots=True)
class Contest:
    """Re-measured rates in Hz f64[units] of one brain: of the natural winners, and of the evolved by their way."""

    brain: str
    units: tuple[int, ...]
    natural_hz: dict[str, F64]
    evolved_hz: dict[str, F64]
    first: dict[str, tuple[Evolution, Painter]]

    @property
    def best_natural_hz(self) -> F64:
        """Return each unit's better natural winner."""
        best: F64 = np.max(list(self.natural_hz.values()), axis=0)
        return best


def painters() -> tuple[Painter, ...]:
    """Return the generators: trained of 120 dimensions, and of 4,096 a linear basis, for no trained one is at hand."""
    return of_artefact(load_artefact("bigbigan-fashion120")), cosines(64, SIDE)


def natural() -> dict[str, F32]:
    """Return sets of natural pictures f32[5000,32,32] in 0..1."""
    photos = photographs(SIDE, 1, train=NATURAL, test=1).train
    return {
        name: gray(pictures)
        for name, pictures in (("photographs", photos), ("clothes", open_images("fashion", SIDE, 1).train[:NATURAL]))
    }


def contest(name: str, said: Callable[[str], None], units: int = UNITS, generations: int = GENERATIONS) -> Contest:
    """Run every optimiser with every generator on ``units`` units of a frozen brain."""
    brain = frozen_brain(name, SEED)
    chosen = np.random.default_rng(SEED).permutation(brain.n)[:units]
    shown = natural()
    rates = {kind: rates_of(brain, pictures) for kind, pictures in shown.items()}
    found, evolved, first = dict[str, list[float]](), dict[str, list[float]](), dict[str, tuple[Evolution, Painter]]()
    for number, unit in enumerate(chosen.tolist()):
        spikes = _spikes(SEED + 1000 * unit)
        for kind, pictures in shown.items():
            seen = spikes(rates[kind][:, unit : unit + 1])[:, 0]
            found.setdefault(kind, []).append(_again(brain, unit, pictures[int(seen.argmax())]))
        for painter in painters():
            for way, make in OPTIMISERS.items():
                label = f"{way}, {painter.name}"
                run = evolve(make(painter.dim, SEED), painter.images, _score(brain, unit, spikes), generations)
                evolved.setdefault(label, []).append(_again(brain, unit, painter.images(run.best()[None])[0]))
                first.setdefault(label, (run, painter))
        best, usual = (max(hz[-1] for hz in kind.values()) for kind in (evolved, found))
        said(f"{name}, unit {number + 1} of {units}: natural {usual:.1f} Hz, evolved up to {best:.1f} Hz")
    natural_hz, evolved_hz = ({kind: np.array(hz) for kind, hz in part.items()} for part in (found, evolved))
    return Contest(name, tuple(chosen.tolist()), natural_hz, evolved_hz, first)


def rates_of(brain: Population, images: F32, batch: int = 500) -> F64:
    """Return expected rates in Hz f64[n,units] of many images."""
    return np.concatenate([brain.rates_hz(images[k : k + batch]) for k in range(0, len(images), batch)])


def _spikes(seed: int) -> Callable[[F64], F64]:
    random = np.random.default_rng(seed)
    return lambda rates: counts(rates, DURATION_S, random, Noise())


def _score(brain: Population, unit: int, spikes: Callable[[F64], F64]) -> Score:
    return rate_of(brain.rates_hz, unit, spikes, DURATION_S)


def _again(brain: Population, unit: int, image: F32) -> float:
    """Return the mean rate in Hz over fresh presentations, whose noise no search has seen."""
    rates = np.repeat(brain.rates_hz(image[None])[:, unit : unit + 1], AGAIN, axis=0)
    return float(_spikes(7_000_000 + unit)(rates).mean() / DURATION_S)


@functools.lru_cache(maxsize=1)
def _done() -> dict[str, Contest]:
    return {}


def _contest(name: str, say: Callable[[str], None] = lambda _: None) -> Contest:
    """Return a brain's contest; it is run once, for figures and for pictures."""
    if name not in _done():
        _done()[name] = contest(name, say)
    return _done()[name]


def measure(say: Callable[[str], None]) -> list[Figure]:
    """Return rates of the winners and, paired by unit, what evolution gains on the best natural image."""
    return [figure for name in BRAINS for figure in _figures(_contest(name, say))]


def _figures(found: Contest) -> list[Figure]:
    before, out = f"evolution, {found.brain}", []
    for kind, hz in found.natural_hz.items():
        out.append(mean_figure(f"{before}: best of {NATURAL} {kind}, re-measured", hz, "Hz", "units"))
    for way, hz in found.evolved_hz.items():
        gain = hz - found.best_natural_hz
        on_photos = hz - found.natural_hz["photographs"]
        out.append(mean_figure(f"{before}: {way}, re-measured", hz, "Hz", "units"))
        out.append(mean_figure(f"{before}: {way}, gain on the best photograph", on_photos, "Hz", "units, paired"))
        out.append(mean_figure(f"{before}: {way}, gain on the better of both", gain, "Hz", "units, paired"))
        out.append(Figure(f"{before}: {way}, units that gain on both", float((gain > 0).mean()), "of all"))
    for painter in painters():
        ga, cma = (found.evolved_hz[f"{way}, {painter.name}"] for way in OPTIMISERS)
        out.append(mean_figure(f"{before}: CMA-ES minus GA, {painter.name}", cma - ga, "Hz", "units, paired"))
    return out


def draw(folder: Path) -> list[str]:
    """Draw every unit, the best of each generation, and the genealogy's film; return the pictures' names."""
    found = [_contest(name) for name in BRAINS]
    canvas = importlib.import_module("matplotlib.figure").Figure(figsize=(11, 4.5), layout="constrained")
    for ax, one in zip(canvas.subplots(1, len(found), squeeze=False)[0], found, strict=True):
        order = np.argsort(one.best_natural_hz)
        ax.plot(one.best_natural_hz[order], "k_", ms=12, label=f"best of {NATURAL} natural")
        for marker, (way, hz) in zip("ox^v", one.evolved_hz.items(), strict=True):
            ax.plot(hz[order], marker, ms=5, alpha=0.8, label=way)
        ax.set(xlabel="unit, by its natural best", ylabel="re-measured rate (Hz)", title=one.brain)
        ax.legend(fontsize=7)
    canvas.savefig(folder / "braincodes_evolution.png", dpi=90)
    run, painter = next(iter(found[0].first.values()))
    cv2.imwrite(str(folder / "braincodes_generations.png"), best_picture(run, painter.images)[..., ::-1])
    film(run, painter.images, folder / "braincodes_genealogy.webm", every=3)
    return ["braincodes_evolution.png", "braincodes_generations.png", "braincodes_genealogy.webm"]
