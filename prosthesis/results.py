"""Figures that people quote: a committed recipe measures, writes JSON, and the page is made from the JSON alone.

A recipe is a function of no arguments returning ``Figure`` rows, found by name in the entry-point group
``prosthesis.results``.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np

import prosthesis
from prosthesis.errors import ProsthesisError

GROUP = "prosthesis.results"
PACKAGES = ("numpy", "pyzmq", "onnxruntime", "opencv-python-headless", "numba", "cryptography")


@dataclass(frozen=True, slots=True)
class Figure:
    """One quotable number: ``value`` in ``unit``, the interval ``low``..``high`` of ``interval`` (how it was got).

    With a ``grid`` the page has it in the table of that title, at ``row`` and ``column``, and not in the list.
    """

    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    interval: str = ""
    seed: int | None = None
    grid: str = ""
    row: str = ""
    column: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What ``prosthesis results NAME`` runs: a title, what it shows, the function that measures, and one that draws.

    ``draw`` writes pictures into the folder it is given and returns their names. ``commits`` returns, where parts were
    measured before and kept, at which commit each was.
    """

    title: str
    summary: str
    measure: Callable[[], Sequence[Figure]]
    draw: Callable[[Path], Sequence[str]] | None = None
    commits: Callable[[], Mapping[str, str]] = dict


def recipes() -> dict[str, Any]:
    """Return the entry points of all recipes by name, not yet loaded."""
    return {point.name: point for point in entry_points(group=GROUP)}


def make_results(name: str, folder: Path) -> Path:
    """Run recipe ``name`` and write ``NAME.json`` and ``NAME.md`` into ``folder``; return the JSON's path.

    Raises ``ProsthesisError`` when there is no such recipe.
    """
    known = recipes()
    if name not in known:
        raise ProsthesisError(f"no recipe '{name}'; there are: {', '.join(sorted(known)) or 'none'}")
    recipe: Recipe = known[name].load()
    content = {
        "name": name,
        "title": recipe.title,
        "summary": recipe.summary,
        "command": f"prosthesis results {name}",
        "made": provenance(),
        "figures": [asdict(figure) for figure in recipe.measure()],
    }
    folder.mkdir(parents=True, exist_ok=True)
    content["pictures"] = list(recipe.draw(folder)) if recipe.draw else []
    content["commits"] = dict(recipe.commits())
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(page(content), encoding="utf-8")
    return path


def provenance() -> dict[str, Any]:
    """Return when, where and with what figures were made."""
    return {
        "date": datetime.date.today().isoformat(),
        "commit": _commit(),
        "prosthesis": prosthesis.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def page(content: dict[str, Any]) -> str:
    """Return the Markdown page of one results file."""
    made = content["made"]
    listed = [f for f in content["figures"] if not f.get("grid")]
    grids = dict.fromkeys(f["grid"] for f in content["figures"] if f.get("grid"))
    lines = [
        f"# {content['title']}",
        "",
        content["summary"],
        "",
        "| figure | value | interval |",
        "|---|---|---|",
        *(f"| {f['name']} | {_number(f['value'])} {f['unit']} | {_interval(f)} |" for f in listed),
        "",
        *(line for title in grids for line in _grid(title, [f for f in content["figures"] if f.get("grid") == title])),
        *(f"![{content['title']}]({name})\n" for name in content.get("pictures", ())),
        f"Made on {made['date']} by `{content['command']}` at commit {made['commit']} on {made['machine']}, "
        f"Python {made['python']}, " + ", ".join(f"{k} {v}" for k, v in made["packages"].items()) + ".",
        *_measured(content.get("commits", {})),
        "",
    ]
    return "\n".join(lines)


def _measured(commits: Mapping[str, str]) -> list[str]:
    """Return the line on parts that were kept, if any were."""
    parts = (f"{part} at {commit}" for part, commit in commits.items())
    return ["", f"Parts are measured one by one and kept: {', '.join(parts)}."] if commits else []


def _grid(title: str, figures: Sequence[dict[str, Any]]) -> list[str]:
    """Return one grid's lines; a figure's interval stands beside it in brackets."""
    columns = dict.fromkeys(f["column"] for f in figures)
    cells = {(f["row"], f["column"]): f for f in figures}
    lines = [f"## {title}", "", f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    rows = dict.fromkeys(f["row"] for f in figures)
    lines += [f"| {row} | {' | '.join(_cell(cells.get((row, column))) for column in columns)} |" for row in rows]
    return [*lines, ""]


def _cell(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return ""
    spread = "" if figure["low"] is None else f" [{_number(figure['low'])}, {_number(figure['high'])}]"
    return f"{_number(figure['value'])}{spread}"


def _interval(figure: dict[str, Any]) -> str:
    if figure["low"] is None:
        return figure["interval"] or ""
    return f"{_number(figure['low'])} to {_number(figure['high'])} ({figure['interval']})"


def _number(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else str(value)


def _commit() -> str:
    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
