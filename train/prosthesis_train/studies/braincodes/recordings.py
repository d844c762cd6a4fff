"""Real human V1: which of ten known figures was seen, by ridge to the pixels, with the null as measured.

Identification of known figures from new trials, not reconstruction of new ones: there are only ten.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from prosthesis.results import Figure
from prosthesis_train.data.responses.cleaning import clean
from prosthesis_train.data.responses.identification import (
    Fold,
    identify,
    make_folds,
    permuted_within,
    predict,
    share_right,
    split_half,
)
from prosthesis_train.data.responses.miyawaki import REPEATS, miyawaki
from prosthesis_train.data.responses.recordings import F64, I64, Bools, Recordings
from prosthesis_train.scores.two_afc import wilson

PATH = "PROSTHESIS_MIYAWAKI"
PERMUTATIONS = 1000
BOOTSTRAPS = 2000
SEED = 0
WHAT = "Miyawaki V1"


def measure(say: Callable[[str], None]) -> list[Figure]:
    """Return the figures of the file that PROSTHESIS_MIYAWAKI names; none, and a note, when there is no such file."""
    path = os.environ.get(PATH)
    if path is None or not Path(path).is_file():
        say(
            f"{WHAT}: no figures; put V1_mean_figure.mat of github.com/KamitaniLab/VBCCA somewhere and name it "
            f"in {PATH} (now: {path or 'not set'})"
        )
        return []
    cleaned = clean(miyawaki(Path(path)), repeats=REPEATS)
    say(f"{WHAT}: {len(cleaned.recordings.image)} trials, dropped: {cleaned}")
    recordings = cleaned.recordings
    pictures = recordings.stimuli.reshape(len(recordings.stimuli), -1).astype(np.float64) / 255
    return [*_known(recordings, pictures, say), *_unseen(recordings, pictures, say), _reliability(recordings)]


def kind_of(recordings: Recordings) -> I64:
    """Return 0 for trials of the recording's first half (geometric shapes) and 1 for the second (letters)."""
    return (np.arange(len(recordings.image)) >= len(recordings.image) // 2).astype(np.int64)


def _known(recordings: Recordings, pictures: F64, say: Callable[[str], None]) -> list[Figure]:
    name, labels = f"{WHAT}, leave-one-repeat-out", recordings.image
    folds, kind = make_folds(recordings, "leave-one-repeat-out"), kind_of(recordings)
    same = _of_same_kind(recordings, kind)
    predicted = predict(folds, labels, pictures)
    every, within = identify(predicted, pictures) == labels, identify(predicted, pictures, same) == labels
    say(f"{WHAT}: {PERMUTATIONS} permutations within repeats, and as many within repeat and kind")
    rng = np.random.default_rng(SEED)
    free = [permuted_within(labels, recordings.repeat, rng) for _ in range(PERMUTATIONS)]
    bound = [permuted_within(labels, recordings.repeat * 2 + kind, rng) for _ in range(PERMUTATIONS)]
    nulls = {
        "labels permuted within repeats": _null(folds, free, pictures),
        "labels permuted within repeats and kind of figure": _null(folds, bound, pictures),
        "5-way, labels permuted within repeats and kind": _null(folds, bound, pictures, same),
    }
    out = [_share(f"{name}: 10-way identification", every)]
    out += [_share(f"{name}: 5-way identification among figures of the same kind", within)]
    out += [_null_figure(f"{name}: null, {what}", null) for what, null in nulls.items()]
    p = {"10-way": (every, nulls["labels permuted within repeats"]), "5-way": (within, list(nulls.values())[2])}
    return out + [Figure(f"{name}: p of {way}", p_value(float(r.mean()), null), "") for way, (r, null) in p.items()]


def _of_same_kind(recordings: Recordings, kind: I64) -> Bools:
    """Return bool[trials,images]: shapes for a shape, letters for a letter."""
    of_picture = np.zeros(len(recordings.stimuli), np.int64)
    of_picture[recordings.image] = kind
    return np.asarray(kind[:, None] == of_picture[None, :])


def _unseen(recordings: Recordings, pictures: F64, say: Callable[[str], None]) -> list[Figure]:
    """Return what is left when no trial of the figure was fitted: zero-shot, each fold without one figure."""
    name, labels, n = f"{WHAT}, figure never fitted", recordings.image, len(recordings.stimuli)
    say(f"{WHAT}: each figure left out in turn")
    folds, rng = make_folds(recordings, "images", n), np.random.default_rng(SEED)
    right = identify(predict(folds, labels, pictures), pictures) == labels
    kind = np.zeros(n, np.int64)
    kind[labels] = kind_of(recordings)
    permuted = [permuted_within(np.arange(n), kind, rng)[labels] for _ in range(PERMUTATIONS // 5)]
    null = _null(folds, permuted, pictures)
    # trials of one figure stand and fall together: the interval is over figures
    of_figure = np.array([right[labels == k].mean() for k in range(n)])
    low, high = np.quantile(of_figure[rng.integers(0, n, (BOOTSTRAPS, n))].mean(1), [0.025, 0.975])
    how = f"bootstrap over {n} figures, 95 %"
    return [
        Figure(f"{name}: 10-way identification", float(right.mean()), "", float(low), float(high), how, SEED),
        _null_figure(f"{name}: null, whole figures permuted within their kind", null),
        Figure(f"{name}: p of 10-way", p_value(float(right.mean()), null), ""),
    ]


def _reliability(recordings: Recordings) -> Figure:
    r = split_half(recordings)
    low, high = np.quantile(r, [0.05, 0.95])
    name = f"{WHAT}: split-half reliability over figures, median voxel"
    return Figure(name, float(np.median(r)), "r", float(low), float(high), f"5 to 95 % of {len(r)} voxels")


def _null(folds: list[Fold], labels: list[I64], pictures: F64, candidates: Bools | None = None) -> F64:
    return np.array([share_right(folds, some, pictures, candidates) for some in labels])


def p_value(share: float, null: F64) -> float:
    """Return the one-sided p of a share, the measured one counted among the permuted (Phipson & Smyth 2010)."""
    return float((1 + (null >= share - 1e-12).sum()) / (1 + len(null)))


def _share(name: str, right: Bools) -> Figure:
    low, high = wilson(int(right.sum()), len(right))
    return Figure(name, float(right.mean()), "", low, high, f"Wilson, 95 %, {len(right)} trials")


def _null_figure(name: str, null: F64) -> Figure:
    low, high = np.quantile(null, [0.025, 0.975])
    what = f"2.5 to 97.5 % of {len(null)} permutations"
    return Figure(name, float(null.mean()), "", float(low), float(high), what, seed=SEED)
