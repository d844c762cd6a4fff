from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from prosthesis.config import names
from prosthesis_sim.gallery import choice_of
from prosthesis_sim.gallery_scene import Scene
from prosthesis_sim.patient import WORLDS, load_world

DOCS = Path(__file__).parents[2] / "docs"
SHOWN = names("implants") + sorted(path.stem for path in WORLDS.glob("*.yaml") if not load_world(path.stem).sites)
MOST_BYTES = 60_000


@pytest.fixture(scope="module")
def page():
    return (DOCS / "gallery.md").read_text(encoding="utf-8")


def test_the_page_has_an_entry_for_each_shipped_array_and_world_and_no_other(page):
    assert sorted(re.findall(r"^### (\S+)$", page, re.M)) == sorted(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_each_entry_shows_its_own_small_picture(page, name):
    entry = page.split(f"### {name}\n")[1].split("\n### ")[0]
    path = re.search(r"\]\((\S+)\)", entry).group(1)
    assert path == f"images/gallery/{name}.png"
    picture = (DOCS / path).read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) <= MOST_BYTES


def test_the_page_says_what_it_is_not_and_is_linked(page):
    assert "not a medical device" in page.split("\n## ")[0]
    assert "(gallery.md)" in (DOCS / "README.md").read_text(encoding="utf-8")


def test_the_captions_are_what_the_patient_of_the_run_says(page):
    scene = Scene(*choice_of("utah96"))
    scene.step(on=True)
    entry = page.split("### utah96\n")[1].split("\n### ")[0]
    assert f"{int(scene.seen.sum())} evoke phosphenes" in entry
    assert f"might see {scene.world.percept(0, 0, 0).visible} spots" in entry


def test_the_letter_is_an_e_upright_in_the_visual_field():
    scene = Scene(*choice_of("utah96"))
    across, up = np.meshgrid((np.arange(4) + 0.5) / 4, (np.arange(5) + 0.5) / 5)
    x, y = (low + share * (high - low) for low, high, share in zip(scene.low, scene.high, (across, up), strict=True))
    wanted = [[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 1, 1]]
    np.testing.assert_array_equal(scene.on_letter(x, y), wanted)
