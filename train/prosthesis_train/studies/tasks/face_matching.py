"""What of drawn people survives the percept, and what would do without it: beside the scores of ``faces``.

The ceiling is the same frozen observer before the pictures themselves, 32 pixels wide. The observer without training
correlates percepts, blurred as the trained one's, less their mean. Where candidates are seen by another patient only
what is like a face helps: within a patient, two pictures of one person make like patterns whatever they look like. Who
knows only a person's kind of hair, beard and glasses says how much of the task is coarse. The other ground is a check
that heads are not cut out by its blackness. Learned codes are another thing: there the embedder says who it is, and the
user is taught a pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch

from prosthesis.results import Figure
from prosthesis_train.observers.matching import ASKED, matched
from prosthesis_train.observers.network import BLURS_PX, SIDE
from prosthesis_train.observers.observer import Observer, centred, load_observer
from prosthesis_train.observers.percepts import VirtualPatient, virtual_patient
from prosthesis_train.scores.tasks.answers import GALLERY, identified, likened
from prosthesis_train.scores.tasks.bootstrap import interval
from prosthesis_train.scores.tasks.conditions import percepts
from prosthesis_train.studies.tasks.face_maps import embedding, maps
from prosthesis_train.tasks.faces import person
from prosthesis_train.tasks.fitted import fitted
from prosthesis_train.tasks.task import SQUARE, Random, Trials, open_task

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]
Say = Callable[[str], None]
RIGS = ("utah96", "icvp400")
SEEDS, TRIALS, DROPOUT = (0, 1, 2), 104, 0.2
TASK = open_task("faces")


@dataclass(frozen=True, slots=True)
class Seen:
    """One seed's trials."""

    trials: Trials
    seed: int

    def which(self, features: F32, candidates: F32 | None = None) -> Bool:
        """Return the answers to which of four, by features f32[k, width]; see ``matched``."""
        return matched(features, self.trials.labels, TASK.match, self.seed, candidates)


def measure(say: Say) -> list[Figure]:
    """Return every figure; some minutes on one core."""
    seen = [Seen(TASK.trials("test", TRIALS, seed), seed) for seed in SEEDS]
    say("without percepts")
    figures = [
        _figure("knows kind of hair, beard and glasses only", [one.which(_kinds(one.trials)) for one in seen]),
        _figure(
            "correlation of the pictures, 32 pixels", [one.which(_correlated(pictures(one.trials))) for one in seen]
        ),
    ]
    for rig in RIGS:
        figures += _at(rig, seen, say)
    say("the embedder, for a learned code")
    return figures + _embedded(seen)


def _at(rig: str, seen: Sequence[Seen], say: Say) -> list[Figure]:
    observer = load_observer("faces", rig)
    found = [
        _figure(
            f"ceiling: the observer of {rig} before the pictures, 32 pixels",
            [one.which(likened(observer, pictures(one.trials))) for one in seen],
        )
    ]
    say(f"percepts at {rig}")
    people = [virtual_patient(rig, one.seed, DROPOUT, side=SIDE, look="array") for one in seen]
    for name, encode in (("fitted", fitted), ("heads", maps)):
        shown = [
            _shown(one, patient, encode(one.trials.frames, patient)) for one, patient in zip(seen, people, strict=True)
        ]
        answers = [one.which(_correlated(some)) for one, some in zip(seen, shown, strict=True)]
        found.append(_figure(f"{name} at {rig}, correlation of percepts, no training", answers))
        found.append(
            _figure(f"{name} at {rig}, candidates seen by another patient", _across(observer, seen, people, encode))
        )
    return [*found, *_before_clutter(rig, observer, seen, people)]


def _across(
    observer: Observer,
    seen: Sequence[Seen],
    people: Sequence[VirtualPatient],
    encode: Callable[[U8, VirtualPatient], F32],
) -> list[Bool]:
    """Return the answers where the candidates are what the next patient sees: only what is face-like is in common."""
    answers = []
    for k, one in enumerate(seen):
        both = (people[k], people[(k + 1) % len(people)])
        mine, theirs = (likened(observer, _shown(one, who, encode(one.trials.frames, who))) for who in both)
        answers.append(one.which(mine, theirs))
    return answers


