from __future__ import annotations

import json

import pytest

from prosthesis import results
from prosthesis.errors import ProsthesisError
from prosthesis.results import Figure, Recipe


class Point:
    def load(self):
        return Recipe("A title", "A summary.", lambda: [Figure("speed", 2.5, "m/s", 2.0, 3.0, "95 %", seed=1)])


def test_a_recipe_writes_its_figures_and_the_page_made_from_them(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "recipes", lambda: {"speed": Point()})
    path = results.make_results("speed", tmp_path)
    content = json.loads(path.read_text())
    assert content["figures"][0] == {
        "name": "speed", "value": 2.5, "unit": "m/s", "low": 2.0, "high": 3.0, "interval": "95 %", "seed": 1,
    }  # fmt: skip
    assert {"date", "commit", "machine", "python", "packages"} <= set(content["made"])
    page = (tmp_path / "speed.md").read_text()
    assert page == results.page(content)
    assert "| speed | 2.5 m/s | 2 to 3 (95 %) |" in page


def test_an_unknown_recipe_lists_those_there_are(tmp_path):
    with pytest.raises(ProsthesisError, match=r"no recipe 'x'; there are: .*pipeline"):
        results.make_results("x", tmp_path)
