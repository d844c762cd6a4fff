"""Train one observer: ``python -m prosthesis_train.observers.train letters utah96``.

Every step shows several training patients a few pictures each, plainly or through a classical encoder, and asks what
they are; the patients' errors of calibration are dealt anew each time. Patients of the scores (seeds under 1000), their
fonts and pictures, and the encoders that scores are about never occur here.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import prosthesis
from prosthesis_train.observers.matching import HOW, fit_matcher, matched, portraits
from prosthesis_train.observers.network import SIDE, MatcherNet, ObserverNet
from prosthesis_train.observers.observer import FROZEN, Card, Observer, save_observer
from prosthesis_train.observers.percepts import VirtualPatient, virtual_patient
from prosthesis_train.observers.sources import CLASSICAL, Source, crisp, enlarged, look, sources
from prosthesis_train.tasks.task import I64, U8, Task, open_task

# patients of observers; scores use those from 0, and encoders that learn should take theirs from 2000
FIRST_PATIENT, FIRST_VALIDATION = 1000, 1900
# pictures of a batch that one patient sees through one encoder
GROUP = 12
# share of plain drawings whose electrodes are all or nothing
CRISP = 0.5
DROPOUTS = (0.0, 0.1, 0.2, 0.3)
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """How much of everything; ``plain`` is the share of batches that are drawn plainly."""

    steps: int = 1500
    batch: int = 96
    pictures: int = 5200
    classical: int = 1300
    patients: int = 48
    plain: float = 0.75
    rate: float = 3e-3
    seed: int = 0


def train_observer(task: Task, rig: str, settings: Settings, say: Say, folder: Path = FROZEN) -> Path:
    """Train, validate on other patients, freeze; return the weights' path."""
    torch.manual_seed(settings.seed)
    random = np.random.default_rng([settings.seed, 3])
    say(f"{task.name} at {rig}: {settings.patients} patients, {settings.pictures} pictures")
    people = training_patients(rig, settings.patients)
    squares, labels = _pictures(task, settings.pictures, settings.seed)
    shown = sources(squares, labels, people[0], settings.classical)
    network: ObserverNet | MatcherNet
    if task.match:
        network = MatcherNet()
        fit_matcher(
            network, shown, people, (settings.steps, settings.batch, settings.plain, settings.rate), random, say
        )
    else:
        network = ObserverNet(squares.shape[1], len(task.classes))
        _fit(network, task, people, shown, settings, random, say)
    observer = Observer(_card(task, rig, settings, squares.shape[1], network.width), network)
    validation = _validate(observer, task, rig, settings, say)
    card = _card(task, rig, settings, squares.shape[1], network.width, validation)
    return save_observer(card, network, folder)


