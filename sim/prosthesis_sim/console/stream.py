"""What a browser is sent: the newest of everything as soon as it has drawn the last, and never more."""

from __future__ import annotations

import time
from typing import Any, Protocol

from prosthesis_sim.console.model import Model
from prosthesis_sim.console.pictures import Part, pack, parts

PICTURES_S = 1 / 15
FIGURES_S = 0.25
MOST_EVENTS = 60


class Feed(Protocol):
    """Where pictures and figures come from: running devices, or a recording."""

    def now_ns(self) -> int:
        """Return the time now as the models count it."""
        ...

    def models(self) -> dict[str, Model]:
        """Return what is known of each side."""
        ...

    def geometry(self) -> tuple[str, dict[str, Any]]:
        """Return a word that changes when places do, and each side's places."""
        ...

    def status(self) -> dict[str, Any]:
        """Return what was chosen and what goes on, ready for JSON."""
        ...


class Board:
    """The newest parts of a feed, made once for all browsers; each keeps a ``Reader`` of its own."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.parts: dict[tuple[str, str], tuple[int, Part]] = {}
        self.figures: dict[str, Any] = {}
        self.version = self.figured = 0
        self._models: dict[str, Model] = {}
        self._drawn_s = self._figured_s = 0.0

    def refresh(self) -> None:
        """Bring everything up to date, if it is time."""
        now_ns, models = self.feed.now_ns(), self.feed.models()
        if models != self._models:
            self._models = dict(models)
            self.parts = {key: part for key, part in self.parts.items() if key[0] in models}
            self._drawn_s = self._figured_s = 0.0
        now_s = time.monotonic()
        if now_s - self._drawn_s >= PICTURES_S * 0.9:
            self._drawn_s = now_s
            for side, model in models.items():
                for part in parts(model, side, now_ns):
                    self.version += 1
                    self.parts[side, part.about["name"]] = (self.version, part)
        if now_s - self._figured_s >= FIGURES_S:
            self._figured_s = now_s
            figures = {side: model.figures(now_ns) for side, model in models.items()}
            if figures != self.figures:
                self.figures = figures
                self.figured += 1


class Reader:
    """One browser's place in what there is."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._version = self._figured = 0
        self._places = ""
        self._heard: dict[Model, int] = {}
        self._status: dict[str, Any] = {}

    def next(self) -> bytes | None:
        """Return what is new for this browser as one message, ``None`` when nothing is."""
        board = self._board
        head: dict[str, Any] = {}
        word, places = board.feed.geometry()
        if word != self._places:
            self._places, head["geometry"] = word, places
        status = board.feed.status()
        if status != self._status:
            self._status = head["status"] = status
        if self._figured != board.figured:
            self._figured, head["figures"] = board.figured, board.figures
        models = board.feed.models()
        if set(models.values()) != set(self._heard):  # somebody new, or a jump: told again from the beginning
            self._heard, head["forget"] = {}, True
        events = self._events(models)
        if events:
            head["events"] = events
        fresh = [part for version, part in board.parts.values() if version > self._version]
        if not head and not fresh:
            return None
        self._version = board.version
        return pack(head, fresh)

    def _events(self, models: dict[str, Model]) -> list[list[Any]]:
        """Return side, seconds ago, source, level and text of each event not told yet."""
        told: list[list[Any]] = []
        now_ns = self._board.feed.now_ns()
        for side, model in models.items():
            new = min(model.said - self._heard.get(model, 0), MOST_EVENTS, len(model.events))
            if new > 0:
                for t_ns, source, level, text in list(model.events)[-new:]:
                    told.append([side, round((now_ns - t_ns) * 1e-9, 2), source, level, text])
            self._heard[model] = model.said
        return told
