"""What a study found, for people: means over patients with intervals, as a page and a picture for each measure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from prosthesis_train.study.cell import Row
from prosthesis_train.study.plan import Study

# of each measure, the figures that the page shows; the first two are drawn
HEADLINES = {
    "carried": ("percept_r", "delivered", "age_ms", "charge_uc_per_s"),
    "recognised": ("accuracy", "scrambled", "chance", "charge_uc_per_s"),
}
AXES = ("rig", "encoder", "dropout", "link")
RESAMPLES = 2000
MOST_ERRORS = 10
STYLES = ("-", "--", ":", "-.")


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over ``patients`` (each the mean of its rows), and its 95 % bootstrap interval over them; NaN of one."""

    value: float
    low: float
    high: float
    patients: int


def mean_of(rows: Sequence[Row], figure: str) -> Mean:
    """Return the mean of a figure; rows without it, failed ones among them, are left out."""
    by_patient: dict[int, list[float]] = {}
    for row in rows:
        if row.get(figure) is not None:
            by_patient.setdefault(row["patient"], []).append(row[figure])
    each = np.array([np.mean(values) for values in by_patient.values()])
    if len(each) < 2:
        return Mean(float(each[0]) if len(each) else math.nan, math.nan, math.nan, len(each))
    picks = np.random.default_rng(0).integers(0, len(each), (RESAMPLES, len(each)))
    low, high = np.percentile(each[picks].mean(axis=1), (2.5, 97.5))
    return Mean(float(each.mean()), float(low), float(high), len(each))


def write_report(study: Study, rows: Sequence[Row], folder: Path) -> Path:
    """Write ``summary.md`` and its pictures into ``folder``; return the page's path."""
    page = folder / "summary.md"
    pictures = list(_pictures(rows, folder))
    page.write_text("\n".join(_lines(study, rows, pictures)), encoding="utf-8")
    return page


def _lines(study: Study, rows: Sequence[Row], pictures: Sequence[str]) -> Iterator[str]:
    failed = [row for row in rows if row["error"] is not None]
    yield f"# Study: {study.name}\n\n{study.summary}\n"
    yield f"{len(rows)} cells, {len(failed)} failed; patients {', '.join(map(str, study.patients))}."
    yield "Means are over patients, with 95 % bootstrap intervals over them. All rows: `table.parquet`.\n"
    for (measure, of), of_measure in grouped(rows, ("measure", "of")):
        figures = HEADLINES[measure]
        yield f"## {measure}: {of}\n"
        yield f"| {' | '.join(AXES)} | patients | {' | '.join(figures)} |"
        yield "|" + "---|" * (len(AXES) + 1 + len(figures))
        for place, group in grouped(of_measure, AXES):
            means = [mean_of(group, figure) for figure in figures]
            named = " | ".join("world's own" if part is None else str(part) or "none" for part in place)
            yield f"| {named} | {means[0].patients} | {' | '.join(map(said, means))} |"
        yield ""
    yield from (f"![{name}]({name})\n" for name in pictures)
    if failed:
        yield "## Failed\n\nRun the study again to measure these again.\n"
        for row in failed[:MOST_ERRORS]:
            yield f"- {row['rig']}, {row['encoder']}, patient {row['patient']}, {row['link']}: {row['error']}"
        yield f"- and {len(failed) - MOST_ERRORS} more\n" if len(failed) > MOST_ERRORS else ""
    made = " and ".join(sorted({f"{row['prosthesis']} (code {row['code']})" for row in rows if "code" in row}))
    yield f"Made by prosthesis {made}.\n"


def said(mean: Mean) -> str:
    """Return a mean with its interval, in words."""
    if math.isnan(mean.value):
        return "none"
    interval = "" if math.isnan(mean.low) else f" ({mean.low:.3g} to {mean.high:.3g})"
    return f"{mean.value:.3g}{interval}"


def _pictures(rows: Sequence[Row], folder: Path) -> Iterator[str]:
    for (measure, of), group in grouped(rows, ("measure", "of")):
        name = "-".join(re.findall(r"[A-Za-z0-9]+", f"{measure} {of}")) + ".png"
        draw(group, HEADLINES[measure][:2]).savefig(folder / name, dpi=110)
        yield name


def draw(rows: Sequence[Row], figures: Sequence[str]) -> Figure:
    """Return one panel a figure and rig: a point for each dropout, a colour for each encoder, a dash for each link."""
    rigs = list(dict.fromkeys(row["rig"] for row in rows))
    levels = list(dict.fromkeys(row["dropout"] for row in rows))
    encoders, links = (list(dict.fromkeys(row[name] for row in rows)) for name in ("encoder", "link"))
    canvas = Figure(figsize=(1.5 + 3.2 * len(rigs), 0.8 + 2.8 * len(figures)), layout="constrained")
    panels = canvas.subplots(len(figures), len(rigs), squeeze=False, sharey="row", sharex=True)
    for (line, figure), (column, rig) in ((a, b) for a in enumerate(figures) for b in enumerate(rigs)):
        panel = panels[line][column]
        of_rig = [row for row in rows if row["rig"] == rig]
        series = list(grouped(of_rig, ("encoder", "link")))
        for index, ((encoder, link), group) in enumerate(series):
            means = [mean_of([row for row in group if row["dropout"] == level], figure) for level in levels]
            places = np.arange(len(levels)) + 0.3 * (index / max(len(series) - 1, 1) - 0.5)
            spread = [[m.value - m.low for m in means], [m.high - m.value for m in means]]
            style = {"c": f"C{encoders.index(encoder)}", "ls": STYLES[links.index(link) % len(STYLES)]}
            values, label = [m.value for m in means], ", ".join(filter(None, (encoder, link)))
            panel.errorbar(places, values, np.nan_to_num(spread), marker="o", ms=4, lw=1, label=label, **style)
        panel.set_xticks(range(len(levels)), ["world's own" if level is None else f"{level:g}" for level in levels])
        panel.set_xlabel("dropout" if line == len(figures) - 1 else "")
        panel.set_ylabel(figure if column == 0 else "")
        panel.set_title(rig if line == 0 else "")
    canvas.legend(*panels[0][0].get_legend_handles_labels(), loc="outside right upper", fontsize=8, frameon=False)
    return canvas


def grouped(rows: Sequence[Row], names: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], list[Row]]]:
    """Yield rows by the values they have of ``names``, in order of first appearance."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    yield from groups.items()
