"""What the observer answers, and whether it is right: naming, matching pictures of people, spelling words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from prosthesis_train.observers.matching import matched
from prosthesis_train.observers.observer import Observer
from prosthesis_train.tasks.letters import LETTERS, WORDS
from prosthesis_train.tasks.task import Task

Bool = npt.NDArray[np.bool_]
F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
GALLERY, ENROLLED = 10, 2


def named(observer: Observer, seen: Tensor) -> F32:
    """Return log-probabilities f32[k, classes] of percepts [k, t, side, side]; looks at a still are averaged."""
    k, t = seen.shape[:2]
    if t == observer.card.frames:
        return observer.log_probabilities(seen)
    looks = observer.log_probabilities(seen.reshape(k * t, 1, *seen.shape[2:]))
    mean: F32 = looks.reshape(k, t, -1).mean(axis=1)
    return mean


def right(task: Task, observer: Observer, seen: Tensor, labels: I64, seed: int) -> Bool:
    """Return for each trial whether the answer was right."""
    if task.match:
        return matched(likened(observer, seen), labels, task.match, seed)
    answered: Bool = named(observer, seen).argmax(axis=1) == labels
    return answered


def likened(observer: Observer, seen: Tensor) -> F32:
    """Return unit vectors f32[k, width * looks] of one patient's percepts [k, looks, side, side], look by look."""
    looks = [observer.features(seen[:, k : k + 1]) for k in range(seen.shape[1])]
    joined: F32 = np.concatenate(looks, axis=1) / np.float32(np.sqrt(len(looks)))
    return joined


def identified(features: F32, labels: I64, seed: int) -> Bool:
    """Return bool[k]: whether each probe's person is most alike of ``GALLERY`` people, ``ENROLLED`` percepts each.

    Of the probe's own person fewer where the trials hold no more.
    """
    random, found = np.random.default_rng([seed, 12]), []
    alike, pictures = features @ features.T, {int(one): np.flatnonzero(labels == one) for one in np.unique(labels)}
    for probe in range(len(labels)):
        own = int(labels[probe])
        others = random.choice([one for one in pictures if one != own], GALLERY - 1, replace=False)
        means = []
        for one in (own, *others):
            known = pictures[int(one)]
            known = known[known != probe]
            means.append(alike[probe, random.choice(known, min(ENROLLED, len(known)), replace=False)].mean())
        found.append(means[0] > max(means[1:]))
    return np.asarray(found)


def spelt(observer: Observer, seen: Tensor, words: Sequence[str]) -> tuple[Bool, Bool]:
    """Return whether all letters were right, and whether the word was with the list of ``WORDS`` known.

    ``seen`` are percepts [k * 4, looks, side, side] letter after letter.
    """
    spelling = named(observer, seen).reshape(len(words), 4, len(LETTERS))
    truth = np.array([[LETTERS.index(letter) for letter in word] for word in words])
    listed = np.array([[LETTERS.index(letter) for letter in word] for word in WORDS])
    score = spelling[:, np.arange(4)[None], listed].sum(axis=2)
    chosen = [WORDS[k] for k in score.argmax(axis=1)]
    freely: Bool = (spelling.argmax(axis=2) == truth).all(axis=1)
    return freely, np.array([a == b for a, b in zip(chosen, words, strict=True)])
