"""A run's report: one HTML page that needs no other file, with curves, sample grids, alarms and settings."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from prosthesis_train.training.run import read_log

CURVES = (
    ("losses", ("loss_d", "loss_g")),
    ("D(x) and D(G(z))", ("real", "fake")),
    ("gradient norm of G", ("grad_g",)),
    ("diversity of generated over real pictures", ("diversity",)),
    ("losses of pictures and keypoints", ("loss_pixels", "loss_points", "loss_jacobians")),
    ("losses through the patients", ("loss_task", "loss_picture")),
    ("share that the trained observer reads", ("read",)),
    ("charge over that of a white map", ("charge",)),
)
GRIDS = 6


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a run's folder from its log and grids; returns its path."""
    entries = read_log(folder)
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    parts = [
        f"<h1>{html.escape(folder.name)}</h1>",
        f"<p><code>{html.escape(settings['command'])}</code>, commit {html.escape(settings['commit'][:12])}</p>",
        f"<h2>Curves</h2><img src='{_curves(entries)}'>",
        "<h2>Alarms</h2>" + _alarms(entries),
        "<h2>Samples</h2>" + "".join(_grids(folder)),
        f"<h2>Settings</h2><pre>{html.escape(json.dumps(settings, indent=2))}</pre>",
    ]
    page = folder / "report.html"
    style = "body{font-family:sans-serif;max-width:70em;margin:2em auto}img{max-width:100%}figure{display:inline-block}"
    text = f"<!doctype html><meta charset='utf-8'><title>{html.escape(folder.name)}</title><style>{style}</style>"
    page.write_text(text + "\n".join(parts) + "\n", encoding="utf-8")
    return page


def _curves(entries: Sequence[dict[str, Any]]) -> str:
    figure = Figure(figsize=(11, 6), layout="constrained")
    logged = {name for entry in entries for name in entry}
    shown = [curve for curve in CURVES if logged & set(curve[1])]
    for axes, (title, names) in zip(figure.subplots(2, 2).flat, shown, strict=False):
        for name in names:
            course = [(e["step"], e[name]) for e in entries if name in e]
            if course:
                axes.plot(*zip(*course, strict=True), label=name, linewidth=1)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("step")
        axes.legend(fontsize=8) if len(names) > 1 and entries else None
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=90)
    return _inline(file.getvalue())


def _alarms(entries: Sequence[dict[str, Any]]) -> str:
    lines = [f"<li>step {e['step']}: <b>{e['alarm']}</b>: {html.escape(e['seen'])}" for e in entries if "alarm" in e]
    rests = sum("rests" in e for e in entries)
    if rests:
        lines.append(f"<li>the balance rule let a network rest in {rests} of {len(entries)} logged steps")
    return f"<ul>{''.join(lines)}</ul>" if lines else "<p>None.</p>"


def _grids(folder: Path) -> list[str]:
    """Return the newest grid and some evenly from the start."""
    files = sorted((folder / "samples").glob("*.png"))
    step = max(1, -(-len(files) // GRIDS))
    chosen = files[::-1][::step][:GRIDS][::-1]
    return [
        f"<figure><img src='{_inline(f.read_bytes())}'><figcaption>step {int(f.stem)}</figcaption></figure>"
        for f in chosen
    ]


def _inline(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
