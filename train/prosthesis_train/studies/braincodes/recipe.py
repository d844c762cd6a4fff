"""All topics of brain codes on one page: ``prosthesis results braincodes``.

Each topic is measured by itself, ``python -m prosthesis_train.studies.braincodes.recipe TOPIC``, and kept below
``runs/braincodes``: a topic found there is not measured again, so the page can be made in parts and after a power cut.
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from prosthesis.results import Figure, Recipe, provenance

KEPT = Path("runs/braincodes")
TOPICS = {
    "bijections": "maps",
    "recordings": "recordings",
    "controls": "score card",
    "evolution": "evolution",
    "modalities": "two modalities",
    "finetuning": "fine-tuning",
    "textures": "textures",
    "writing": "write path",
}


def topic(name: str) -> dict[str, Any]:
    """Return a topic's kept figures and pictures, measured now if there are none."""
    folder = KEPT / name
    path = folder / "figures.json"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(1)
        module = importlib.import_module(f"prosthesis_train.studies.braincodes.{name}")
        began = time.process_time()
        figures = [asdict(figure) for figure in module.measure(_say)]
        pictures = list(module.draw(folder)) if hasattr(module, "draw") else []
        spent = round(time.process_time() - began)
        content = {"figures": figures, "pictures": pictures, "cpu_s": spent, "commit": provenance()["commit"]}
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def measure() -> list[Figure]:
    """Return the figures of every topic, each named after it."""
    out = []
    for name, title in TOPICS.items():
        out += [replace(figure, name=f"{title}: {figure.name}") for figure in map(_figure, topic(name)["figures"])]
    return out


def draw(folder: Path) -> list[str]:
    """Copy the topics' pictures into ``folder``."""
    out: list[str] = []
    for name in TOPICS:
        for picture in topic(name)["pictures"]:
            shutil.copyfile(KEPT / name / picture, folder / picture)
            out.append(picture)
    return [name for name in out if name.endswith((".png", ".jpg"))]


def _figure(content: dict[str, Any]) -> Figure:
    return Figure(**content)


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


RECIPE = Recipe(
    "Brain codes: reading, writing, and the map between",
    "Simulated brains are frozen: drawn from a seed, with the digest of what was drawn pinned in a test. Latent error "
    "is the mean squared error of decoded codes as a share of their variance: 1 is what their mean would get. Encoding "
    "r is Pearson's r between expected and measured rates of a site over test pictures, averaged over sites. "
    "Stimulation can only raise activity and cannot address co-located units of different tuning apart. *Decoding* is "
    "of codes, *identification* picks from candidates, *reconstruction* makes a picture.",
    measure,
    draw,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure topics that are not kept yet."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("topics", nargs="+", choices=tuple(TOPICS), metavar="TOPIC", help=", ".join(TOPICS))
    for name in parser.parse_args(arguments).topics:
        _say(f"{name}: {len(topic(name)['figures'])} figures in {topic(name)['cpu_s']} s of processor time")


if __name__ == "__main__":
    main()
