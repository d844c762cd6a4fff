"""Drawings for people: an array's contacts, its place on the tissue, and its phosphenes in the visual field.

Each returns a matplotlib figure to be saved with ``savefig``. Blue dots and orange crosses tell apart what works and
what does not, also for readers who see no difference between red and green.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.errors import ProsthesisError

F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
ToTissue = Callable[[F64, F64], tuple[F64, F64]]

# Okabe & Ito's colours
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8c8c8c"
MOST_NUMBERS = 128
RINGS_DEG = (0.5, 1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 60, 80)


def draw_array(x_um: F64, y_um: F64, area_um2: F64, depth_um: F64, title: str) -> Any:
    """Draw one array's contacts to scale, as discs of their areas, with their numbers; darker ones lie deeper."""
    figure, axes = _figure(title, "x (mm)", "y (mm), up with the visual field")
    x_mm, y_mm, radius_mm = x_um * 1e-3, y_um * 1e-3, np.sqrt(area_um2 / np.pi) * 1e-3
    relative = (depth_um - depth_um.min()) / max(float(np.ptp(depth_um)), 1.0)
    _discs(axes, x_mm, y_mm, radius_mm, 0.4 + 0.6 * relative if np.ptp(depth_um) else np.full(len(x_um), 0.8))
    _number(axes, x_mm, y_mm, np.arange(len(x_um)))
    _frame(axes, x_mm, y_mm, float(radius_mm.max()))
    size, depth = _range(2e3 * radius_mm), _range(depth_um)
    axes.set_title(f"{len(x_um)} contacts of {size} um across (as discs of equal area), {depth} um deep", fontsize=9)
    return figure


def draw_on_tissue(u_mm: F64, v_mm: F64, inside: Mask, to_tissue: ToTissue, title: str, half_field: str) -> Any:
    """Draw placed contacts on the flattened tissue, under lines of equal eccentricity and polar angle.

    ``to_tissue`` maps x_deg, y_deg to u_mm, v_mm; ``half_field`` is the "left" or "right" one that a hemisphere sees,
    "both" for a retina.
    """
    figure, axes = _figure(title, "u (mm) along the horizontal meridian", "v (mm), up with the visual field")
    _frame(axes, u_mm, v_mm)
    for label, x_deg, y_deg, style in _field_lines(half_field):
        _line(axes, *to_tissue(x_deg, y_deg), label, style)
    _contacts(axes, u_mm, v_mm, inside, "in the map", "outside the map: no phosphene", np.arange(len(u_mm)))
    return figure


def draw_phosphenes(x_deg: F64, y_deg: F64, radius_deg: F64, works: Mask, title: str) -> Any:
    """Draw the phosphene map in the visual field, each at its size; NaN places are left out, with their number.

    ``works`` bool[n] is False for electrodes that evoke nothing: crosses.
    """
    figure, axes = _figure(title, "x (degrees), right of where one looks", "y (degrees), above where one looks")
    known = np.isfinite(x_deg) & np.isfinite(y_deg)
    seen = known & works
    # the place one looks at belongs to the map
    widest = float(radius_deg[seen].max()) if seen.any() else 0.0
    _frame(axes, np.append(x_deg[known], 0.0), np.append(y_deg[known], 0.0), widest)
    turn = np.deg2rad(np.linspace(-90, 270, 361))
    for ring in RINGS_DEG:
        _line(axes, ring * np.cos(turn), ring * np.sin(turn), f"{ring:g}\u00b0", "-")
    axes.axhline(0, color=GREY, linewidth=0.6, linestyle=":")
    axes.axvline(0, color=GREY, linewidth=0.6, linestyle=":")
    _discs(axes, x_deg[seen], y_deg[seen], radius_deg[seen], np.full(int(seen.sum()), 0.35))
    _contacts(axes, x_deg[known], y_deg[known], works[known], "phosphenes", "evoke nothing", np.flatnonzero(known))
    if (lost := int((~known).sum())) > 0:
        axes.set_title(f"{lost} of {len(x_deg)} electrodes have no place in the visual field", fontsize=9)
    return figure


def _matplotlib(part: str) -> Any:
    try:
        return importlib.import_module(f"matplotlib.{part}")
    except ImportError as error:
        raise ProsthesisError("drawings need matplotlib; run: pip install 'prosthesis[sim]'") from error


