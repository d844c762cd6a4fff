"""The ablation: cells change one thing, are trained once, and the table claims nothing that three seeds do not show."""

from __future__ import annotations

import dataclasses

import pytest
import tiny_training
import torch

from prosthesis.errors import ConfigError
from prosthesis_train.scores.features import averages
from prosthesis_train.studies import ablation

torch.set_num_threads(1)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(ablation, "BASELINE", dataclasses.replace(ablation.BASELINE, batch=8))


def test_every_cell_changes_something_and_no_two_the_same():
    changes = [dataclasses.replace(ablation.BASELINE, **cell.change) for cell in ablation.CELLS]
    assert changes[0] == ablation.BASELINE
    assert len(set(changes)) == len(changes)


def test_a_cell_is_trained_once(small, tmp_path, monkeypatch):
    images = tiny_training.made_up_images(n=120)
    images = dataclasses.replace(images, test=images.train)
    arguments = (ablation.CELLS[0], 2, 0, tmp_path, images, averages(2), 100)
    file = ablation.run_cell(*arguments)
    first = file.read_text(encoding="utf-8")
    monkeypatch.setattr(ablation.bigbigan, "train", None)  # a second training would fail
    assert ablation.run_cell(*arguments) == file
    assert file.read_text(encoding="utf-8") == first
    assert "distance, codes within 0.5" in first
    with pytest.raises(ConfigError, match="another --n"):
        ablation.run_cell(*arguments[:-1], 90)


def entry(cell, seed, distance):
    scores = {"distance": distance, "diversity": 1.0, "2AFC features": 0.9}
    for threshold in ablation.TRUNCATIONS:
        scores |= {f"distance, codes within {threshold:g}": 50.0, f"diversity, codes within {threshold:g}": 0.5}
    return {"cell": cell, "seed": seed, "seconds": 10.0, "scores": scores, "network": "net", "n": 100}


CONTROL = {"noise": {"distance": 90.0, "diversity": 0.1, "2AFC features": 0.5}}


def star(*distances):
    entries = [entry("baseline", s, 20.0) for s in range(len(distances))]
    entries += [entry("without skip-z", s, d) for s, d in enumerate(distances)]
    (line,) = [line for line in ablation.table(entries, CONTROL).splitlines() if "skip-z" in line]
    assert f"| {len(distances)} |" in line
    assert "| noise | - | 90.00 | - | 0.10 | 0.500 | - |" in ablation.table(entries, CONTROL)
    return "*" in line


def test_a_star_needs_three_seeds_that_agree():
    assert star(30.0, 31.0, 25.0)
    assert star(10.0, 11.0, 19.0)
    assert not star(30.0, 31.0)
    assert not star(30.0, 31.0, 19.0)


def test_controls_know_floor_from_noise():
    images = tiny_training.made_up_images(n=120)
    images = dataclasses.replace(images, test=images.train[::-1].copy())
    found = ablation.controls(images, averages(2), 120)
    assert found["real against real (floor)"]["distance"] == pytest.approx(0, abs=1e-6)
    assert found["noise"]["distance"] > 0.1


def test_too_many_steps_are_refused():
    with pytest.raises(ConfigError, match="1 to 2000, not 5000"):
        ablation.main(["--steps", "5000"])
