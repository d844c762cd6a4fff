"""Whether textures of equal Gram matrices drive a simulated V1 as their originals do.

Beside them: the same pixels in random order, the same power spectrum with random phases, and another patch of the same
photograph, which is what "the same texture" can mean at most.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from prosthesis.results import Figure
from prosthesis_sim.brain import frozen_brain
from prosthesis_train.data.photographs import WHEELS, Photograph, patches
from prosthesis_train.methods import classifier
from prosthesis_train.reading.evolution import F32
from prosthesis_train.reading.painters import gray
from prosthesis_train.reading.texture import kept, mean_rates, phase_scrambled, pixel_shuffled, synthesise
from prosthesis_train.studies.braincodes.paired import mean_figure

BRAIN, SEED, SIDE = "tuned600", 0, 32
EACH = 8  # patches of each photograph of a surface
SURFACES = ("brick.png", "grass.png", "gravel.png")


def measure(say: Callable[[str], None]) -> list[Figure]:
    """Return, for textures and each control, Pearson's r over units of mean rates to it and to the original."""
    brain = frozen_brain(BRAIN, SEED)
    found = [p for p in WHEELS if p.path.split("/")[-1] in SURFACES]
    first, second = (np.concatenate([_patches(p, seed) for p in found]) for seed in (0, 1))
    net = classifier.load()[0]
    made = synthesise(torch.from_numpy(first[:, None] * 2 - 1), net, say=say)[:, 0].numpy()
    rates = mean_rates(brain.rates_hz, first)
    conditions: dict[str, F32] = {
        "texture by Gram matrices": np.asarray((made + 1) / 2, np.float32),
        "pixels shuffled": pixel_shuffled(first),
        "phases scrambled": phase_scrambled(first),
        "another patch of the same photograph": second,
    }
    before = f"textures, {BRAIN}: r of mean rates with the original's"
    found_r = {name: kept(rates, mean_rates(brain.rates_hz, images)) for name, images in conditions.items()}
    texture, *controls = found_r
    out = [mean_figure(f"{before}, {name}", r, "", "patches") for name, r in found_r.items()]
    for name in controls:
        gain = found_r[texture] - found_r[name]
        out.append(mean_figure(f"{before}, texture minus {name}", gain, "", "patches, paired"))
    return out


def _patches(photograph: Photograph, seed: int) -> F32:
    return gray(patches([photograph], EACH, SIDE, 1, seed))
