"""One cell: its key, and the row that measuring it makes. A pure function of the cell's text and the code."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import time
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import prosthesis
import prosthesis_sim
import prosthesis_train
from prosthesis.bundles.bundle import load_bundle
from prosthesis.config import LinkConfig, TaskConfig, find, load_rig, names
from prosthesis.errors import ConfigError
from prosthesis.yamlfile import load_model
from prosthesis_sim.patient import load_world
from prosthesis_train.study.plan import Carried, Cell, decode

Row = dict[str, Any]
# what a row is made by: these decide figures
CODE = (".py", ".yaml", ".json")
# columns that differ from one run to the next, and say nothing about the result
VOLATILE = ("cpu_s", "machine")


def key_of(cell: Cell) -> str:
    """Return the cell's name: of its parameters, of what the files they name say, and of this code.

    Raises ``ConfigError`` when a file is missing or wrong.
    """
    text = json.dumps([json.loads(cell.encode()), _named(cell.rig, cell.link, cell.encoder), code_digest()])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def row_of(text: str, key: str) -> Row:
    """Measure the cell whose ``encode`` is ``text``; a failure is a row too, with its ``error`` in one line.

    Figures and their meaning are those of ``carried.carry`` or ``recognised.recognise``.
    ``key`` is what the asker calls it: a machine with other code or other files must not answer.
    """
    cell = decode(text)
    began = time.process_time()
    figures: dict[str, float] = {}
    error = None
    try:
        if key_of(cell) != key:
            raise ConfigError("this machine has other code or other hardware files than the one that asks")
        figures = _measured(cell)
    except Exception as problem:  # whatever it is belongs to this cell, and the others must still be measured
        error = " ".join(f"{type(problem).__name__}: {problem}".split())
    return (
        {"key": key}
        | cell.described()
        | {name: None if math.isnan(value) else value for name, value in figures.items()}
        | {"error": error}
        | _provenance()
        | {"cpu_s": round(time.process_time() - began, 3), "machine": platform.node()}
    )


def _measured(cell: Cell) -> dict[str, float]:
    settings = cell.settings()
    if isinstance(settings, Carried):
        from prosthesis_train.study.carried import carry

        return carry(cell, settings)
    from prosthesis_train.study.recognised import recognise

    return recognise(cell, settings)


@lru_cache(maxsize=256)
def _named(rig_name: str, link: str, encoder: str) -> str:
    """Return the digest of what a cell names; the patient follows from world and number."""
    rig = load_rig(rig_name, uncalibrated=True)
    said = (
        rig.config.model_copy(update={"calibration": ""}),
        rig.array,
        rig.stimulator,
        load_world(rig.config.world, rig.path.parent),
        *([load_model(LinkConfig, find("links", link))] if link else []),
    )
    parts = [part.model_dump_json() for part in said] + _encoder(encoder)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _encoder(name: str) -> list[str]:
    if name in ("plain", "fitted") or ":" in name:  # of tasks/under_test.py: code
        return []
    if name.endswith(".npz"):  # glyphs
        try:
            return [hashlib.sha256(Path(name).read_bytes()).hexdigest()]
        except OSError as error:
            raise ConfigError(f"encoder '{name}': cannot be read ({error.strerror}); check the path") from error
    if name in names("tasks") or name.endswith((".yaml", ".yml")):
        return [load_model(TaskConfig, find("tasks", name)).model_dump_json()]
    return [graph.sha256 for graph in load_bundle(name).manifest.graphs]


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Return the digest of all code, manifests and tables of the device, the world and the desk."""
    digest = hashlib.sha256()
    for package in (prosthesis, prosthesis_sim, prosthesis_train):
        root = Path(package.__file__ or "").parent
        for path in sorted(root.rglob("*")):
            if path.suffix in CODE and path.is_file():
                digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=1)
def _provenance() -> dict[str, str]:
    packages = {name.replace("-", "_"): version(name) for name in ("numpy", "onnxruntime")}
    return {"code": code_digest(), "prosthesis": prosthesis.__version__, "python": platform.python_version()} | packages
