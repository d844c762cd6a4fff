"""Closed-loop evolution: codes become images, images spikes, mean rates fitness, and the fittest breed.

After XDREAM (Ponce et al. 2019; Xiao & Kreiman 2020). Two optimisers stand behind one protocol: the genetic algorithm
of those papers, and CMA-ES (Hansen), which Wang & Ponce (2022) found better in 4,096 dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.images import imported

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
Score = Callable[[F32], F64]

ANEW = -1  # parent of a code that has none
FULL_COVARIANCE_UP_TO = 500  # dimensions; a full covariance of 4,096 takes minutes a generation to decompose


@dataclass(frozen=True, slots=True)
class Brood:
    """Codes f64[n,d] to be shown, and each one's two parents i64[n,2]: rows of the last brood, ``ANEW`` for none."""

    codes: F64
    parents: I64


class Optimiser(Protocol):
    """Asked for codes, told their scores f64[n]; a NaN score says that a code was not measured."""

    def ask(self) -> Brood:
        """Return the codes to measure next."""

    def tell(self, scores: F64) -> None:
        """Learn the scores of the codes last asked for."""


@dataclass(frozen=True, slots=True)
class GeneticSettings:
    """The genetic algorithm of Ponce et al. 2019, as set in the benchmark of Wang & Ponce 2022.

    ``mutation_rate``: share of genes that mutate, by N(0, ``mutation_size``). ``selectivity``: the softmax's
    temperature is the scores' standard deviation over it. ``heritability``: share of genes from the first parent.
    """

    population: int = 40
    mutation_rate: float = 0.25
    mutation_size: float = 0.75
    selectivity: float = 2.0
    keep: int = 10
    heritability: float = 0.75

    def __post_init__(self) -> None:
        if not 0 <= self.keep < self.population:
            raise ProsthesisError(f"keep is {self.keep}; it must be 0 or more and less than {self.population} codes")
        if not (0 <= self.mutation_rate <= 1 and 0 <= self.heritability <= 1 and self.selectivity > 0):
            raise ProsthesisError("mutation_rate and heritability are shares in 0..1, and selectivity is above 0")


class Genetic:
    """Select by softmax, cross, mutate; elites and codes without a score go on as they are."""

    def __init__(self, dim: int, seed: int, settings: GeneticSettings | None = None, start: F64 | None = None) -> None:
        self.settings, self.random = settings or GeneticSettings(), np.random.default_rng(seed)
        n = self.settings.population
        codes = self.random.standard_normal((n, dim)) if start is None else np.array(start, np.float64)
        if codes.shape != (n, dim):
            raise ProsthesisError(f"the first codes have shape {codes.shape}; {n} codes of {dim} numbers are wanted")
        self.brood = Brood(codes, np.full((n, 2), ANEW))

    def ask(self) -> Brood:
        """Return the living codes."""
        return self.brood

    def tell(self, scores: F64) -> None:
        """Replace the living by the unscored, the elites, and children, in this order."""
        scores, codes = checked(scores, len(self.brood.codes)), self.brood.codes
        unscored, scored = np.flatnonzero(np.isnan(scores)), np.flatnonzero(~np.isnan(scores))
        room = len(codes) - len(unscored)
        elites = scored[np.argsort(-scores[scored], kind="stable")][: min(self.settings.keep, room)]
        kept = np.concatenate([unscored, elites])
        pairs = np.zeros((0, 2), np.int64)
        if len(codes) > len(kept):
            odds = selection(scores[scored], self.settings.selectivity)
            pairs = self.random.choice(scored, (len(codes) - len(kept), 2), p=odds)
        children = self._children(codes[pairs[:, 0]], codes[pairs[:, 1]])
        parents = np.concatenate([np.stack([kept, kept], 1), pairs])
        self.brood = Brood(np.concatenate([codes[kept], children]), parents)

    def _children(self, first: F64, second: F64) -> F64:
        s = self.settings
        child = np.where(self.random.random(first.shape) < s.heritability, first, second)
        mutates = self.random.random(child.shape) < s.mutation_rate
        mutated: F64 = child + mutates * self.random.normal(0.0, s.mutation_size, child.shape)
        return mutated


def selection(scores: F64, selectivity: float) -> F64:
    """Return each code's odds f64[n] to be a parent: a softmax of scores cut at their 95th percentile.

    So one lucky score cannot take over; equal scores have equal odds.
    """
    temperature = max(float(scores.std()) / selectivity, 1e-8)
    clipped = np.minimum(scores, np.percentile(scores, 95))
    fitness = np.exp((clipped - clipped.max()) / temperature)
    return np.asarray(fitness / fitness.sum(), np.float64)


