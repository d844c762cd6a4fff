"""Every example in a docstring runs and says what it prints; a reader copies these first."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("prosthesis", "sim/prosthesis_sim", "train/prosthesis_train", "export/prosthesis_export")
WITH_EXAMPLES = sorted(
    path.relative_to((ROOT / room).parent).with_suffix("").as_posix().replace("/", ".")
    for room in ROOMS
    for path in (ROOT / room).rglob("*.py")
    if re.search(r"^\s*>>> ", path.read_text(encoding="utf-8"), re.M)
)
# what a user touches first: each has an example
FIRST = {
    "prosthesis.config", "prosthesis.calibration.curves", "prosthesis.bundles.bundle", "prosthesis.messages",
    "prosthesis.safety", "prosthesis.layout", "prosthesis_sim.world", "prosthesis_sim.tissue",
    "prosthesis_sim.retinotopy",
    "prosthesis_sim.patient", "prosthesis_sim.brain.frozen", "prosthesis_train.artefacts",
    "prosthesis_train.reading.maps", "prosthesis_train.scores.two_afc", "prosthesis_train.scores.frechet",
}  # fmt: skip


def test_what_a_user_touches_first_has_an_example() -> None:
    assert set(WITH_EXAMPLES) >= FIRST


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_a_module_say_what_it_does(name: str) -> None:
    if name.startswith("prosthesis_train"):
        pytest.importorskip("torch")
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted
    assert not found.failed
