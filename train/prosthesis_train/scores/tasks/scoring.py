"""One task at one rig through one encoder: accuracy over patients and dropout, with controls and intervals."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prosthesis_train.observers.matching import ASKED
from prosthesis_train.observers.network import SIDE
from prosthesis_train.observers.observer import Observer, load_observer
from prosthesis_train.observers.percepts import VirtualPatient, virtual_patient
from prosthesis_train.scores.tasks.answers import GALLERY, identified, likened, right, spelt
from prosthesis_train.scores.tasks.bootstrap import interval
from prosthesis_train.scores.tasks.conditions import CONTROLS, Condition, percepts
from prosthesis_train.tasks.letters import WORDS, word
from prosthesis_train.tasks.task import Task, Trials, framed, open_task
from prosthesis_train.tasks.under_test import UnderTest

Bool = npt.NDArray[np.bool_]
F32 = npt.NDArray[np.float32]
Crop = tuple[float, float, float, float]
DROPOUTS = (0.0, 0.1, 0.2, 0.3)
SEEDS = (0, 1, 2)
# of the published range, the one that the targets name: controls and finenesses are measured here
REFERENCE = 0.2
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Cell:
    """One number: ``accuracy`` with its 95 % interval; ``each`` is that of every patient.

    ``question`` says what was asked where a task asks more than one thing; ``electrodes`` and ``charge_nc_per_s`` are
    means over patients.
    """

    task: str
    question: str
    rig: str
    encoder: str
    dropout: float
    condition: str
    accuracy: float
    low: float
    high: float
    chance: float
    each: tuple[float, ...]
    trials: int
    electrodes: float
    charge_nc_per_s: float
    profile: str
    observer: str
    told: bool


@dataclass(frozen=True, slots=True)
class _Run:
    """What stays the same over the cells of one score."""

    name: str
    rig: str
    encoder: UnderTest
    observer: Observer
    patients: dict[float, list[VirtualPatient]]
    seeds: tuple[int, ...]


def score(
    task: str,
    rig: str,
    encoder: UnderTest,
    seeds: Sequence[int] = SEEDS,
    dropouts: Sequence[float] = DROPOUTS,
    trials: int = 208,
    say: Say = lambda text: None,
) -> list[Cell]:
    """Return all cells of a task (or of ``words``): dropouts as shown, controls at the reference dropout.

    A seed is a patient and its trials, the same for every encoder. Raises ``ProsthesisError`` for a task without an
    observer at this rig.
    """
    words = task == "words"
    observer = load_observer("letters" if words else task, rig)
    reference = REFERENCE if REFERENCE in dropouts else dropouts[0]
    patients = {}
    for dropout in dropouts:
        say(f"{task} at {rig}: patients with {dropout:.0%} dropout")
        patients[dropout] = [_patient(rig, seed, dropout) for seed in seeds]
    run = _Run(task, rig, encoder, observer, patients, tuple(seeds))
    asked: list[tuple[float, Condition]] = [(dropout, "shown") for dropout in dropouts]
    asked += [(reference, control) for control in CONTROLS]
    if words:
        lists = [_dictation(seed, max(4, trials // 4)) for seed in seeds]
        shown = _Shown(run, [letters for _, letters in lists])
        return [cell for of in asked for cell in _spell(run, shown, [texts for texts, _ in lists], *of)]
    opened = open_task(task)
    shown = _Shown(run, [opened.trials("test", trials, seed) for seed in seeds])
    cells = [cell for of in asked for cell in _recognise(run, opened, shown, *of)]
    for level, (share, _) in enumerate(opened.levels):
        say(f"{task} at {rig}: fineness {share:.3f}")
        finer = opened.at(level)
        shown = _Shown(run, [finer.trials("test", trials, seed) for seed in seeds])
        cells += _recognise(run, finer, shown, reference, "shown", f"at {share:.3f} of the view")
    return cells


@functools.lru_cache(maxsize=16)
def _patient(rig: str, seed: int, dropout: float) -> VirtualPatient:
    return virtual_patient(rig, seed, dropout, side=SIDE, look="array")


class _Shown:
    """The trials of every seed, and an encoder's maps of them, made once for all conditions that share them."""

    def __init__(self, run: _Run, trials: list[Trials]) -> None:
        self._run, self.trials = run, trials
        self._maps: dict[tuple[int, Crop | VirtualPatient], F32] = {}

    def maps(self, k: int, patient: VirtualPatient) -> F32:
        """Return the maps of the ``k``-th seed's trials for a patient."""
        # who knows nothing of the patient sees the view's crop
        key = (k, patient if self._run.encoder.personal else patient.view.crop)
        if key not in self._maps:
            self._maps[key] = self._run.encoder.encode(self.trials[k], patient)
        return self._maps[key]