class Cma:
    """CMA-ES by the package ``cma``: a normal distribution of codes that moves and stretches towards high scores.

    Over 500 dimensions its covariance is diagonal. Its codes have no parents. Unscored codes are asked for again.
    """

    def __init__(self, dim: int, seed: int, population: int = 40, sigma: float = 1.0) -> None:
        options = {"popsize": population, "seed": seed + 1, "verbose": -9}  # 0 would mean the clock
        options |= {"CMA_diagonal": dim > FULL_COVARIANCE_UP_TO}
        self.strategy = imported("cma", "train", "CMA-ES").CMAEvolutionStrategy(np.zeros(dim), sigma, options)
        self.population = population
        self.codes = np.zeros((0, dim))
        self.again = np.zeros(0, np.int64)
        self.known: list[tuple[F64, float]] = []

    def ask(self) -> Brood:
        """Return codes that lack a score, then new draws; their rows of the last brood are the former's parents."""
        fresh = self.population - len(self.again)
        drawn = np.array(self.strategy.ask(fresh)) if fresh else self.codes[:0]
        parents = np.full((self.population, 2), ANEW)
        parents[: len(self.again)] = self.again[:, None]
        self.codes = np.concatenate([self.codes[self.again], drawn])
        return Brood(self.codes, parents)

    def tell(self, scores: F64) -> None:
        """Learn once half a population has scores."""
        scores = checked(scores, len(self.codes))
        self.again = np.flatnonzero(np.isnan(scores))
        self.known += [(c, -float(s)) for c, s in zip(self.codes, scores, strict=True) if not np.isnan(s)]
        if len(self.known) >= self.strategy.sp.weights.mu:
            self.strategy.tell([code for code, _ in self.known], [cost for _, cost in self.known])
            self.known = []


def checked(scores: F64, n: int) -> F64:
    """Return scores as f64[n]; raise ``ProsthesisError`` on another number of them, or an infinite one."""
    out = np.asarray(scores, np.float64)
    if out.shape != (n,) or np.isinf(out).any():
        raise ProsthesisError(f"{n} codes need {n} scores, finite or NaN; there came shape {out.shape}")
    return out


@dataclass(frozen=True, slots=True)
class Evolution:
    """All that was shown: codes f64[g,n,d], scores f64[g,n], parents i64[g,n,2]."""

    codes: F64
    scores: F64
    parents: I64

    def best(self, generation: int = -1) -> F64:
        """Return the code f64[d] with the highest score of a generation; a lucky one, so measure it afresh."""
        best: F64 = self.codes[generation, np.nanargmax(self.scores[generation])]
        return best


def evolve(
    optimiser: Optimiser,
    images: Callable[[F64], F32],
    score: Score,
    generations: int = 75,
    say: Callable[[str], None] = lambda _: None,
) -> Evolution:
    """Run the loop: ``images`` of codes f64[n,d] are f32[n,h,w] in 0..1, and ``score`` gives f64[n] or NaN.

    Raises ``ProsthesisError`` when a generation has no score at all.

    >>> def images(codes):  # whose first pixel is what the unit wants
    ...     return codes[:, :, None]
    >>> run = evolve(Genetic(dim=3, seed=0), images, lambda shown: shown[:, 0, 0], generations=20)
    >>> bool(run.scores[-1].mean() > run.scores[0].mean() + 1)
    True
    """
    codes, scores, parents = [], [], []
    for generation in range(generations):
        brood = optimiser.ask()
        found = checked(score(images(brood.codes)), len(brood.codes))
        if np.isnan(found).all():
            raise ProsthesisError(f"generation {generation}: no image has a score; is the unit recorded?")
        optimiser.tell(found)
        codes.append(brood.codes)
        scores.append(found)
        parents.append(brood.parents)
        if (generation + 1) % 25 == 0:
            say(f"generation {generation + 1} of {generations}: mean score {np.nanmean(found):.1f}")
    return Evolution(np.stack(codes), np.stack(scores), np.stack(parents))


def rate_of(rates_hz: Callable[[F32], F64], unit: int, counts: Callable[[F64], F64], duration_s: float) -> Score:
    """Return the score of Ponce et al. 2019: one unit's mean rate in Hz over ``duration_s`` of spikes.

    ``rates_hz`` gives expected rates f64[b,n] of images, and ``counts`` the spikes of one trial for rates f64[b,n].
    """

    def score(images: F32) -> F64:
        return counts(rates_hz(images)[:, unit : unit + 1])[:, 0] / duration_s

    return score
