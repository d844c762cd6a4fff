"""What ``prosthesis score task`` prints: every cell with its interval, what chance is, and what people have done."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import prosthesis
from prosthesis_train.scores.tasks.scoring import Cell, score
from prosthesis_train.tasks.task import WIDE_DEG, open_task
from prosthesis_train.tasks.under_test import under_test

MACHINE = (
    "the observer is a frozen network that sees percepts only; it is not a person, and its figures are no person's"
)


def score_task(
    task: str,
    rig: str,
    encoders: Sequence[str],
    seeds: int,
    dropouts: Sequence[float],
    trials: int,
    as_json: bool,
    say: Callable[[str], None],
) -> str:
    """Return the scores of all encoders on the same trials and patients, as a table or JSON."""
    cells: list[Cell] = []
    for name in encoders:
        say(f"encoder {name}")
        cells += score(task, rig, under_test(name), range(seeds), dropouts, trials, say)
    published = open_task("letters" if task == "words" else task).published
    if as_json:
        return json.dumps(report(task, rig, cells, published), indent=2)
    return table(cells, published)


def report(task: str, rig: str, cells: Sequence[Cell], published: Sequence[str]) -> dict[str, Any]:
    """Return everything as plain data."""
    return {
        "task": task,
        "rig": rig,
        "version": prosthesis.__version__,
        "note": MACHINE,
        "published, not ours": list(published),
        "cells": [asdict(cell) for cell in cells],
    }


def table(cells: Sequence[Cell], published: Sequence[str]) -> str:
    """Return the scores as text."""
    first = cells[0]
    lines = [
        f"{first.task} at {first.rig}: accuracy [95 % interval over {len(first.each)} patients and their trials]",
        f"limits: {first.profile}; observer {first.observer}",
        "",
    ]
    for question in dict.fromkeys(cell.question for cell in cells):
        some = [cell for cell in cells if cell.question == question]
        lines.append(
            f"{question or 'named'}{_degrees(question)}: chance {some[0].chance:.1%}, {some[0].trials} answers each"
        )
        lines += [_line(cell) for cell in some] + [""]
    lines += [f"published, not ours: {text}" for text in published]
    return "\n".join([*lines, MACHINE])


def _line(cell: Cell) -> str:
    name = cell.encoder + (" (told)" if cell.told else "")
    what = f"{cell.dropout:.0%} dropout" if cell.condition == "shown" else f"{cell.condition}, {cell.dropout:.0%}"
    return (
        f"  {name:24} {what:16} {cell.accuracy:6.1%} [{cell.low:.1%}, {cell.high:.1%}]"
        f"  {cell.electrodes:.0f} electrodes, {cell.charge_nc_per_s:,.0f} nC/s"
    )


def _degrees(question: str) -> str:
    """Return a fineness, which is a share of the view, also in degrees of the scene."""
    if not question.startswith("at "):
        return ""
    return f" ({float(question.split()[1]) * WIDE_DEG:.1f} deg of the scene)"
