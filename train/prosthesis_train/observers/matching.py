"""Observers that tell whether two percepts show the same person: trained by comparing, never by naming.

An episode is made as the test asks: one patient, one way of drawing, several people, two pictures each. Every picture
must be found most like the other one of its person among all of the episode (N-pair loss, Sohn 2016, both ways), by
cosines of features, of which the mean of what the patient was shown is taken away first: what every percept of an
array has in common says nothing of who it is. The network is ``network.MatcherNet``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prosthesis_train.observers.network import MatcherNet
from prosthesis_train.observers.percepts import VirtualPatient
from prosthesis_train.observers.sources import Source, crisp, look
from prosthesis_train.tasks.fitted import laid
from prosthesis_train.tasks.task import U8, Task

Bool = npt.NDArray[np.bool_]
F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
Random = np.random.Generator
Say = Callable[[str], None]
# people of an episode, two pictures each
PEOPLE, PICTURES = 12, 2
TEMPERATURE = 0.1
# matches are asked this often of each probe, with other wrong pictures each time
ASKED = 10
# share of plain episodes that are drawn larger than the array, so that parts of faces are seen
PARTS = 0.4
HOW = (
    f"N-pair loss on cosines of centred features (temperature {TEMPERATURE}); an episode is {PEOPLE} people, "
    f"{PICTURES} pictures each, through one encoder and one patient, whose errors are dealt anew"
)


def portraits(task: Task, who: Sequence[int], each: int, seed: int) -> tuple[U8, I64]:
    """Return ``each`` pictures of every training person in ``who``, u8[k, t, 180, 180], and labels, by person."""
    random, labels = np.random.default_rng([seed, 5]), np.repeat(np.asarray(who, np.int64), each)
    return np.stack([task.draw("train", int(label), random) for label in labels]), labels


@dataclass(frozen=True, slots=True)
class Crowd:
    """One source's maps by person: ``pictures[k]`` are indices of those of the k-th person who has two or more."""

    source: Source
    pictures: tuple[I64, ...]


def crowd(source: Source) -> Crowd:
    """Return a source ordered by person."""
    labels = source.labels.numpy()
    of = [np.flatnonzero(labels == one) for one in np.unique(labels)]
    return Crowd(source, tuple(some for some in of if len(some) >= PICTURES))


def episode(of: Crowd, patient: VirtualPatient, random: Random) -> Tensor:
    """Return percepts f32[PEOPLE * PICTURES, t, side, side], a person's pictures beside each other."""
    who = random.choice(len(of.pictures), PEOPLE, replace=False)
    chosen = np.concatenate([random.choice(of.pictures[k], PICTURES, replace=False) for k in who])
    maps = of.source.maps[torch.as_tensor(chosen)]
    if of.source.encoder == "plain":
        maps = _drawn(maps, patient, random)
        if random.random() < 0.2:
            return crisp(patient, maps, random)
    with torch.no_grad():
        return look(patient, maps)


def _drawn(maps: Tensor, patient: VirtualPatient, random: Random) -> Tensor:
    """Return plain maps laid onto the array, all alike: in any size, place, and range of grays."""
    b, size = len(maps), random.uniform(0.8, 1.25)
    reach = 1 / 12
    if random.random() < PARTS:
        size = random.uniform(1.25, 2.2)
        reach = 0.5 * (size - 1)
    aside = np.tile(random.uniform(-reach, reach, (2, 1)), b)
    placed = laid(maps, patient, np.full(b, size), np.full(b, random.uniform(0.87, 1.15)), aside)
    black, white, bend = random.uniform(0.0, 0.5), random.uniform(0.7, 1.0), 2 ** random.uniform(-1.0, 1.0)
    return ((placed - black) / (white - black)).clamp(0.0, 1.0) ** bend


def likeness_loss(features: Tensor) -> Tensor:
    """Return the N-pair loss of features f32[episodes, PEOPLE * PICTURES, width], a person's beside each other."""
    centred = features - features.mean(dim=1, keepdim=True)
    unit = torch.nn.functional.normalize(centred, dim=2)
    alike = unit @ unit.transpose(1, 2) / TEMPERATURE
    count = alike.shape[1]
    alike = alike.masked_fill(torch.eye(count, dtype=torch.bool), -torch.inf)
    # of two pictures a person, the other's index differs in the last bit
    other = torch.arange(count) ^ 1
    return torch.nn.functional.cross_entropy(alike.flatten(0, 1), other.repeat(len(alike)))


def fit_matcher(
    network: MatcherNet,
    shown: Sequence[Source],
    people: Sequence[VirtualPatient],
    plan: tuple[int, int, float, float],
    random: Random,
    say: Say,
) -> None:
    """Train ``network``'s features; ``plan`` is (steps, percepts a step, share drawn plainly, rate)."""
    steps, batch, plain, rate = plan
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=0.15)
    crowds, episodes = [crowd(source) for source in shown], max(1, batch // (PEOPLE * PICTURES))
    network.train()
    total, since = 0.0, time.monotonic()
    for k in range(steps):
        parts = []
        for _ in range(episodes):
            of = crowds[0] if random.random() < plain else crowds[int(random.integers(1, len(crowds)))]
            parts.append(episode(of, people[int(random.integers(len(people)))].another(random), random))
        seen = torch.cat([network.adapted(part) for part in parts])
        loss = likeness_loss(network.features(seen).view(episodes, -1, network.width))
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
        total += loss.item()
        if (k + 1) % 100 == 0:
            rate_per_s = 100 * episodes * PEOPLE * PICTURES / (time.monotonic() - since)
            say(f"  step {k + 1}/{steps}: loss {total / 100:.3f}, {rate_per_s:.0f} percepts/s")
            total, since = 0.0, time.monotonic()


def matched(features: F32, labels: I64, choices: int, seed: int, candidates: F32 | None = None) -> Bool:
    """Return bool[k * ASKED]: whether the picture most like a probe's, of ``choices`` pictures, is the same person's.

    One of them is another picture of that person, the rest one each of others; all are seen as percepts. With
    ``candidates`` those of the same pictures are compared with the probes', as another saw them.
    """
    random, found = np.random.default_rng([seed, 11]), []
    others_seen = features if candidates is None else candidates
    alike, pictures = features @ others_seen.T, {int(one): np.flatnonzero(labels == one) for one in np.unique(labels)}
    for probe in np.repeat(np.arange(len(labels)), ASKED):
        own = int(labels[probe])
        same = pictures[own][pictures[own] != probe]
        others = random.choice([one for one in pictures if one != own], choices - 1, replace=False)
        wrong = [int(random.choice(pictures[int(other)])) for other in others]
        likeness = alike[probe, [int(random.choice(same)), *wrong]]
        found.append(likeness[0] > likeness[1:].max())
    return np.asarray(found)
