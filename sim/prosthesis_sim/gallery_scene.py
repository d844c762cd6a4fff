"""One patient with one array who is shown the letter E, and the pictures of it that ``gallery.py`` puts on its page."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.config import ArrayConfig, ImplantChoice, find
from prosthesis.layout import contacts, raster_slots
from prosthesis.messages import Delivered
from prosthesis.yamlfile import load_model
from prosthesis_sim.drawing import BLUE, GREY, ORANGE, RINGS_DEG
from prosthesis_sim.electrodes import place
from prosthesis_sim.patient import AxonMapSpread, ChargeTissue, CortexMap, load_world
from prosthesis_sim.screen import sigma_mm
from prosthesis_sim.world import World

F64 = npt.NDArray[np.float64]
PATIENT, TRAIN_S, PAUSE_S, TIMES_THRESHOLD, RASTER_GROUPS = 0, 0.25, 3.75, 2.0, 8
RATE_HZ, WIDTH_US = 300.0, 170.0  # Fernandez 2021, for a world whose thresholds are not of one train


class Scene:
    """One patient with one array who is shown the letter E."""

    def __init__(self, choice: ImplantChoice, world_name: str) -> None:
        self.array = load_model(ArrayConfig, find("implants", choice.array))
        self.placed, config = place(choice, self.array), load_world(world_name)
        self.world = World(config, self.placed, PATIENT)
        self.cortical, person = isinstance(config.retinotopy, CortexMap), self.world.person
        self.slots = raster_slots(self.array, len(choice.placements), RASTER_GROUPS, "checkerboard")
        self.seen, self.lost = person.responsive, person.inside & ~person.responsive
        self.x, self.y, spread = person.x_deg, person.y_deg, config.spread
        if isinstance(config.tissue, ChargeTissue):
            self.width_us, self.rate_hz = WIDTH_US, RATE_HZ
            activation = np.where(self.seen, person.threshold, 0.0)
            train = (np.float64(self.width_us), np.float64(self.rate_hz), np.float64(TRAIN_S))
            self.threshold_ua = config.tissue.build().threshold_ua(*train, activation) * person.scale_ua
        else:
            reference = config.tissue.threshold
            self.width_us, self.rate_hz, self.threshold_ua = (
                reference.pulse_width_us,
                reference.rate_hz,
                person.scale_ua,
            )
        self.streaks = isinstance(spread, AxonMapSpread)
        size_mm = spread.rho_um * 1e-3 if isinstance(spread, AxonMapSpread) else sigma_mm(spread, self.threshold_ua)
        self.radius_deg: F64 = 2 * size_mm / person.mm_per_deg
        x, y = self.x[self.seen], self.y[self.seen]
        self.low, self.high = np.array([x.min(), y.min()]), np.array([x.max(), y.max()])

    def on_letter(self, x_deg: F64, y_deg: F64) -> npt.NDArray[np.bool_]:
        """Return which places lie on an E as large as all the phosphenes together."""
        (across, up) = ((v - a) / (b - a) for v, a, b in zip((x_deg, y_deg), self.low, self.high, strict=True))
        inside = (across >= 0) & (across <= 1) & (up >= 0) & (up <= 1)
        return np.asarray(inside & ((across < 0.25) | (np.floor(np.clip(up, 0, 0.999) * 5) % 2 == 0)))

    def step(self, on: bool) -> None:
        """Stimulate the letter for one train, or pause."""
        lit = self.seen & self.on_letter(self.x, self.y) & on
        amplitude_ua = np.where(lit, TIMES_THRESHOLD * self.threshold_ua, 0.0).astype(np.float32)
        pulses = np.where(lit, round(self.rate_hz * TRAIN_S), 0).astype(np.int32)
        width_us = np.full(len(lit), self.width_us, np.float32)
        dt_ns = round((TRAIN_S if on else PAUSE_S) * 1e9)
        self.world.step(Delivered(1, 0, 0, dt_ns, amplitude_ua, width_us, pulses, self.slots))

    def frame(self, axes: Any, title: str, dark: bool) -> None:
        """Draw what both pictures of the visual field share: rings, the place looked at, and the letter's outline."""
        part = self.world.percept(0, 0, 0)
        centre, half = np.array(part.centre_deg), np.array(part.extent_deg) / 2
        low, high = np.minimum(centre - half, -0.3), np.maximum(centre + half, 0.3)
        middle, side = (low + high) / 2, 1.05 * float((high - low).max()) / 2
        axes.set(xlim=(middle[0] - side, middle[0] + side), ylim=(middle[1] - side, middle[1] + side), aspect="equal")
        axes.set(xlabel="degrees right of where one looks", ylabel="degrees above")
        axes.set_title(title, fontsize=10)
        axes.set_facecolor("black" if dark else "white")
        turn, diagonal = np.linspace(0, 2 * np.pi, 361), np.sqrt(0.5)
        for ring in (r for r in RINGS_DEG if 0.15 * side < r < 3 * side):
            axes.plot(ring * np.cos(turn), ring * np.sin(turn), color=GREY, lw=0.5, zorder=1)
            label = {"fontsize": 6, "color": GREY if dark else "#505050", "clip_on": True, "ha": "center", "zorder": 4}
            axes.text(ring * diagonal, -ring * diagonal, f"{ring:g}\u00b0", **label)
        axes.plot(0, 0, "+", color="white" if dark else "black", ms=9, mew=1.5, zorder=5)
        corners = np.array([[0, 0], [1, 0], [1, 1], [0.25, 1], [0.25, 2], [1, 2], [1, 3], [0.25, 3], [0.25, 4], [1, 4]])
        outline = self.low + np.vstack([corners, [[1, 5], [0, 5], [0, 0]]]) * (self.high - self.low) / (1, 5)
        axes.plot(*outline.T, color=ORANGE, lw=0.8, ls="--", zorder=4)

    def draw_percept(self, axes: Any, title: str) -> tuple[int, float]:
        """Draw what is seen now; return how many phosphenes are, and the image's correlation with the letter."""
        percept = self.world.percept(0, 0, 0)
        (x, y), (wide, high) = percept.centre_deg, percept.extent_deg
        extent = (x - wide / 2, x + wide / 2, y - high / 2, y + high / 2)
        axes.imshow(percept.image, cmap="gray", vmin=0, vmax=1, extent=extent, zorder=0)
        self.frame(axes, title, dark=True)
        rows, columns = percept.image.shape
        across = x + ((np.arange(columns) + 0.5) / columns - 0.5) * wide
        up = y - ((np.arange(rows) + 0.5) / rows - 0.5) * high
        letter = self.on_letter(*np.meshgrid(across, up)).ravel()
        match = np.corrcoef(percept.image.ravel(), letter)[0, 1] if percept.image.any() else 0.0
        return percept.visible, float(match)

    def draw_map(self, axes: Any) -> None:
        """Draw each phosphene at its place and size."""
        _discs(axes, self.x[self.seen], self.y[self.seen], self.radius_deg[self.seen])
        axes.plot(
            self.x[self.lost], self.y[self.lost], "x", color=ORANGE, ms=3 if self.lost.sum() < 60 else 2, zorder=3
        )
        self.frame(axes, f"{self.seen.sum()} phosphenes", dark=False)

    def draw_array(self, axes: Any) -> None:
        """Draw one array's contacts to scale; a thread, whose contacts lie one under the other, from the side."""
        c, depth_um = contacts(self.array), np.asarray(self.array.depths_um)
        thread = len(c.x_um) > 1 and not (np.ptp(c.x_um) or np.ptp(c.y_um))
        x_mm, y_mm = c.x_um * 1e-3, (-depth_um if thread else c.y_um) * 1e-3
        radius_mm = np.sqrt(np.asarray(self.array.areas_um2) / np.pi) * 1e-3
        _discs(axes, x_mm, y_mm, radius_mm)
        half = 0.5 * max(np.ptp(x_mm), np.ptp(y_mm)) + 2.5 * radius_mm.max()
        for limit, at in ((axes.set_xlim, x_mm), (axes.set_ylim, y_mm)):
            limit((at.min() + at.max()) / 2 - half, (at.min() + at.max()) / 2 + half)
        axes.set(aspect="equal", xlabel="mm", ylabel="mm from the surface" if thread else "mm")
        axes.set_title(f"one array: {len(x_mm)} contacts" + (", from the side" if thread else ""), fontsize=10)


def _discs(axes: Any, x: F64, y: F64, radius: F64) -> None:
    circle, collections = importlib.import_module("matplotlib.patches").Circle, "matplotlib.collections"
    patches = [circle(place, r) for place, r in zip(zip(x, y, strict=True), radius, strict=True)]
    style = {"facecolor": BLUE, "edgecolor": BLUE, "lw": 0.5, "alpha": 0.5, "zorder": 2}
    axes.add_collection(importlib.import_module(collections).PatchCollection(patches, **style))
