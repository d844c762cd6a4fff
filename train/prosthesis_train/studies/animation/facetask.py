"""Living pictures as augmentation for the face task: one picture a person is all there is, and more are made of it.

A matcher (``observers.matching``) is trained on percepts of 120 people of the task's training part, four pictures each,
and asked which of four pictures shows the same person of forty others. What the four pictures are is what differs:
one drawing turned, shifted and relit; such, and the drawing animated by other people's movements; or four drawings of
the person in other poses, which is what the augmentation would have to be as good as.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import torch

from prosthesis.animation.animator import Animator, open_animator, relative
from prosthesis.messages import F32, U8
from prosthesis.results import Figure
from prosthesis_train.animation.clips import shot
from prosthesis_train.observers.matching import fit_matcher, matched
from prosthesis_train.observers.network import SIDE, MatcherNet
from prosthesis_train.observers.observer import Observer, load_observer
from prosthesis_train.observers.percepts import VirtualPatient, virtual_patient
from prosthesis_train.observers.sources import Source
from prosthesis_train.observers.train import training_patients
from prosthesis_train.scores.tasks.answers import likened
from prosthesis_train.scores.tasks.conditions import percepts
from prosthesis_train.studies.animation.remade import spread
from prosthesis_train.tasks.drawing import noisy
from prosthesis_train.tasks.fitted import fitted, stretched
from prosthesis_train.tasks.task import SQUARE, Random, open_task

RIG, DROPOUT = "utah96", 0.2
PEOPLE, EACH, STEPS, NETWORKS = 120, 4, 150, 2
SEEDS, TRIALS = (0, 1, 2), 104
DRIVERS, DRIVING_FRAMES = 12, 16
WAYS = ("one picture a person, moved about", "the same, half of them animated", "four true pictures a person")
TASK = open_task("faces")
Say = Callable[[str], None]
Bool = npt.NDArray[np.bool_]


def measure(say: Say) -> list[Figure]:
    """Return how often matchers find the same person, and what animating adds; some minutes on one core."""
    patients, judged = (
        training_patients(RIG, 6),
        [virtual_patient(RIG, s, DROPOUT, side=SIDE, look="array") for s in SEEDS],
    )
    right: dict[str, list[list[float]]] = {}
    for way in WAYS:
        squares, labels = pictures(way, np.random.default_rng(7))
        source = Source("plain", torch.as_tensor(stretched(squares)), torch.as_tensor(labels))
        right[way] = []
        for seed in range(NETWORKS):
            say(f"{way}: network {seed + 1} of {NETWORKS}")
            torch.manual_seed(seed)
            net = MatcherNet()
            fit_matcher(net, [source], patients, (STEPS, 96, 1.0, 3e-3), np.random.default_rng([seed, 3]), say)
            right[way].append(_scores(net, judged))
    found = [_figure(f"same person found of four, {way}", np.array(scores).mean(0)) for way, scores in right.items()]
    base = np.array(right[WAYS[0]]).mean(0)
    added = [_figure(f"added to moving about by: {way}", np.array(right[way]).mean(0) - base) for way in WAYS[1:]]
    return [*found, *added, Figure("same person found of four, by guessing", 0.25, "")]


def _figure(name: str, values: npt.NDArray[np.float64]) -> Figure:
    low, high = spread(values)
    how = f"95 %, {len(values) // len(SEEDS)} test people x {len(SEEDS)} patients, {NETWORKS} networks averaged"
    return Figure(name, float(values.mean()), "", low, high, how)


def _scores(net: MatcherNet, judged: list[VirtualPatient]) -> list[float]:
    """Return the share right of each test person, seen by each patient."""
    observer = Observer(replace(load_observer("faces", RIG).card, sha256=""), net)
    found: list[float] = []
    for seed, patient in zip(SEEDS, judged, strict=True):
        trials = TASK.trials("test", TRIALS, seed)
        seen, _ = percepts(patient, fitted(trials.frames, patient), "shown", seed)
        answers = matched(likened(observer, seen), trials.labels, TASK.match, seed).reshape(TRIALS, -1).mean(1)
        found += [float(answers[trials.labels == one].mean()) for one in np.unique(trials.labels)]
    return found


def pictures(way: str, random: Random) -> tuple[U8, npt.NDArray[np.int64]]:
    """Return training pictures u8[people * 4, 1, 180, 180] and who they show, by one way of getting them."""
    animator, found = open_animator(), []
    drivers = [shot("faces", "train", 3000 + k, DRIVING_FRAMES, animator.side).frames() for k in range(DRIVERS)]
    for label in range(PEOPLE):
        still = TASK.draw("train", label, random)[0]
        for k in range(EACH):
            one = still
            if way == WAYS[2]:
                one = TASK.draw("train", label, random)[0]
            elif way == WAYS[1] and k % 2:
                one = animated(animator, still, drivers[int(random.integers(DRIVERS))], random)
            found.append(moved_about(one, random)[None])
    return np.stack(found), np.arange(PEOPLE).repeat(EACH)


def animated(animator: Animator, still: U8, driving: U8, random: Random) -> U8:
    """Return a gray picture u8[180,180] moved as between any two frames of a drawn person's clip."""
    small = cv2.resize(still, (animator.side, animator.side), interpolation=cv2.INTER_AREA)
    source = np.repeat(small[..., None], 3, axis=2)
    points = [animator.points(frame) for frame in driving]
    first, now = (points[int(k)] for k in random.choice(len(points), 2, replace=False))
    of_source = animator.points(source)
    made = animator.make(source, of_source, relative(of_source, first, now)).picture
    gray = cv2.cvtColor(made, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(gray, (SQUARE, SQUARE), interpolation=cv2.INTER_CUBIC), np.uint8)


def moved_about(picture: U8, random: Random) -> U8:
    """Return a gray picture turned, shifted, scaled and lit by chance, as the task itself does."""
    matrix = cv2.getRotationMatrix2D((SQUARE / 2, SQUARE / 2), random.uniform(-5, 5), random.uniform(0.92, 1.08))
    matrix[:, 2] += random.uniform(-0.03, 0.03, 2) * SQUARE
    moved: F32 = cv2.warpAffine(picture, matrix, (SQUARE, SQUARE)).astype(np.float32)
    side = 1 + random.uniform(-0.25, 0.25) * np.linspace(-1, 1, SQUARE, dtype=np.float32)
    return noisy(np.asarray(moved * side * random.uniform(0.85, 1.1), np.float32), random)
