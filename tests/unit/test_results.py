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
        "grid": "", "row": "", "column": "",
    }  # fmt: skip
    assert {"date", "commit", "machine", "python", "packages"} <= set(content["made"])
    page = (tmp_path / "speed.md").read_text()
    assert page == results.page(content)
    assert "| speed | 2.5 m/s | 2 to 3 (95 %) |" in page


def test_figures_of_a_grid_are_laid_out_by_row_and_column(tmp_path, monkeypatch):
    figures = [
        Figure("a", 50.0, "%", 40.0, 60.0, grid="Right", row="letters", column="on"),
        Figure("b", 4.0, "%", grid="Right", row="letters", column="off"),
        Figure("c", 75.5, "%", 70.0, 80.0, grid="Right", row="words", column="on"),
    ]
    monkeypatch.setattr(Point, "load", lambda self: Recipe("A title", "A summary.", lambda: figures))
    monkeypatch.setattr(results, "recipes", lambda: {"right": Point()})
    results.make_results("right", tmp_path)
    lines = (tmp_path / "right.md").read_text().splitlines()
    start = lines.index("## Right")
    assert lines[start + 2 : start + 7] == [
        "| | on | off |",
        "|---|---|---|",
        "| letters | 50 [40, 60] | 4 |",
        "| words | 75.5 [70, 80] |  |",
        "",
    ]


def test_a_page_says_at_which_commits_its_parts_were_measured(tmp_path, monkeypatch):
    recipe = Recipe("A title", "A summary.", list, None, lambda: {"speed": "abc", "films": "def"})
    monkeypatch.setattr(Point, "load", lambda self: recipe)
    monkeypatch.setattr(results, "recipes", lambda: {"kept": Point()})
    results.make_results("kept", tmp_path)
    assert (tmp_path / "kept.md").read_text().endswith("one by one and kept: speed at abc, films at def.\n")


def test_an_unknown_recipe_lists_those_there_are(tmp_path):
    with pytest.raises(ProsthesisError, match=r"no recipe 'x'; there are: .*pipeline"):
        results.make_results("x", tmp_path)