def _pictures(task: Task, count: int, seed: int, validate: bool = False) -> tuple[U8, I64]:
    """Return training pictures and labels; where people are compared, the last of them are kept to validate."""
    if not task.match:
        return task.pictures("train", count, seed)
    kept = len(task.classes) // 10
    who = range(len(task.classes) - kept, len(task.classes)) if validate else range(len(task.classes) - kept)
    return portraits(task, who, max(2, count // len(who)), seed)


def training_patients(rig: str, count: int, first: int = FIRST_PATIENT) -> list[VirtualPatient]:
    """Return patients that look at their array, a quarter each with 0, 10, 20 and 30 % dropout."""
    return [virtual_patient(rig, first + k, DROPOUTS[k % 4], side=SIDE, look="array") for k in range(count)]


def _fit(
    network: ObserverNet,
    task: Task,
    people: list[VirtualPatient],
    shown: list[Source],
    settings: Settings,
    random: np.random.Generator,
    say: Say,
) -> None:
    optimiser = torch.optim.AdamW(network.parameters(), settings.rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, settings.steps, pct_start=0.15)
    loss_of = torch.nn.CrossEntropyLoss(label_smoothing=0.05)
    network.train()
    seen, right, since = 0, 0, time.monotonic()
    for k in range(settings.steps):
        percepts, labels = _mixed(task, shown, people, settings, random)
        logits = network(percepts)
        loss = loss_of(logits, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        seen, right = seen + len(labels), right + int((logits.argmax(1) == labels).sum())
        if (k + 1) % 150 == 0:
            rate = seen / (time.monotonic() - since)
            say(f"  step {k + 1}/{settings.steps}: {right / seen:.3f} right, {rate:.0f} percepts/s")
            seen, right, since = 0, 0, time.monotonic()


def _mixed(
    task: Task, shown: list[Source], people: list[VirtualPatient], settings: Settings, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Return a batch of many patients and encoders: statistics over a batch must not be those of one patient."""
    parts = []
    for _ in range(settings.batch // GROUP):
        patient = people[int(random.integers(len(people)))].another(random)
        source = shown[0] if random.random() < settings.plain else shown[int(random.integers(1, len(shown)))]
        parts.append(_batch(task, source, patient, GROUP, random))
    return torch.cat([percepts for percepts, _ in parts]), torch.cat([labels for _, labels in parts])


def _batch(
    task: Task, source: Source, patient: VirtualPatient, count: int, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    chosen = torch.as_tensor(random.integers(len(source.labels), size=count))
    maps = source.maps[chosen]
    if source.encoder == "plain":
        if task.zoomable and random.random() < 0.8:
            maps = enlarged(maps, patient, random)
        if random.random() < CRISP:
            return crisp(patient, maps, random), source.labels[chosen]
        maps = maps * float(random.uniform(0.5, 1.0))
    with torch.no_grad():
        return look(patient, maps), source.labels[chosen]


def _validate(observer: Observer, task: Task, rig: str, settings: Settings, say: Say) -> dict[str, float]:
    """Return accuracy on other patients and unseen training pictures; of matching, of unseen training people."""
    random = np.random.default_rng([settings.seed, 4])
    people = training_patients(rig, 4, FIRST_VALIDATION)
    squares, labels = _pictures(task, 400, settings.seed + 1, validate=True)
    found = {}
    for source in sources(squares, labels, people[0], 400):
        right = []
        for patient in people:
            if task.match:
                right.append(_matched(observer, task, source, patient, random))
                continue
            percepts, answers = _batch(task, source, patient, 200, random)
            right.append((observer.log_probabilities(percepts).argmax(1) == answers.numpy()).mean())
        found[source.encoder] = round(float(np.mean(right)), 4)
    say("  validation, other patients: " + ", ".join(f"{k} {v:.3f}" for k, v in found.items()))
    return found


def _matched(
    observer: Observer, task: Task, source: Source, patient: VirtualPatient, random: np.random.Generator
) -> float:
    """Return how often the observer finds the same person among ``task.match`` pictures, all drawn alike."""
    with torch.no_grad():
        percepts = look(patient, source.maps)
    features = observer.features(percepts)
    return float(matched(features, source.labels.numpy(), task.match, int(random.integers(1 << 30))).mean())


def _card(
    task: Task, rig: str, s: Settings, frames: int, width: int, validation: dict[str, float] | None = None
) -> Card:
    command = f"python -m prosthesis_train.observers.train {task.name} {rig} --steps {s.steps} --seed {s.seed}"
    return Card(
        task=task.name,
        rig=rig,
        classes=_classes(task),
        frames=frames,
        width=width,
        seed=s.seed,
        command=f"{command} --pictures {s.pictures} --patients {s.patients}",
        patients=(FIRST_PATIENT, FIRST_PATIENT + s.patients - 1),
        encoders=("plain", *CLASSICAL),
        data=f"{task.source}; train part",
        steps=s.steps,
        validation=validation or {},
        licence="Apache-2.0",
        version=prosthesis.__version__,
        how=HOW if task.match else "",
    )


def _classes(task: Task) -> tuple[str, ...]:
    """Return what the network names: nobody, where it only compares."""
    return () if task.match else task.classes


def main(arguments: list[str] | None = None) -> int:
    """Train the observer that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m prosthesis_train.observers.train", description=__doc__)
    parser.add_argument("task")
    parser.add_argument("rig")
    parser.add_argument("--out", type=Path, default=FROZEN)
    for name, default in (("steps", 1500), ("pictures", 5200), ("patients", 48), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    a = parser.parse_args(arguments)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    settings = Settings(
        steps=a.steps, pictures=a.pictures, classical=max(1, a.pictures // 4), patients=a.patients, seed=a.seed
    )
    path = train_observer(open_task(a.task), a.rig, settings, _say, a.out)
    sys.stdout.write(f"wrote {path}\n")
    return 0


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
