"""The page of brain codes: a cell of the study of maps, and topics that are measured once and kept."""

import json
import sys
from types import ModuleType

import numpy as np
import pytest

from prosthesis.results import Figure
from prosthesis_train.reading import maps
from prosthesis_train.studies.braincodes import bijections
from prosthesis_train.studies.topics import Topics


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Twelve sites, one of them dead, that answer codes of 4 numbers through a bent line."""
    rng = np.random.default_rng(0)
    codes, weights = rng.normal(size=(700, 4)), rng.normal(size=(4, 12))
    rates = 30 + 20 * np.tanh(codes @ weights)
    rates[:, 5] = 4.0
    monkeypatch.setattr(bijections, "_shown", lambda: (codes, lambda brain, seed: rates))
    for name, value in (("TRIALS", 500), ("TEST", 200), ("FEW", (60,)), ("POINTS", 3), ("CELLS", tmp_path)):
        monkeypatch.setattr(bijections, name, value)
    monkeypatch.setattr(bijections, "BRAIN_SEEDS", (0, 1))
    monkeypatch.setattr(bijections, "SEEDS", (0,))
    monkeypatch.setattr(bijections, "BRAINS", ("tuned600",))


def test_the_study_of_maps_leaves_dead_sites_out_and_prints_every_map(small, tmp_path):
    figures = {f.name: f for f in bijections.measure(lambda text: None)}
    cell = json.loads((tmp_path / "tuned600-0-0.json").read_text())
    assert cell["sites"] == 11
    where = "tuned600 (11 to 11 sites that answer)"
    for n in (60, 500):
        for kind in bijections.KINDS:
            assert f"{where}, N = {n}, {kind}: latent error" in figures
    assert figures[f"{where}, N = 500, two maps: latent error"].value < 0.6
    assert figures[f"{where}, chosen: round trip, double max, worst"].value < 1e-9
    assert (tmp_path / bijections.draw(tmp_path)[0]).stat().st_size > 1000


def test_test_trials_are_in_no_fit(small, monkeypatch):
    codes = bijections._shown()[0]
    seen = []
    monkeypatch.setattr(
        bijections, "fit_map", lambda kind, z, r, seed: seen.append(z) or maps.fit_map(kind, z, r, seed)
    )
    bijections.cell("tuned600", 0, 0, (60,))
    test = {tuple(row) for row in codes[-200:]}
    assert seen
    assert not any(tuple(row) in test for z in seen for row in z)


def test_a_topic_is_measured_once_and_its_pictures_are_copied(monkeypatch, tmp_path):
    calls = []
    module = ModuleType("prosthesis_train.studies.braincodes.made_up")
    module.measure = lambda say: calls.append(1) or [Figure("height", 2.0, "m")]
    module.draw = lambda folder: [(folder / "p.png").write_bytes(b"png"), "p.png"][1:]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    page = Topics("prosthesis_train.studies.braincodes", tmp_path / "kept", {"made_up": "made up"})
    assert [f.name for f in page.measure()] == ["made up: height"]
    assert page.measure()[0].value == 2.0
    assert page.draw(tmp_path) == ["p.png"]
    assert (tmp_path / "p.png").read_bytes() == b"png"
    assert len(calls) == 1
