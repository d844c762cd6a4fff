"""What each trick of BigBiGAN did here: one baseline, each trick put on or off alone, the same budget for all.

``python -m prosthesis_train.studies.ablation --steps 1000 --seeds 3``; a cell that has its file is not trained again,
so the command may be stopped and given again, or given more seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prosthesis.errors import ConfigError
from prosthesis_train.data.augment import to_unit
from prosthesis_train.data.images import ImageSet, open_images
from prosthesis_train.methods import bigbigan
from prosthesis_train.networks.bigbigan import Encoder, Generator
from prosthesis_train.scores.card import in_batches
from prosthesis_train.scores.features import FeatureNetwork, own_classifier
from prosthesis_train.scores.frechet import frechet
from prosthesis_train.scores.two_afc import two_afc
from prosthesis_train.training.guardrails import spread
from prosthesis_train.training.run import commit

MOST_STEPS = 2000
CLAIM = 3  # seeds that a claim needs
BASELINE = bigbigan.Settings(save_every=10**9, log_every=10**9, watch_every=10**9)


@dataclass(frozen=True, slots=True)
class Cell:
    """One change to the baseline; ``cut`` divides the steps of larger batches, so that all see as many pictures."""

    name: str
    change: Mapping[str, Any]
    cut: int = 1


CELLS = (
    Cell("baseline", {}),
    Cell("without skip-z", {"skip_z": False}),
    Cell("without self-attention", {"self_attention": False}),
    Cell("without spectral norm", {"spectral_norm": "none"}),
    Cell("spectral norm in G too", {"spectral_norm": "GD"}),
    Cell("logistic loss for hinge", {"loss": "logistic"}),
    Cell("without s_x and s_z", {"unary": False}),
    Cell("2 updates of D a step", {"d_steps": 2}),
    Cell("E learns as slowly as G", {"lr_e": BASELINE.lr_g}),
    Cell("batch 256 by 4 accumulations", {"batch": 256, "accumulate": 4}, cut=4),
    Cell("without averaged weights", {"averaging": "none"}),
    Cell("mean over epochs for EMA", {"averaging": "epochs"}),
    Cell("without orthogonal penalty", {"orthogonal": 0.0}),
    Cell("with cycle (ALICE)", {"cycle": 10.0}),
    Cell("with moved pictures (DiffAugment)", {"diff_augment": 4}),
)
TRUNCATIONS = (2.0, 1.0, 0.5)


def run_cell(
    cell: Cell, steps: int, seed: int, folder: Path, images: ImageSet, network: FeatureNetwork, n: int
) -> Path:
    """Train and score one cell unless its file is there; returns the file."""
    file = folder / f"{cell.name.replace(' ', '-')}-{steps}-{seed}.json"
    settings = replace(BASELINE, steps=max(1, steps // cell.cut), seed=seed, **cell.change)
    if file.exists():
        told = json.loads(file.read_text(encoding="utf-8"))
        if (told["settings"], told["n"], told["network"]) != (asdict(settings), n, network.label()):
            raise ConfigError(
                f"{file}: that cell had other settings, another --n or another judge; give another --runs"
            )
        return file
    place = folder / "networks" / file.stem
    bigbigan.train(settings, place, images=images)
    g, e, _ = bigbigan.load(place)
    scores = score(g, e, images, network, n, seed, truncate=cell.name == "baseline")
    seconds = torch.load(place / "checkpoint.pt", weights_only=True)["seconds"]
    entry = {"cell": cell.name, "steps": steps, "seed": seed, "n": n, "network": network.label(), "seconds": seconds}
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps({**entry, "settings": asdict(settings), "scores": scores}, indent=2), encoding="utf-8")
    beside.replace(file)
    return file


@torch.no_grad()
def score(
    g: Generator,
    e: Encoder,
    images: ImageSet,
    network: FeatureNetwork,
    n: int,
    seed: int,
    truncate: bool,
) -> dict[str, float]:
    """Return scores of samples and reconstructions against the first ``n`` test pictures."""
    shown = to_unit(torch.from_numpy(images.test[:n]))
    real = network.features(shown)

    def of_codes(z: Tensor) -> Tensor:
        return network.features(in_batches(g, z))

    random = torch.Generator().manual_seed(seed)
    free = of_codes(torch.randn(n, g.latent, generator=random))
    again = network.features(in_batches(g, in_batches(lambda x: e(x)[0], shown)))
    scores = {
        "distance": frechet(real, free),
        "diversity": spread(free[:1000]) / spread(real[:1000]),
        "2AFC features": two_afc(real, again).share,
    }
    for threshold in TRUNCATIONS if truncate else ():
        cut = of_codes(bigbigan.truncated_normal(n, g.latent, threshold, random))
        scores[f"distance, codes within {threshold:g}"] = frechet(real, cut)
        scores[f"diversity, codes within {threshold:g}"] = spread(cut[:1000]) / spread(real[:1000])
    return scores


@torch.no_grad()
def controls(images: ImageSet, network: FeatureNetwork, n: int) -> dict[str, dict[str, float]]:
    """Return what every table must show beside its rows: other real pictures, and noise, for the same test pictures."""
    shown = to_unit(torch.from_numpy(images.test[:n]))
    real, random = network.features(shown), torch.Generator().manual_seed(0)
    made = {
        "real against real (floor)": to_unit(torch.from_numpy(images.train[:n])),
        "noise": torch.rand(shown.shape, generator=random) * 2 - 1,
    }
    found = {name: network.features(pictures) for name, pictures in made.items()}
    return {
        name: {
            "distance": frechet(real, features),
            "diversity": spread(features[:1000]) / spread(real[:1000]),
            "2AFC features": two_afc(real, features).share,
        }
        for name, features in found.items()
    }


def table(entries: Sequence[Mapping[str, Any]], control: Mapping[str, Mapping[str, float]]) -> str:
    """Return the cells as a Markdown table: means over seeds, the distance's range, and how many seeds there are."""
    lines = [
        "| cell | seeds | Frechet classifier distance | over baseline | diversity | 2AFC of G(E(x)) | s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, s in control.items():
        lines.append(f"| {name} | - | {s['distance']:.2f} | - | {s['diversity']:.2f} | {s['2AFC features']:.3f} | - |")
    by_cell = {cell.name: [e for e in entries if e["cell"] == cell.name] for cell in CELLS}
    base = {e["seed"]: e["scores"]["distance"] for e in by_cell["baseline"]}
    for name, found in by_cell.items():
        if found:
            lines.append(_row(name, found, base))
    for threshold in TRUNCATIONS:
        found = [
            {
                **e,
                "scores": {
                    **e["scores"],
                    **{k: e["scores"][f"{k}, codes within {threshold:g}"] for k in ("distance", "diversity")},
                },
            }
            for e in by_cell["baseline"]
        ]
        if found:
            lines.append(_row(f"baseline, codes within {threshold:g}", found, base))
    return "\n".join(lines)


def _row(name: str, found: Sequence[Mapping[str, Any]], base: Mapping[int, float]) -> str:
    def mean(pick: Callable[[Mapping[str, Any]], float]) -> float:
        return statistics.fmean(pick(e) for e in found)

    distances = [e["scores"]["distance"] for e in found]
    spread_of = f" ({min(distances):.1f} to {max(distances):.1f})" if len(found) > 1 else ""
    ratios = [e["scores"]["distance"] / base[e["seed"]] for e in found if e["seed"] in base]
    one_way = len(ratios) >= CLAIM and (max(ratios) < 1 or min(ratios) > 1)
    over = f"{statistics.fmean(ratios):.2f}{' *' if one_way else ''}" if ratios else "-"
    diversity, pairs = mean(lambda e: e["scores"]["diversity"]), mean(lambda e: e["scores"]["2AFC features"])
    cells = [name, str(len(found)), f"{mean(lambda e: e['scores']['distance']):.1f}{spread_of}", over]
    return "| " + " | ".join([*cells, f"{diversity:.2f}", f"{pairs:.3f}", f"{mean(lambda e: e['seconds']):.0f}"]) + " |"


def page(entries: Sequence[Mapping[str, Any]], steps: int, control: Mapping[str, Mapping[str, float]]) -> str:
    """Return the page: what was done, the table, and what it does not say."""
    network, n = entries[0]["network"], entries[0]["n"]
    return f"""# What each trick of BigBiGAN did here

Made by `python -m prosthesis_train.studies.ablation --steps {steps} --seeds N`. Fashion-MNIST at 32 pixels, `small32`,
{steps} steps of 64 pictures a cell ({steps * 64 / 60000:.1f} epochs); larger batches have fewer steps, so that all
see as many pictures. {n} samples against {n} test pictures; Frechet classifier distance by {network}.
Over baseline: ratio of distances, same seed, under 1 is better; `*` where {CLAIM} seeds or more all point one way. A
row without it claims nothing. Short runs say what helps early, not what helps in the end; before an epoch ends,
its mean is the plain network. Seconds are those of the
clock, on a machine that may have had other work; torch {torch.__version__}, {torch.get_num_threads()} thread(s),
commit {commit()[:12]}.

{table(entries, control)}
"""


def main(words: Sequence[str] | None = None) -> None:
    """Run all cells, write ``ablation.json`` and ``ablation.md``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--n", type=int, default=5000, help="samples scored (default 5000)")
    parser.add_argument("--runs", type=Path, default=Path("runs/ablation"), metavar="DIR")
    parser.add_argument("--out", type=Path, default=Path("docs/results"), metavar="DIR")
    arguments = parser.parse_args(words)
    if not 0 < arguments.steps <= MOST_STEPS:
        raise ConfigError(f"--steps is 1 to {MOST_STEPS}, not {arguments.steps}: a table of small runs, not of models")
    images, network = open_images("fashion", 32, 1), own_classifier()
    arguments.out.mkdir(parents=True, exist_ok=True)
    control = controls(images, network, arguments.n)
    entries: list[dict[str, Any]] = []
    for seed in range(arguments.seeds):
        for cell in CELLS:
            file = run_cell(cell, arguments.steps, seed, arguments.runs, images, network, arguments.n)
            entries.append(json.loads(file.read_text(encoding="utf-8")))
            sys.stderr.write(f"{cell.name}, seed {seed}: {entries[-1]['scores']}\n")
            text = json.dumps({"controls": control, "cells": entries}, indent=2) + "\n"
            (arguments.out / "ablation.json").write_text(text, encoding="utf-8")
            (arguments.out / "ablation.md").write_text(page(entries, arguments.steps, control), encoding="utf-8")


if __name__ == "__main__":
    main()
