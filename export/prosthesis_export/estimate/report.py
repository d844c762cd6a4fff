"""An estimate in words, as JSON, and as a picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prosthesis.errors import MissingExtraError
from prosthesis_export.estimate.estimate import Estimate
from prosthesis_export.estimate.roofline import Range

MILLI, GIGA = 1e3, 1e-9
BOUNDS = {"compute": "#3b6fb6", "memory": "#d98c2b", "launch": "#8a8a8a"}


def text(estimate: Estimate, rows: int) -> str:
    """Return what the terminal shows: ranges first, then the ``rows`` most expensive layers, then what is uncertain."""
    total = estimate.latency_s.middle
    fits = f"{estimate.fits} ({estimate.usable_bytes * GIGA:.1f} GB to be had)"
    lines = [
        f"{estimate.bundle} on {estimate.board}, mode {estimate.mode}, {estimate.precision}, every graph once a frame",
        f"  latency       {_span(estimate.latency_s, lambda s: s * MILLI)} ms",
        f"  frame rate    {_span(estimate.frames_per_s, lambda f: f)} a second at most",
        f"  energy        {_energy(estimate.energy_j)}",
        f"  memory        {_span(estimate.memory_bytes, lambda b: b * GIGA)} GB; fits: {fits}",
        "",
        f"  {'ms':>8}  {'share':>5}  {'waits for':9}  layer",
    ]
    for file, cost in estimate.dominant(rows):
        share = f"{100 * cost.seconds / total:.0f} %"
        lines.append(f"  {cost.seconds * MILLI:8.3f}  {share:>5}  {cost.bound:9}  {file}: {cost.layer.name}")
    lines += [f"  {name:13} {100 * share:.0f} % of the time" for name, share in bounds(estimate).items()]
    lines += [f"note: {note}" for note in estimate.notes]
    return "\n".join(lines)


def bounds(estimate: Estimate) -> dict[str, float]:
    """Return the share of the time that is spent waiting for ``compute``, ``memory`` and ``launch``."""
    found = dict.fromkeys(BOUNDS, 0.0)
    for graph in estimate.graphs:
        for cost in graph.costs:
            found[cost.bound] += cost.seconds / estimate.latency_s.middle
    return found


def as_json(estimate: Estimate) -> dict[str, Any]:
    """Return everything as plain values; what is not known is null."""
    return {
        "bundle": estimate.bundle,
        "board": estimate.board,
        "mode": estimate.mode,
        "precision": estimate.precision,
        "latency_ms": _plain(estimate.latency_s, MILLI),
        "frames_per_s": _plain(estimate.frames_per_s, 1.0),
        "energy_mj": _plain(estimate.energy_j, MILLI),
        "memory_gb": _plain(estimate.memory_bytes, GIGA),
        "usable_memory_gb": estimate.usable_bytes * GIGA,
        "fits": estimate.fits,
        "bound_by": bounds(estimate),
        "layers": [
            {
                "graph": graph.file,
                "layer": cost.layer.name,
                "kind": cost.layer.kind,
                "operations": cost.layer.operations,
                "ms": cost.seconds * MILLI,
                "bound_by": cost.bound,
            }
            for graph in estimate.graphs
            for cost in graph.costs
        ],
        "notes": list(estimate.notes),
    }


def draw(estimate: Estimate, path: Path) -> None:
    """Draw each layer's share of the time in the order they run, coloured by what it waits for."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch
    except ImportError as missing:
        raise MissingExtraError("pictures need matplotlib; pip install 'prosthesis[sim]'") from missing

    figure = Figure(figsize=(9, 1.2 + 1.6 * len(estimate.graphs)), layout="constrained")
    axes = figure.subplots(len(estimate.graphs), 1, squeeze=False)[:, 0]
    for axis, graph in zip(axes, estimate.graphs, strict=True):
        places = range(len(graph.costs))
        heights = [cost.seconds * MILLI for cost in graph.costs]
        axis.bar(places, heights, width=1.0, color=[BOUNDS[cost.bound] for cost in graph.costs])
        axis.set(title=f"{graph.file}: {graph.seconds * MILLI:.2f} ms", ylabel="ms", xlabel="kernel", xticks=[])
    handles = [Patch(color=colour, label=f"waits for {name}") for name, colour in BOUNDS.items()]
    axes[0].legend(handles=handles, frameon=False, fontsize=8)
    figure.suptitle(f"{estimate.bundle} on {estimate.board}, {estimate.mode}, {estimate.precision}")
    figure.savefig(path, dpi=120)


def _span(value: Range, scale: Callable[[float], float]) -> str:
    return f"{_short(scale(value.low))} to {_short(scale(value.high))}"


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _energy(value: Range) -> str:
    if math.isnan(value.middle):
        return "not estimated for plain processors"
    return f"{_span(value, lambda joule: joule * MILLI)} mJ a frame"


def _plain(value: Range, scale: float) -> dict[str, float] | None:
    if math.isnan(value.middle):
        return None
    return {"low": value.low * scale, "middle": value.middle * scale, "high": value.high * scale}
