"""A random code gets a good Frechet score, and the card still says that it knows nothing of the brain.

One ridge reader of a simulated cortex, scored with every control on the same test pictures, for three brains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from prosthesis.results import Figure
from prosthesis_sim.brain import Population, counts, frozen_brain
from prosthesis_train.artefacts import load_artefact
from prosthesis_train.data.images import open_images
from prosthesis_train.methods.classifier import to_float
from prosthesis_train.scores.card import Model, in_batches
from prosthesis_train.scores.features import FeatureNetwork, own_classifier
from prosthesis_train.scores.reader import ReaderCard, Reading, reader_card
from prosthesis_train.scores.reader.card import GEOMETRY_ONLY, NO_INFORMATION
from prosthesis_train.scores.reader.conditions import BOUND, MEAN, PERMUTED, RANDOM
from prosthesis_train.scores.reader.null import PERMUTATIONS
from prosthesis_train.scores.reader.reading import Array

IntArray = npt.NDArray[np.int64]
BRAIN, SEEDS = "tuned600", (0, 1, 2)
TRAINING, TEST = 8000, 2000
BLIND_TEST = 400  # of them for the reader of permuted pairs, whose distance is not quoted
REFITS = 99  # of that reader to other permutations: its null, for all of them share what any regression does
DURATION_S = 0.2
REPEATS = 4  # of the test pictures; the reader reads one more, which the card does not see
ALPHAS = tuple(10.0**k for k in range(-1, 6))
READER, BLIND = "ridge reader", "ridge reader, fitted to permuted pairs"
QUOTED = ("2AFC codes", "2AFC pixels", "2AFC features", "latent error", "RSA", "controllability")


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Training and test pictures f32[n,1,h,w] in [-1,1], and the test pictures' labels."""

    train: torch.Tensor
    test: torch.Tensor
    labels: Array


def measure(say: Callable[[str], None]) -> list[Figure]:
    """Return the figures of the random-code control."""
    data, some = open_images("fashion", 32, 1), np.random.default_rng(0).permutation(60_000)[:TRAINING]
    assert data.test_labels is not None
    pictures = Pictures(to_float(data.train[some]), to_float(data.test[:TEST]), data.test_labels[:TEST])
    model, network, out = load_artefact("bigbigan-fashion").model(), own_classifier(), []
    for seed in SEEDS:
        say(f"{BRAIN}, seed {seed}: reading {TEST} pictures")
        out.append(cards(frozen_brain(BRAIN, seed), pictures, model, network, seed, say=say))
    return figures(out)


def cards(
    brain: Population,
    pictures: Pictures,
    model: Model,
    network: FeatureNetwork,
    seed: int,
    permutations: int = PERMUTATIONS,
    refits: int = REFITS,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[ReaderCard, ReaderCard]:
    """Return the cards of a reader of this brain, and of the same reader fitted to permuted pairs.

    The null of the first are random orders of its reconstructions, that of the second refits to other permutations.
    """
    assert model.encode is not None
    rng = np.random.default_rng(seed)
    train, test = (in_batches(model.encode, part).numpy() for part in (pictures.train, pictures.test))
    heard = _counts(brain, pictures.train, 1, rng)[0]
    repeats = _counts(brain, pictures.test, REPEATS + 1, rng)

    def respond(images: torch.Tensor) -> Array:
        rates: Array = brain.rates_hz(_light(images))
        return rates

    ridge = Ridge(heard)

    def card(name: str, order: IntArray, n: int, null: Array | None) -> ReaderCard:
        reading = Reading(
            name=name,
            shown=pictures.test[:n].numpy(),
            true_codes=test[:n],
            decoded_codes=ridge.read(train[order], repeats[0, :n]),
            training_trials=len(train),
            responses=repeats[1:, :n],
            labels=pictures.labels[:n],
            null_codes=null,
        )
        return reader_card(reading, model, network, respond, seed, permutations, say=say)

    n, few = len(test), min(BLIND_TEST, len(test))
    orders = [rng.permutation(len(train)) for _ in range(1 + refits)]
    null = np.stack([ridge.read(train[order], repeats[0, :few]) for order in orders[1:]])
    return card(READER, np.arange(len(train)), n, None), card(BLIND, orders[0], few, null)


class Ridge:
    """Ridge regression from responses f[n,sites], decomposed once, so that it can be fitted to many targets.

    One strength for all numbers of a code, chosen by leave-one-out on the training trials (Golub et al. 1979).
    """

    def __init__(self, heard: Array) -> None:
        self._mean, self._sd = heard.mean(0), heard.std(0) + 1e-9
        self._u, self._s, self._vt = np.linalg.svd((heard - self._mean) / self._sd, full_matrices=False)

    def read(self, codes: Array, responses: Array) -> Array:
        """Return codes f32[b,d] of ``responses`` f[b,sites] by the regression of ``codes`` f[n,d]."""
        middle = codes.mean(0)
        centred = codes - middle
        seen = self._u.T @ centred
        shrink = min(
            (self._s**2 / (self._s**2 + alpha) for alpha in ALPHAS), key=lambda k: self._error(centred, seen, k)
        )
        weights = self._vt.T @ ((shrink / self._s)[:, None] * seen)
        read = (responses - self._mean) / self._sd @ weights + middle
        return read.astype(np.float32)  # type: ignore[no-any-return]

    def _error(self, centred: Array, seen: Array, shrink: Array) -> float:
        leverage = (self._u**2) @ shrink + 1 / len(centred)  # the last term is that of the intercept
        wrong = (centred - self._u @ (shrink[:, None] * seen)) / (1 - leverage)[:, None]
        return float((wrong**2).mean())


def figures(found: list[tuple[ReaderCard, ReaderCard]]) -> list[Figure]:
    """Return the figures of all brains' cards."""
    first = found[0][0]
    out = [Figure(f"controls: data scale N/k of the {READER}", first.data_scale, "")]
    rows = [(0, name) for name in (BOUND, READER, PERMUTED.format(READER), RANDOM, MEAN)] + [(1, BLIND)]
    for which, name in rows:
        of = [pair[which].row(name) for pair in found]
        of_set = () if name == BLIND else (first.distance, "inception score")
        for score in (*of_set, *QUOTED):
            if score not in of[0].scores:
                continue
            values = [row.scores[score].value for row in of]
            out.append(
                Figure(f"controls, {name}: {score}", float(np.mean(values)), "", min(values), max(values), _over())
            )
        if name == BOUND:
            continue
        for words in (NO_INFORMATION, GEOMETRY_ONLY):
            said = sum(words in row.verdict for row in of)
            out.append(Figure(f"controls, {name}: cards that say '{words}'", said, f"of {len(of)}"))
    return out


def _over() -> str:
    return f"least to most of {len(SEEDS)} brains"


def _light(images: torch.Tensor) -> Array:
    """Return gray f32[n,h,w] in 0..1 of pictures in [-1,1]."""
    return ((images[:, 0].numpy() + 1) / 2).clip(0, 1)


def _counts(brain: Population, images: torch.Tensor, repeats: int, rng: np.random.Generator) -> Array:
    """Return measured rates f64[repeats,n,sites]: spike counts of fresh trials over their duration."""
    rates = brain.rates_hz(_light(images))
    return np.stack([counts(rates, DURATION_S, rng) / DURATION_S for _ in range(repeats)])
