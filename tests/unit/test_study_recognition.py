"""Recognition as a cell of a study is the score of one patient."""

from __future__ import annotations

import json

import pytest

from prosthesis.errors import ProsthesisError
from prosthesis_train.observers.observer import load_observer
from prosthesis_train.scores.tasks.scoring import score
from prosthesis_train.study.cell import key_of, row_of
from prosthesis_train.study.plan import Cell
from prosthesis_train.tasks.under_test import under_test


def test_a_cell_is_what_score_task_says_of_one_patient():
    try:
        observer = load_observer("letters", "utah96")
    except ProsthesisError:
        pytest.skip("no observer of letters at 96 is shipped yet")
    settings = json.dumps({"type": "recognised", "task": "letters", "trials": 52})
    cell = Cell(settings, "luminance-32", "utah96", 1, 0.2, "", 1)
    row = row_of(cell.encode(), key_of(cell))
    scored = score("letters", "utah96", under_test("luminance-32"), seeds=(1,), dropouts=(0.2,), trials=52)
    shown = next(c for c in scored if c.condition == "shown")
    scrambled = next(c for c in scored if c.condition == "scrambled")
    assert row["error"] is None
    assert (row["accuracy"], row["scrambled"]) == (pytest.approx(shown.accuracy), pytest.approx(scrambled.accuracy))
    assert row["chance"] == pytest.approx(1 / len(observer.card.classes))
    assert row["charge_uc_per_s"] == pytest.approx(shown.charge_nc_per_s * 1e-3)
    assert row["electrodes"] == shown.electrodes


def test_a_task_without_an_observer_is_a_failed_cell_that_says_how_to_get_one():
    cell = Cell(json.dumps({"type": "recognised", "task": "motion", "trials": 8}), "plain", "alpha1600", 1, 0.0, "", 1)
    error = row_of(cell.encode(), key_of(cell))["error"]
    assert "no observer of 'motion' at 'alpha1600'" in error
    assert "train one: python -m" in error
