"""The study of real human V1: none without the file, and what it says with it."""

from __future__ import annotations

import numpy as np
import pytest
from shared_data import shared_file

pytest.importorskip("torch", reason="needs the [train] extra")
from prosthesis_train.studies.braincodes import recordings as study


@pytest.mark.parametrize("path", [None, "/nowhere/V1_mean_figure.mat"])
def test_without_the_file_there_are_no_figures_and_a_note_says_how_to_get_it(path, monkeypatch):
    monkeypatch.delenv(study.PATH, raising=False)
    if path is not None:
        monkeypatch.setenv(study.PATH, path)
    said = []
    assert study.measure(said.append) == []
    assert len(said) == 1
    assert "KamitaniLab/VBCCA" in said[0]
    assert str(path or "not set") in said[0]


def test_the_p_of_a_share_counts_the_measured_one_among_the_permuted():
    null = np.array([0.1, 0.2, 0.3, 0.4])
    assert study.p_value(0.5, null) == 1 / 5
    assert study.p_value(0.3, null) == 3 / 5
    assert study.p_value(0.0, null) == 1.0


def test_human_v1_tells_ten_figures_apart_and_the_nulls_lie_beside_it(monkeypatch):
    monkeypatch.setenv(study.PATH, str(shared_file("miyawaki_v1_figures.mat")))
    monkeypatch.setattr(study, "PERMUTATIONS", 10)
    found = {
        figure.name.split(": ", 1)[1]: figure for figure in study.measure(lambda _: None) if "never" not in figure.name
    }
    ten, five = found["10-way identification"], found["5-way identification among figures of the same kind"]
    assert ten.value >= 0.95
    assert five.value >= 0.95
    assert ten.low < ten.value < ten.high
    assert found["null, labels permuted within repeats"].value < 0.15
    assert found["null, labels permuted within repeats and kind of figure"].value < 0.3
    assert found["p of 10-way"].value == 1 / 11
    assert 0.6 < found["split-half reliability over figures, median voxel"].value < 0.9
