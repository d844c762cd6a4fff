"""Published times against estimated ranges: ``prosthesis results estimate``, or a topic of another page."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from prosthesis.results import Figure, Recipe
from prosthesis_export.estimate.fit import expected, ratios
from prosthesis_export.estimate.published import CPU, CPU_TEST, FIT, LANES, SEEN, THOR, THOR_TEST, UNSEEN, Measured

GROUPS: dict[str, tuple[Measured, ...]] = {
    "fit": FIT,
    "fit of boards without tensor cores": LANES,
    "fit of Thor": THOR,
    "fit of plain cores": CPU,
    "held out, seen while the form was chosen": SEEN,
    "held out, first seen when all was fixed": UNSEEN,
    "held out, Thor": THOR_TEST,
    "held out, plain cores": CPU_TEST,
}
COLOURS = ("#3b6fb6", "#7fa8d9", "#2b8a8a", "#9a9a9a", "#d98c2b", "#b0303a", "#14524f", "#5a5a5a")


def measure(say: Callable[[str], None]) -> list[Figure]:
    """Return for each group its worst errors and how many times its ranges held, then every published time."""
    say("estimates of published times")
    return [*_summary(), *(_figure(group, item) for group, items in GROUPS.items() for item in items)]


def draw(folder: Path) -> list[str]:
    """Draw estimated against published times into ``folder``; return the picture's name."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(6.5, 6), layout="constrained")
    axis = canvas.subplots()
    ends = np.array([0.25, 600.0])
    axis.fill_between(ends, ends / 1.4, ends / 0.7, color="#eeeeee", label="inside the printed range")
    axis.plot(ends, ends, color="#bbbbbb", linewidth=0.8)
    for (group, items), colour in zip(GROUPS.items(), COLOURS, strict=True):
        times = [item.ms for item in items]
        axis.scatter(times, times * ratios(items), s=14, color=colour, label=group)
    axis.set(xscale="log", yscale="log", xlabel="published, ms", ylabel="estimated, ms", xlim=ends, ylim=ends)
    axis.legend(fontsize=7, frameon=False)
    canvas.savefig(folder / "estimate.png", dpi=120)
    return ["estimate.png"]


def _summary() -> list[Figure]:
    out = []
    for group, items in GROUPS.items():
        found = 100 * (ratios(items) - 1)
        inside = sum(item.ms in expected(item) for item in items)
        out.append(
            Figure(
                f"{group}: times inside the printed range",
                inside,
                f"of {len(items)}",
                float(found.min()),
                float(found.max()),
                "least and greatest error of the middle estimate in %",
            )
        )
    return out


def _figure(group: str, item: Measured) -> Figure:
    found = expected(item)
    held = "inside" if item.ms in found else "OUTSIDE"
    name = f"{group}: {item.network}, {item.board}, {item.mode}, {item.precision}"
    return Figure(name, found.middle, "ms", found.low, found.high, f"range; published {item.ms:.4g} ms, {held}")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _measure() -> Sequence[Figure]:
    return measure(_say)


RECIPE = Recipe(
    "Estimated times of networks on boards against published ones",
    "Twelve times of the Orin Nano were fitted to, and few more for boards of other families; all others are held out. "
    "Of those, 45 were looked at while the form of the model was chosen, and 27 only when everything was fixed. Thor "
    "was twice as fast as estimated then; it got a factor of its own from three of its nine times. "
    "Times are others', not ours, except those of plain cores; where a source does not tell the power mode, the "
    "fastest is assumed. The seven times outside are all of MobileNetV3.",
    _measure,
    draw,
)
