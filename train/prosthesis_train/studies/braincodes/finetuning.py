"""A brain code fed straight to a generator, trained end to end, against the linear reader at the same N.

Both read the same trials of the same frozen brain. Features are judged by two networks: the classifier whose inner
layers the feature loss uses, and the shipped encoder, which no loss has seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from prosthesis.results import Figure
from prosthesis_sim.brain import Noise, counts, frozen_brain
from prosthesis_train.artefacts import Artefact, load_artefact
from prosthesis_train.data.images import open_images
from prosthesis_train.methods import classifier
from prosthesis_train.methods.classifier import to_float
from prosthesis_train.reading.banded import F64, Banded, fit_banded
from prosthesis_train.reading.finetune import (
    FinetuneSettings,
    Reader,
    finetune,
    linear_reader,
    small_generator,
    torch_generator,
)
from prosthesis_train.reading.painters import gray
from prosthesis_train.scores.card import in_batches
from prosthesis_train.scores.features import own_classifier
from prosthesis_train.scores.two_afc import two_afc
from prosthesis_train.studies.braincodes.paired import mean_figure

Judges = dict[str, Callable[[Tensor], Tensor]]

BRAIN, SEED = "tuned600", 0
N, TEST, BLOCKS = 2000, 1000, 10
DURATION_S = 0.2
SETTINGS = FinetuneSettings()
ABLATION = {
    "all losses": SETTINGS,
    "without pixel loss": replace(SETTINGS, pixel=0.0),
    "without feature loss": replace(SETTINGS, feature=0.0),
    "without adversarial loss": replace(SETTINGS, adversarial=0.0),
    "generator frozen": replace(SETTINGS, lr_generator=0.0),
}
FROM_NOTHING = "a small generator from nothing"  # as in the paper, whose training was 3,000 times as long


@dataclass(frozen=True, slots=True)
class Trials:
    """Pictures f32[n,1,32,32] in [-1,1], and one trial of each: rates f32[n,sites] scaled by the training part's."""

    pictures: Tensor
    brain: Tensor


def trials(say: Callable[[str], None]) -> Trials:
    """Return ``N`` training trials, then ``TEST`` test trials, of different pictures of clothes."""
    data, brain = open_images("fashion", 32, 1), frozen_brain(BRAIN, SEED)
    some = np.random.default_rng(SEED).permutation(len(data.train))[:N]
    pictures = np.concatenate([data.train[some], data.test[:TEST]])
    rates = np.concatenate([brain.rates_hz(gray(pictures[k : k + 500])) for k in range(0, len(pictures), 500)])
    seen = counts(rates, DURATION_S, np.random.default_rng(SEED), Noise()) / DURATION_S
    mean, deviation = seen[:N].mean(0), seen[:N].std(0)
    say(f"fine-tuning: {len(pictures)} trials of {brain.n} sites")
    return Trials(to_float(pictures), torch.from_numpy((seen - mean) / np.maximum(deviation, 1e-9)).float())


def start(model: Artefact, seen: Trials) -> Reader:
    """Return the linear reader: ridge from the brain to the encoder's codes, then the shipped generator."""
    codes = in_batches(lambda x: model.encode(x)[0], seen.pictures[:N]).double().numpy()
    found = fit_banded([seen.brain[:N].double().numpy()], codes)
    weights, intercept = _plain(found)
    return linear_reader(torch.from_numpy(weights).float(), torch.from_numpy(intercept).float(), torch_generator(model))


def _plain(found: Banded) -> tuple[F64, F64]:
    weights = found.weights / found.scales[0][:, None]
    return weights, found.intercept - found.means[0] @ weights


def measure(say: Callable[[str], None]) -> list[Figure]:
    """Return 2AFC of the linear and of every fine-tuned reader, and their differences, paired over blocks."""
    model, seen, net = load_artefact("bigbigan-fashion"), trials(say), classifier.load()[0]
    linear = start(model, seen)
    judges: Judges = {"classifier's features": own_classifier().features, "encoder's features": model.features}
    before, shown = f"fine-tuning, {BRAIN}, N = {N}", seen.pictures[N:]
    baseline = _shares(linear, seen, judges)
    out = [mean_figure(f"{before}: 2AFC {j}, linear reader", s, "", "blocks") for j, s in baseline.items()]
    for judge, describe in judges.items():
        best = _blocks(describe(shown), describe(model.generate(model.encode(shown)[0])))
        out.append(mean_figure(f"{before}: 2AFC {judge}, G(E(x))", best, "", "blocks"))
    for name, settings in [*ABLATION.items(), (FROM_NOTHING, replace(SETTINGS, lr_linear=1e-3, lr_generator=1e-3))]:
        say(f"fine-tuning, {name}")
        first = small_generator(seen.brain.shape[1]) if name == FROM_NOTHING else linear
        found = finetune(first, seen.brain[:N], seen.pictures[:N], net, settings, say)
        for judge, shares in _shares(found.reader, seen, judges).items():
            out.append(mean_figure(f"{before}: 2AFC {judge}, {name}", shares, "", "blocks"))
            gain = shares - baseline[judge]
            out.append(mean_figure(f"{before}: 2AFC {judge}, {name} minus linear", gain, "", "blocks, paired"))
        rested = (found.d_rested + found.g_rested) / settings.steps
        out.append(Figure(f"{before}: steps in which D or G rested, {name}", rested, "of all"))
    return out


def _shares(reader: Reader, seen: Trials, judges: Judges) -> dict[str, F64]:
    made = in_batches(reader, seen.brain[N:])
    return {name: _blocks(describe(seen.pictures[N:]), describe(made)) for name, describe in judges.items()}


def _blocks(shown: Tensor, made: Tensor) -> F64:
    """Return 2AFC within each block of pictures, f64[blocks]: blocks share no picture, so they are independent."""
    return np.array([two_afc(x, y).share for x, y in zip(shown.chunk(BLOCKS), made.chunk(BLOCKS), strict=True)])
