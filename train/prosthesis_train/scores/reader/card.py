"""The score card of a brain reader: every condition scored alike, and a verdict in words.

A Frechet distance or an inception score is one of a set: it cannot see which picture belongs to which. So the verdict
rests on the scores of pairs alone, each against its permutation null as measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from prosthesis.errors import ProsthesisError
from prosthesis_train.scores.card import Model
from prosthesis_train.scores.features import FeatureNetwork
from prosthesis_train.scores.frechet import frechet
from prosthesis_train.scores.inception import inception_score
from prosthesis_train.scores.reader import null as nulls
from prosthesis_train.scores.reader import pairs
from prosthesis_train.scores.reader.ceiling import Sites, scored_sites
from prosthesis_train.scores.reader.code_probe import CodeProbe
from prosthesis_train.scores.reader.conditions import CEILING, Condition, Respond, conditions, generated
from prosthesis_train.scores.reader.reading import Array, Reading
from prosthesis_train.scores.reader.responding import CORRECTED, MEASURED, controllability, predictivity

if TYPE_CHECKING:
    from prosthesis_train.scores.humans.results import Humans

NO_INFORMATION = "no brain information"
GEOMETRY_ONLY = "shared geometry only"
SET_RESAMPLES = 30


@dataclass(frozen=True, slots=True)
class Score:
    """A value, its 95 % interval where it has one, and for scores of pairs its permutation null."""

    value: float
    low: float | None = None
    high: float | None = None
    null: nulls.Null | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One condition's scores by name, and what they say in words."""

    condition: str
    verdict: str
    scores: dict[str, Score]


@dataclass(frozen=True, slots=True)
class ReaderCard:
    """All rows, and what must stand beside them: networks, numbers, seed, sites left out, notes."""

    reader: str
    model: str
    network: str
    distance: str
    n: int
    d: int
    training_trials: int
    seed: int
    null: str
    sites: int
    dead_sites: int
    unreliable_sites: int
    notes: tuple[str, ...]
    rows: tuple[Row, ...]
    humans: Humans | None = None

    @property
    def data_scale(self) -> float:
        """Return training trials over the dimensions of the code (Otsuka 2025)."""
        return self.training_trials / self.d

    def row(self, condition: str) -> Row:
        """Return a condition's row."""
        return next(row for row in self.rows if row.condition == condition)


