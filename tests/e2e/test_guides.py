"""The guides of docs/guides, followed literally: files are written as shown, runnable blocks are run in order.

A block's first line may be ```` ```sh runnable ````, with ``slow`` (run with ``-m slow``) or ``needs=PACKAGE`` after;
```` ```yaml file=PATH ```` is a file the reader types. Blocks that need a device, or a clone, are not marked.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
BLOCK = re.compile(r"^```(\w+) (.*)\n((?:.*\n)*?)^```$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:]+\.md)\)")
BLOCK_S = 300


@dataclass(frozen=True)
class Block:
    kind: str
    words: tuple[str, ...]
    text: str

    def word(self, key: str) -> str | None:
        return next((word.removeprefix(f"{key}=") for word in self.words if word.startswith(f"{key}=")), None)


def blocks(path: Path) -> list[Block]:
    found = BLOCK.findall(path.read_text(encoding="utf-8"))
    return [Block(kind, tuple(words.split()), text) for kind, words, text in found]


@pytest.fixture
def follow(tmp_path, tmp_path_factory):
    """Return a function that does what a guide says, in an empty folder of its own."""
    shims = tmp_path_factory.mktemp("bin")
    for name, words in (("prosthesis", "-m prosthesis"), ("python", "")):
        (shims / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (shims / name).chmod(0o755)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    environment = {
        **os.environ,
        "PATH": f"{shims}{os.pathsep}{os.environ['PATH']}",
        "PROSTHESIS_KEYS": str(tmp_path_factory.mktemp("new") / "keys"),
    }

    def run(guide: Path, slow: bool) -> int:
        done = 0
        for block in blocks(guide):
            if path := block.word("file"):
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / path).write_text(block.text)
            elif "runnable" in block.words and ("slow" not in block.words or slow):
                needs = block.word("needs")
                if needs and importlib.util.find_spec(needs) is None:
                    continue
                script = f"set -e\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{block.text}"
                command = subprocess.run(
                    ["bash", "-c", script],
                    cwd=tmp_path,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=BLOCK_S,
                )
                assert command.returncode == 0, f"{block.text}\n{command.stdout[-1500:]}\n{command.stderr[-1500:]}"
                done += 1
        return done

    return run


@pytest.mark.slow
@pytest.mark.timeout(3 * BLOCK_S)
@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_a_guide_can_be_followed_to_its_end(guide, follow):
    assert follow(guide, slow=True) > 0


@pytest.mark.timeout(2 * BLOCK_S)
def test_from_a_clone_to_the_film_of_ones_own_array(follow, tmp_path):
    """The newcomer's path; what is typed is what the guide shows, and is little."""
    guide = ROOT / "docs" / "guides" / "array.md"
    assert follow(guide, slow=False) >= 2
    films = list(tmp_path.glob("runs/*/percept.webm"))
    assert films
    assert films[0].stat().st_size > 10_000
    assert list(tmp_path.glob("runs/*/report.html"))
    typed = sum(len(block.text) for block in blocks(guide) if block.word("needs") is None)
    # 200 characters a minute is a slow typist's pace: ten minutes
    assert typed < 2000


def test_every_guide_has_something_to_run_and_its_links_lead_somewhere():
    assert len(GUIDES) >= 8
    for guide in GUIDES:
        assert any("runnable" in block.words for block in blocks(guide)), guide
        for link in LINK.findall(guide.read_text(encoding="utf-8")):
            assert (guide.parent / link).is_file(), f"{guide.name}: {link}"
