"""Two recordings of one brain, combined; a useless one beside, which costs nothing; and another sense on the same maps.

The pair is synthetic and frozen: one recording fine in space and slow, as fMRI is, one coarse in space and fast, as EEG
is, each with its own noise. Numbers of the pair are ours; only those contrasts matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from prosthesis.results import Figure
from prosthesis_sim.brain import frozen_brain
from prosthesis_train.artefacts import load_artefact
from prosthesis_train.data.images import open_images
from prosthesis_train.methods.classifier import to_float
from prosthesis_train.reading.banded import F64, fit_banded
from prosthesis_train.reading.maps import fit_map
from prosthesis_train.reading.modality import Hearing, Modality, Vision
from prosthesis_train.scores.two_afc import two_afc
from prosthesis_train.studies.braincodes.paired import mean_figure

SEEDS = 8
TRAIN, TEST = 400, 400  # moments in time
CODE, VOXELS, CHANNELS, USELESS = 16, 120, 24, 200
BLUR = np.exp(-0.5 * ((np.arange(9) - 4) / 1.8) ** 2)  # the slow recording's kernel, in moments
DURATION_S = 0.2


@dataclass(frozen=True, slots=True)
class Pair:
    """Codes f64[n,16] over time, and two recordings f64[n,columns] of them."""

    codes: F64
    slow: F64
    fast: F64


def pair(seed: int) -> Pair:
    """Return the frozen pair of a seed: half of each code lives slowly, half changes at every moment."""
    random = np.random.default_rng((5, seed))
    n = TRAIN + TEST
    codes = random.standard_normal((n, CODE))
    for k in range(1, n):
        codes[k, : CODE // 2] = 0.95 * codes[k - 1, : CODE // 2] + np.sqrt(1 - 0.95**2) * codes[k, : CODE // 2]
    blurred = np.stack([np.convolve(c, BLUR / BLUR.sum(), mode="same") for c in codes.T], axis=1)
    slow = blurred @ random.standard_normal((CODE, VOXELS)) + 0.7 * random.standard_normal((n, VOXELS))
    # neighbouring channels see nearly the same: five patterns in all, fewer than the codes
    mixing = random.standard_normal((CODE, 5)) @ random.standard_normal((5, CHANNELS))
    fast = codes @ mixing + 3.0 * random.standard_normal((n, CHANNELS))
    return Pair(codes, slow, fast)


def explained(bands: list[F64], codes: F64, one_penalty: bool = False) -> float:
    """Return R2 of codes over the second half of time, read by banded ridge fitted to the first half.

    ``one_penalty``: as plain ridge reads the bands side by side, its penalty chosen the same way.
    """
    bands = [np.concatenate(bands, axis=1)] if one_penalty else bands
    reader = fit_banded([b[:TRAIN] for b in bands], codes[:TRAIN])
    test = codes[TRAIN:]
    off = reader.predict([b[TRAIN:] for b in bands]) - test
    return float(1 - (off**2).sum() / ((test - test.mean(0)) ** 2).sum())


def measure(say: Callable[[str], None]) -> list[Figure]:
    """Return R2 of each recording, of both, and with noise beside; then 2AFC of two senses through one map."""
    columns: dict[str, list[float]] = {}
    for seed in range(SEEDS):
        for name, value in _one(seed).items():
            columns.setdefault(name, []).append(value)
        say(f"two modalities, seed {seed + 1} of {SEEDS}")
    found = {name: np.array(values) for name, values in columns.items()}
    out = [mean_figure(f"modalities: R2, {name}", values, "", "seeds") for name, values in found.items()]
    best = np.maximum(found["slow alone"], found["fast alone"])
    gain = found["both, banded"] - best
    out.append(mean_figure("modalities: R2, both minus the better one", gain, "", "seeds, paired"))
    for name, without in (("slow and noise, banded", "slow alone"), ("both and noise, banded", "both, banded")):
        cost = found[without] - found[name]
        out.append(mean_figure(f"modalities: R2 lost by pure noise beside: {name}", cost, "", "seeds, paired"))
    return out + [figure for sense in senses() for figure in _through_the_same_map(sense, say)]


def _one(seed: int) -> dict[str, float]:
    data = pair(seed)
    noise = np.random.default_rng((6, seed)).standard_normal((TRAIN + TEST, USELESS))
    return {
        "slow alone": explained([data.slow], data.codes),
        "fast alone": explained([data.fast], data.codes),
        "both, banded": explained([data.slow, data.fast], data.codes),
        "both, one penalty": explained([data.slow, data.fast], data.codes, one_penalty=True),
        "slow and noise, banded": explained([data.slow, noise], data.codes),
        "slow and noise, one penalty": explained([data.slow, noise], data.codes, one_penalty=True),
        "both and noise, banded": explained([data.slow, data.fast, noise], data.codes),
    }


def senses() -> tuple[Modality, ...]:
    """Return vision at a frozen cortex, and the toy of hearing."""
    clothes = to_float(open_images("fashion", 32, 1).test).numpy()
    return Vision(clothes, load_artefact("bigbigan-fashion"), frozen_brain("utah96", 0).rates_hz), Hearing()


def _through_the_same_map(
    sense: Modality, say: Callable[[str], None], train: int = 1000, test: int = 300
) -> list[Figure]:
    stimuli = sense.stimuli(train + test, seed=0)
    codes, rates = sense.codes(stimuli), sense.responses_hz(stimuli)
    seen = np.random.default_rng(0).poisson(rates * DURATION_S) / DURATION_S
    decoded = np.asarray(fit_map("ridge", codes[:train], seen[:train]).to_machine(seen[train:]), np.float64)
    shown = torch.from_numpy(stimuli[train:])
    say(f"{sense.name}: read through the same map")
    choice = two_afc(shown, torch.from_numpy(sense.reconstruct(decoded)))
    name = f"modality {sense.name}: 2AFC in its own space"
    null = _null(shown, torch.from_numpy(sense.reconstruct(decoded)))
    low, high = np.quantile(null, (0.025, 0.975))
    return [
        Figure(f"{name}, read", choice.share, "", choice.low, choice.high, "U-statistic, 95 %", seed=0),
        Figure(
            f"{name}, pairs permuted", float(null.mean()), "", low, high, f"95 % of {len(null)} permutations", seed=0
        ),
    ]


def _null(shown: torch.Tensor, made: torch.Tensor, permutations: int = 200) -> F64:
    random = torch.Generator().manual_seed(0)
    orders = [torch.randperm(len(made), generator=random) for _ in range(permutations)]
    return np.array([two_afc(shown, made[order]).share for order in orders])
