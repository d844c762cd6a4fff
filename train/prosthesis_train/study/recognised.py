"""What is recognised: a frozen machine observer's answers to one patient's percepts of a task's stimuli."""

from __future__ import annotations

import torch

from prosthesis_train.observers.network import SIDE
from prosthesis_train.observers.observer import load_observer
from prosthesis_train.observers.percepts import virtual_patient
from prosthesis_train.scores.tasks.answers import right
from prosthesis_train.scores.tasks.conditions import Condition, percepts
from prosthesis_train.study.plan import Cell, Recognised
from prosthesis_train.tasks.task import open_task
from prosthesis_train.tasks.under_test import under_test

CONDITIONS: tuple[Condition, ...] = ("shown", "scrambled")


def recognise(cell: Cell, settings: Recognised) -> dict[str, float]:
    """Return the figures of one cell: the same scoring as ``prosthesis score task``, of one patient.

    ``accuracy`` is the share of trials answered right, ``scrambled`` that with the electrodes' labels permuted,
    ``chance`` that of guessing; ``charge_uc_per_s`` is of the average map shown, ``electrodes`` how many are in use.
    """
    torch.set_num_threads(1)
    task, encoder = open_task(settings.task), under_test(cell.encoder)
    observer = load_observer(settings.task, cell.rig)
    person = virtual_patient(cell.rig, cell.patient, cell.dropout, side=SIDE, look="array")
    trials = task.trials("test", settings.trials, cell.seed)
    maps = encoder.encode(trials, person)[:, task.lead :]
    found = {}
    for condition in CONDITIONS:
        seen, charge_nc = percepts(person, maps, condition, cell.seed)
        answers = right(task, observer, seen, trials.labels, cell.seed)
        found[condition] = (float(answers.mean()), charge_nc)
    accuracy, charge_nc = found["shown"]
    return {
        "accuracy": accuracy,
        "scrambled": found["scrambled"][0],
        "chance": task.chance,
        "charge_uc_per_s": charge_nc * 1e-3,
        "electrodes": float(person.electrodes),
    }