def _figure(title: str, x_label: str, y_label: str) -> tuple[Any, Any]:
    figure = _matplotlib("figure").Figure(figsize=(7, 7), layout="constrained")
    axes = figure.add_subplot()
    axes.set_aspect("equal")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    figure.suptitle(title)
    figure.supxlabel("simulation, not a medical device", fontsize=6, color="#505050")
    return figure, axes


def _range(values: F64) -> str:
    low, high = f"{values.min():.0f}", f"{values.max():.0f}"
    return low if low == high else f"{low} to {high}"


def _discs(axes: Any, x: F64, y: F64, radius: F64, opacity: F64) -> None:
    circle, colours = _matplotlib("patches").Circle, _matplotlib("colors")
    patches = [circle(place, r) for place, r in zip(zip(x, y, strict=True), radius, strict=True)]
    filled = [colours.to_rgba(BLUE, alpha) for alpha in opacity]
    axes.add_collection(_matplotlib("collections").PatchCollection(patches, facecolors=filled, edgecolor=BLUE, lw=0.4))


def _contacts(axes: Any, x: F64, y: F64, good: Mask, yes: str, no: str, index: npt.NDArray[np.int64]) -> None:
    """Mark contacts: dots where ``good``, crosses where not, both in the legend with their counts."""
    axes.scatter(x[good], y[good], s=6, color=BLUE, marker="o", label=f"{int(good.sum())} {yes}", zorder=3)
    if not good.all():
        axes.scatter(x[~good], y[~good], s=20, color=ORANGE, marker="x", label=f"{int((~good).sum())} {no}", zorder=3)
    axes.legend(loc="upper right", fontsize=8)
    _number(axes, x, y, index)


def _number(axes: Any, x: F64, y: F64, index: npt.NDArray[np.int64]) -> None:
    """Write each electrode's index beside it, counted from 0 as everywhere; only every k-th of very many."""
    step = -(-len(x) // MOST_NUMBERS) or 1
    size, outlined = (
        8 if len(x) <= 64 else 5,
        [_matplotlib("patheffects").withStroke(linewidth=1.5, foreground="white")],
    )
    for i in range(0, len(x), step):
        where = {"xytext": (2, 2), "textcoords": "offset points", "annotation_clip": True}
        axes.annotate(str(index[i]), (x[i], y[i]), fontsize=size, path_effects=outlined, zorder=4, **where)


def _line(axes: Any, x: F64, y: F64, label: str, style: str) -> None:
    """Draw a line behind all else, labelled where it last is in view."""
    axes.plot(x, y, color=GREY, linewidth=0.7, linestyle=style, zorder=1, scalex=False, scaley=False)
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    in_view = np.flatnonzero((x > left) & (x < right) & (y > low) & (y < high))
    if len(in_view):
        last = in_view[-1]
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.annotate(label, (x[last], y[last]), fontsize=7, color="#505050", ha="center", va="center", bbox=box)


def _frame(axes: Any, x: F64, y: F64, beyond: float = 0.0) -> None:
    """Show a square with all the contacts, ``beyond`` round them and a tenth to spare."""
    half = 0.55 * max(float(np.ptp(x)), float(np.ptp(y)), 0.1) + beyond
    for limit, values in ((axes.set_xlim, x), (axes.set_ylim, y)):
        middle = (float(values.min()) + float(values.max())) / 2
        limit(middle - half, middle + half)


def _field_lines(half_field: str) -> list[tuple[str, F64, F64, str]]:
    """Return label, x_deg, y_deg and style of lines of equal eccentricity, unbroken, and of equal angle, dotted."""
    side = -1.0 if half_field == "left" else 1.0
    turn = 180.0 if half_field == "both" else 90.0
    angle = np.deg2rad(np.linspace(-turn, turn, 181))
    lines = [(f"{r:g}\u00b0", side * r * np.cos(angle), r * np.sin(angle), "-") for r in RINGS_DEG]
    r = np.geomspace(0.01, RINGS_DEG[-1], 2000)
    for degrees in np.arange(-turn, turn + 1, 22.5 if turn == 90 else 45):
        a = np.deg2rad(degrees)
        lines.append((f"{degrees:+g}\u00b0 angle", side * r * np.cos(a), r * np.sin(a), ":"))
    return lines
