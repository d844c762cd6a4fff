"""Identification: which of the known pictures a response belongs to, by ridge to the pixels, beside its null.

A ridge's predictions are linear in the pictures it was fitted to, so every fit on permuted labels reuses the one
factorisation of the responses: a null costs matrix products only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.responses.recordings import F64, I64, Bools, Recordings, Split

PENALTIES = tuple(10.0**k for k in range(-3, 3))  # in units of the mean squared length of a response


@dataclass(frozen=True, slots=True)
class Fold:
    """One split: ``smoother`` f64[penalties,test,train] turns pictures of training trials into predicted ones.

    ``inner`` are the same for splits of the training trials, by which the penalty is chosen.
    """

    split: Split
    smoother: F64
    inner: tuple[tuple[Split, F64], ...]


def make_folds(recordings: Recordings, how: str, folds: int = 0, penalties: Sequence[float] = PENALTIES) -> list[Fold]:
    """Factorise every split of ``recordings.splits(how, folds)`` and, inside its training trials, one fewer."""
    out = []
    for split in recordings.splits(how, folds):
        within = recordings.only(split.train)
        inner = [(s, smoother(within.responses, s, penalties)) for s in within.splits(how, folds - 1)]
        out.append(Fold(split, smoother(recordings.responses, split, penalties), tuple(inner)))
    return out


def smoother(responses: F64, split: Split, penalties: Sequence[float]) -> F64:
    """Return the ridge of each penalty as f64[penalties,test,train]: predictions are this times the training targets.

    Units are scaled to mean 0 and deviation 1 of the training trials; a unit that is constant there counts nothing.
    Solved among trials, not units, so that fewer trials than units are no trouble. The penalty must be above 0.
    """
    if min(penalties) <= 0:
        raise ProsthesisError(f"a ridge's penalty is above 0, not {min(penalties):g}")
    train, test = responses[split.train], responses[split.test]
    centre, spread = train.mean(0), train.std(0)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-12 * np.abs(centre))
    train, test = (train - centre) * scale, (test - centre) * scale
    values, vectors = np.linalg.eigh(train @ train.T)
    values = values.clip(0)
    across = test @ train.T @ vectors
    unit = values.mean() or 1.0  # all constant: the prediction is the mean picture
    out = np.stack([(across / (values + penalty * unit)) @ vectors.T for penalty in penalties])
    return np.asarray(out + (1 - out.sum(2, keepdims=True)) / len(train))  # the targets' mean, added back


def predict(folds: Sequence[Fold], labels: I64, pictures: F64) -> F64:
    """Return the predicted picture of each trial f64[trials,pixels]; it was fitted on the other trials of its fold.

    ``labels`` i64[trials] say which of ``pictures`` f64[images,pixels] each trial is fitted to.
    """
    out = np.full((len(labels), pictures.shape[1]), np.nan)
    for fold in folds:
        targets = pictures[labels[fold.split.train]]
        errors = np.zeros(len(fold.smoother))
        for split, smooth in fold.inner:
            errors += np.square(smooth @ targets[split.train] - targets[split.test]).sum((1, 2))
        out[fold.split.test] = fold.smoother[errors.argmin()] @ targets
    return out


def identify(predicted: F64, pictures: F64, candidates: Bools | None = None) -> I64:
    """Return which picture correlates most with each prediction, i64[trials].

    ``candidates`` bool[trials,images] say which of them are up for choice; by default all.
    """
    r = _unit(predicted) @ _unit(pictures).T
    if candidates is not None:
        r = np.where(candidates, r, -np.inf)
    return np.asarray(r.argmax(1), np.int64)


def share_right(folds: Sequence[Fold], labels: I64, pictures: F64, candidates: Bools | None = None) -> float:
    """Return the share of trials whose picture is identified."""
    found = identify(predict(folds, labels, pictures), pictures, candidates)
    return float((found == labels).mean())


def permuted_within(labels: I64, blocks: I64, rng: np.random.Generator) -> I64:
    """Return the labels, permuted inside each block i64[trials] of trials and never across."""
    out = np.array(labels, np.int64)
    for block in np.unique(blocks):
        of_it = np.flatnonzero(blocks == block)
        out[of_it] = labels[rng.permutation(of_it)]
    return out


def split_half(recordings: Recordings) -> F64:
    """Return each unit's correlation over pictures between the means of odd and of even showings, f64[units]."""
    if recordings.repeats.min() < 2:
        raise ProsthesisError(
            f"{recordings.name}: split-half reliability needs every picture twice: clean(r, repeats=2)"
        )
    halves = []
    for odd in (0, 1):
        of_it = recordings.repeat % 2 == odd
        means = [recordings.responses[of_it & (recordings.image == k)].mean(0) for k in range(len(recordings.stimuli))]
        halves.append(_unit(np.stack(means, axis=1)))
    return np.asarray((halves[0] * halves[1]).sum(1))


def _unit(rows: F64) -> F64:
    """Return rows of mean 0 and length 1; a constant one becomes 0 and correlates with nothing."""
    centred = rows - rows.mean(1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-12))