def reader_card(
    reading: Reading,
    model: Model,
    network: FeatureNetwork,
    respond: Respond | None = None,
    seed: int = 0,
    permutations: int = nulls.PERMUTATIONS,
    humans: Humans | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> ReaderCard:
    """Score a reading and every control.

    ``respond`` maps pictures f32[n,c,h,w] to expected responses f[n,sites] of the brain that was read; without it only
    the reader's own row has controllability, from ``reading.responses_again``.
    """
    if model.dim_z != reading.d:
        raise ProsthesisError(
            f"decoded_codes: {reading.d} numbers a code; {model.name} has {model.dim_z}; name another"
        )
    judge = _Judge(reading, network, seed)
    rows = []
    for condition in conditions(reading, model, respond, seed):
        say(f"scoring: {condition.name}")
        refits = _refits(reading, model, respond, condition) if reading.null_codes is not None else []
        rows.append(judge.row(condition, refits, permutations))
    sites = judge.sites
    return ReaderCard(
        reader=reading.name,
        model=model.name,
        network=network.label(),
        distance=network.distance,
        n=reading.n,
        d=reading.d,
        training_trials=reading.training_trials,
        seed=seed,
        null=_null_in_words(reading, permutations),
        sites=0 if sites is None else len(sites.kept),
        dead_sites=0 if sites is None else sites.dead,
        unreliable_sites=0 if sites is None else sites.unreliable,
        notes=_notes(reading, respond),
        rows=tuple(rows),
        humans=humans,
    )


class _Judge:
    """What all conditions of one reading are scored with."""

    def __init__(self, reading: Reading, network: FeatureNetwork, seed: int) -> None:
        self.reading, self.network, self.seed = reading, network, seed
        self.shown = torch.from_numpy(reading.shown).float()
        self.features, odds = network(self.shown)
        self.weights = pairs.bootstrap_weights(reading.n, seed)
        self.sites: Sites | None = None if reading.responses is None else scored_sites(reading.responses)
        self.classes = odds.shape[1]
        self.labels = odds.argmax(1).numpy() if reading.labels is None else reading.labels
        self.probe = None if reading.labels is None else CodeProbe(reading.true_codes, reading.labels, seed)

    def row(self, condition: Condition, refits: list[Condition], permutations: int) -> Row:
        features, odds = self.network(condition.images)
        scores = self._of_set(features, odds)
        paired = self.pairs(condition, features, odds)
        null = nulls.permuted(paired, self.reading.n, self.seed + 1, permutations)
        if refits:
            null = _refit_null(null, [score.name for score in paired], [self._values(refit) for refit in refits])
        found = nulls.tested(paired, null)
        scores |= {s.name: Score(s.value, s.low, s.high, t) for s, t in zip(paired, found, strict=True)}
        if self.sites is not None:
            scores |= self._as_measured(condition)
            scores["PLS predictivity"] = Score(*predictivity(self.sites, features.numpy(), self.weights, self.seed))
        words = [s.shows for s, t in zip(paired, found, strict=True) if t.p <= nulls.LEVEL]
        return Row(condition.name, verdict(condition.role, words), scores)

    def pairs(self, condition: Condition, features: Tensor, odds: Tensor) -> list[pairs.Paired]:
        """Return every score of pairs that the reading allows."""
        reading = self.reading
        out = [
            pairs.latent_error(reading.true_codes, condition.codes, self.weights),
            pairs.identified("2AFC codes", reading.true_codes, condition.codes),
            pairs.identified("2AFC pixels", self.shown, condition.images),
            pairs.identified("2AFC features", self.features, features),
            pairs.correlated("pixel r", self.shown, condition.images, self.weights),
            pairs.rsa(self.features.numpy(), features.numpy(), self.seed),
        ]
        if self.classes > 1:
            out.append(pairs.top1("top-1 of pictures", odds.argmax(1).numpy(), self.labels))
        if self.probe is not None:
            out.append(pairs.top1("top-1 of codes", self.probe(condition.codes), self.labels))
        if self.sites is not None and condition.again is not None:
            corrected = self.sites.ceiling is not None
            out.append(controllability(self.sites, condition.again, self.weights, corrected))
        return out

    def _values(self, condition: Condition) -> dict[str, float]:
        return {s.name: s.value for s in self.pairs(condition, *self.network(condition.images))}

    def _of_set(self, features: Tensor, odds: Tensor) -> dict[str, Score]:
        rng = np.random.default_rng(self.seed)
        draws = [torch.from_numpy(rng.integers(0, len(features), len(features))) for _ in range(SET_RESAMPLES)]

        def score(of: Callable[[Tensor], float], rows: Tensor, least: float) -> Score:
            # resampling itself raises a distance, so only its spread is used
            value, half = of(rows), 1.96 * float(np.std([of(rows[draw]) for draw in draws]))
            return Score(value, max(value - half, least), value + half)

        out = {self.network.distance: score(lambda rows: frechet(self.features, rows), features, 0)}
        if self.classes > 1:
            out["inception score"] = score(lambda rows: inception_score(rows, splits=1).value, odds, 1)
        return out

    def _as_measured(self, condition: Condition) -> dict[str, Score]:
        """Return controllability before its correction; of the pictures themselves at least the bound of repeats."""
        assert self.sites is not None
        if self.sites.ceiling is None:
            return {}
        if condition.again is not None:
            found = controllability(self.sites, condition.again, self.weights, corrected=False)
            return {MEASURED: Score(found.value, found.low, found.high)}
        if condition.name != CEILING:
            return {}
        bound = float(np.median(self.sites.ceiling)) if len(self.sites.ceiling) else 0.0
        return {MEASURED: Score(bound), CORRECTED: Score(1.0)}


def verdict(role: str, words: list[str]) -> str:
    """Return a row's verdict; ``words`` are those whose scores exceed their null."""
    if role == "bound":
        return "upper bound: made from the picture, not from a brain"
    if not words:
        return NO_INFORMATION
    if set(words) == {pairs.GEOMETRY}:
        return f"brain information, but {GEOMETRY_ONLY}, which any map of the responses keeps, right or wrong"
    if role == "control":
        return "a control exceeds its null: one in a hundred does; if again with another seed, look for a fault"
    kinds = (pairs.DECODING, pairs.IDENTIFICATION, pairs.RECONSTRUCTION)
    return "brain information: " + ", ".join(kind for kind in kinds if kind in words) + " above the null"


def _refits(reading: Reading, model: Model, respond: Respond | None, condition: Condition) -> list[Condition]:
    """Return the reader's answers after each refit to permuted pairs, drawn by the generator."""
    if condition.role != "reader" or reading.null_codes is None:
        return []
    out = []
    for codes in reading.null_codes:
        images = generated(model, codes)
        again = None if respond is None or reading.responses_again is not None else np.asarray(respond(images))[None]
        out.append(Condition("refit", "control", images, codes, again))
    return out


def _refit_null(null: Array, names: list[str], refits: list[dict[str, float]]) -> Array:
    """Return f64[refits,scores]; a score that no refit has keeps orders of the reader's own."""
    out = np.resize(null, (len(refits), len(names)))
    for k, name in enumerate(names):
        if all(name in refit for refit in refits):
            out[:, k] = [refit[name] for refit in refits]
    return out


def _null_in_words(reading: Reading, permutations: int) -> str:
    orders = f"{permutations} random orders of the reconstructions"
    if reading.null_codes is None:
        return orders + "; the reader was not fitted again, so an artefact of cross-validation would not show"
    return f"{len(reading.null_codes)} refits to permuted training pairs for the reader; {orders} for the other rows"


def _notes(reading: Reading, respond: Respond | None) -> tuple[str, ...]:
    out = []
    distinct = len(np.unique(reading.shown.reshape(reading.n, -1), axis=0))
    if distinct < reading.n:
        out.append(f"only {distinct} of {reading.n} pictures differ: average over a picture's repeats first")
    if reading.labels is None:
        out.append("top-1 of pictures: against the network's own label of the shown picture, for none was given")
    if reading.responses is None:
        out.append("no responses were given: no controllability, no predictivity")
    elif len(reading.responses) < 2:
        out.append("responses were measured once: nothing can be corrected by a noise ceiling")
    if reading.responses is not None and respond is None:
        out.append("no model of the brain answers the controls' pictures: they have no controllability")
    if reading.n < 50:
        out.append(f"{reading.n} trials: intervals of so few are rough")
    return tuple(out)
