"""A page of several topics, each measured by itself and kept: made in parts, and whole after a power cut.

A topic is a module of one package with ``measure(say)`` and, where it has pictures, ``draw(folder)``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from prosthesis.results import Figure, provenance


@dataclass(frozen=True, slots=True)
class Topics:
    """Topics (modules of ``package``) by name with their titles; what was measured is kept below ``kept``."""

    package: str
    kept: Path
    titles: Mapping[str, str]

    def topic(self, name: str) -> dict[str, Any]:
        """Return a topic's kept figures and pictures, measured now if there are none."""
        folder = self.kept / name
        path = folder / "figures.json"
        if not path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            torch.set_num_threads(1)
            module = importlib.import_module(f"{self.package}.{name}")
            began = time.process_time()
            figures = [asdict(figure) for figure in module.measure(say)]
            pictures = list(module.draw(folder)) if hasattr(module, "draw") else []
            spent = round(time.process_time() - began)
            content = {"figures": figures, "pictures": pictures, "cpu_s": spent, "commit": provenance()["commit"]}
            path.write_text(json.dumps(content, indent=1), encoding="utf-8")
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def measure(self) -> list[Figure]:
        """Return the figures of every topic, each named after it."""
        return [
            replace(Figure(**figure), name=f"{title}: {figure['name']}")
            for name, title in self.titles.items()
            for figure in self.topic(name)["figures"]
        ]

    def commits(self) -> dict[str, str]:
        """Return at which commit each topic was measured, "unknown" outside a checkout."""
        return {title: str(self.topic(name)["commit"]) for name, title in self.titles.items()}

    def draw(self, folder: Path) -> list[str]:
        """Copy the topics' pictures into ``folder``; return the names of those that a page can show."""
        out: list[str] = []
        for name in self.titles:
            for picture in self.topic(name)["pictures"]:
                shutil.copyfile(self.kept / name / picture, folder / picture)
                out.append(picture)
        return [name for name in out if name.endswith((".png", ".jpg"))]

    def main(self, arguments: Sequence[str] | None = None) -> None:
        """Measure topics that are not kept yet."""
        parser = argparse.ArgumentParser(description="Measure topics that are not kept yet.")
        parser.add_argument(
            "topics", nargs="+", choices=tuple(self.titles), metavar="TOPIC", help=", ".join(self.titles)
        )
        for name in parser.parse_args(arguments).topics:
            say(
                f"{name}: {len(self.topic(name)['figures'])} figures in {self.topic(name)['cpu_s']} s of processor time"
            )


def say(text: str) -> None:
    """Tell the person at the terminal, with the time of day."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