def _before_clutter(
    rig: str, observer: Observer, seen: Sequence[Seen], people: Sequence[VirtualPatient]
) -> list[Figure]:
    """Return what is known of the same people before gray blobs instead of black."""
    found = []
    for name, encode in (("fitted", fitted), ("heads", maps)):
        answers = []
        for one, patient in zip(seen, people, strict=True):
            frames = cluttered(one.trials.frames, np.random.default_rng([one.seed, 21]))
            answers.append(one.which(likened(observer, _shown(one, patient, encode(frames, patient)))))
        found.append(_figure(f"{name} at {rig}, people before a cluttered ground", answers))
    return found


def _shown(one: Seen, patient: VirtualPatient, of: F32) -> torch.Tensor:
    return percepts(patient, of, "shown", one.seed)[0]


def pictures(trials: Trials) -> torch.Tensor:
    """Return the frames' squares f32[k, 1, 32, 32] in 0..1, averaged: what there is before any encoder."""
    left = (trials.frames.shape[3] - SQUARE) // 2
    squares = trials.frames[:, 0, :, left : left + SQUARE, 0]
    small = [cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for square in squares]
    return torch.as_tensor(np.stack(small)[:, None].astype(np.float32) / 255)


def cluttered(frames: U8, random: Random) -> U8:
    """Return frames u8[k, t, h, w, 3] whose black ground is gray blobs of 0..120, another for each trial."""
    height, width = frames.shape[2:4]
    out: U8 = frames.copy()
    for trial in out:
        coarse = random.uniform(0, 120, (1 + height // 30, 1 + width // 30)).astype(np.float32)
        ground = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        for rgb in trial:
            # the camera's noise on black stays far below this; what is dark within a face is surrounded by it
            head = _filled(rgb[..., 0] > 12)
            rgb[~head] = np.clip(ground, 0, 255).astype(np.uint8)[~head][:, None]
    return out


def _filled(mask: Bool) -> Bool:
    """Return a mask with its holes filled and its specks left out."""
    clean = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    outlines, _ = cv2.findContours(clean, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    drawn = np.zeros_like(clean)
    cv2.drawContours(drawn, [max(outlines, key=cv2.contourArea)], -1, 1, -1)
    return np.asarray(drawn > 0)


def _correlated(seen: torch.Tensor) -> F32:
    """Return features that a training-free observer compares, of percepts f32[k, looks, side, side] of one patient."""
    looks = [
        np.stack([cv2.GaussianBlur(picture, (0, 0), BLURS_PX[0]) for picture in look]).reshape(len(seen), -1)
        for look in np.sqrt(seen.numpy()).swapaxes(0, 1)
    ]
    joined: F32 = np.concatenate([centred(look) for look in looks], axis=1) / np.float32(np.sqrt(len(looks)))
    return joined


def _kinds(trials: Trials) -> F32:
    """Return features by which people of the same kind of hair, beard and glasses are alike; ties fall by chance."""
    kinds = [person("test", int(label)) for label in trials.labels]
    codes = np.array([4 * p["hair"] + 2 * p["beard"] + p["glasses"] for p in kinds]).astype(int)
    noise = np.random.default_rng(0).normal(0, 1e-3, (len(codes), 16))
    return np.asarray(np.eye(16)[codes] + noise, np.float32)


def _embedded(seen: Sequence[Seen]) -> list[Figure]:
    which, who = [], []
    for one in seen:
        found = [embedding(rgb) for rgb in one.trials.frames[:, 0]]
        # where no face is found nobody is known: a vector unlike all
        features = np.stack([np.zeros(192, np.float32) if row is None else row for row in found])
        which.append(one.which(features))
        who.append(identified(features, one.trials.labels, one.seed))
    return [
        _figure("learned code: the embedder itself, which of four", which),
        _figure(f"learned code: the embedder itself, who of {GALLERY} enrolled", who, 1),
    ]


def _figure(name: str, answers: list[Bool], asked: int = ASKED) -> Figure:
    table = np.stack(answers)
    low, high = interval(table, asked=asked)
    of = f"95 % over {len(table)} seeds x {table.shape[1]} answers"
    return Figure(f"faces: {name}", float(table.mean()), "", low, high, of)