def _recognise(
    run: _Run, task: Task, shown: _Shown, dropout: float, condition: Condition, question: str = ""
) -> list[Cell]:
    answers, known, charges = [], [], []
    for k, (seed, patient) in enumerate(zip(run.seeds, run.patients[dropout], strict=True)):
        labels = shown.trials[k].labels
        seen, charge = percepts(patient, shown.maps(k, patient)[:, task.lead :], condition, seed)
        answers.append(right(task, run.observer, seen, labels, seed))
        charges.append(charge)
        if task.match:
            known.append(identified(likened(run.observer, seen), labels, seed))
    question = question or (f"which of {task.match}" if task.match else "")
    asked = ASKED if task.match else 1
    cells = [_cell(run, dropout, condition, question, answers, task.chance, charges, asked)]
    if task.match:
        cells.append(_cell(run, dropout, condition, f"who of {GALLERY}", known, 1 / GALLERY, charges))
    return cells


def _dictation(seed: int, count: int) -> tuple[list[str], Trials]:
    """Return words, and their letters in turn as trials."""
    random = np.random.default_rng([seed, 13])
    words = [WORDS[int(k)] for k in random.integers(len(WORDS), size=count)]
    letters = np.concatenate([word(text, random) for text in words])[:, None]
    labels = np.array([ord(letter) - ord("A") for text in words for letter in text])
    return words, Trials(framed(letters), labels)


def _spell(run: _Run, shown: _Shown, words: list[list[str]], dropout: float, condition: Condition) -> list[Cell]:
    freely: list[Bool] = []
    listed: list[Bool] = []
    charges = []
    for k, (seed, patient) in enumerate(zip(run.seeds, run.patients[dropout], strict=True)):
        seen, charge = percepts(patient, shown.maps(k, patient), condition, seed)
        for found, answer in zip((freely, listed), spelt(run.observer, seen, words[k]), strict=True):
            found.append(answer)
        charges.append(charge)
    any_word, of_list = "spelt", f"of a known list of {len(WORDS)}"
    return [
        _cell(run, dropout, condition, any_word, freely, 26.0**-4, charges),
        _cell(run, dropout, condition, of_list, listed, 1 / len(WORDS), charges),
    ]


def _cell(
    run: _Run,
    dropout: float,
    condition: str,
    question: str,
    answers: list[Bool],
    chance: float,
    charges: list[float],
    asked: int = 1,
) -> Cell:
    table, patients = np.stack(answers), run.patients[dropout]
    low, high = interval(table, asked=asked)
    return Cell(
        task=run.name,
        question=question,
        rig=run.rig,
        encoder=run.encoder.name,
        dropout=dropout,
        condition=condition,
        accuracy=float(table.mean()),
        low=low,
        high=high,
        chance=chance,
        each=tuple(float(a) for a in table.mean(axis=1)),
        trials=table.shape[1],
        electrodes=float(np.mean([p.electrodes for p in patients])),
        charge_nc_per_s=float(np.mean(charges)),
        profile=patients[0].profile,
        observer=run.observer.card.sha256[:16],
        told=run.encoder.told,
    )
