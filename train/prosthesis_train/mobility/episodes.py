"""Walks on held-out maps, paired: every walker meets the same starts under the same exposure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from prosthesis_train.mobility.agent import Walker, decide, feelings
from prosthesis_train.mobility.arena import U8, Arena, Moved, Sight
from prosthesis_train.mobility.expert import COLUMNS as LOOKS
from prosthesis_train.mobility.expert import choose, obstacles
from prosthesis_train.mobility.protocol import (
    NEW_GROUND,
    STEP_TICS,
    TEST_STARTS,
    TEST_STEPS,
    UNITS_PER_M,
)
from prosthesis_train.mobility.sights import exposed, exposures
from prosthesis_train.mobility.starts import Place, starts

KEPT = Path("runs/tasks/mobility/starts")
STEP_S = STEP_TICS / 35
Decide = Callable[[U8, Sight, int, bool], int]


@dataclass(frozen=True, slots=True)
class Walk:
    """What one walk amounts to.

    ``collisions`` are steps with a contact, ``bumps`` those that follow a free one; ``ground`` counts cells of 1.5 m
    walked on, ``cells_s`` the seconds to each new one; ``path`` holds x, y and contact of every step.
    """

    map: str
    start: int
    steps: int
    collisions: int
    bumps: int
    walked_m: float
    ground: int
    cells_s: tuple[float, ...]
    path: tuple[tuple[float, float, int], ...]


def test_starts(name: str) -> list[Place]:
    """Return the fixed starts of a held-out map, found once and kept."""
    path = KEPT / f"{name}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        arena = Arena(name)
        path.write_text(json.dumps(starts(arena, TEST_STARTS, seed=9_000)), encoding="utf-8")
        arena.close()
    return [(x, y, angle) for x, y, angle in json.loads(path.read_text(encoding="utf-8"))]


def walk(arena: Arena, name: str, start: int, decider: Decide, watch: Callable[[U8], None] | None = None) -> Walk:
    """Return one walk from one of the fixed starts; ``watch`` gets the frames between decisions, as exposed."""
    arena.start(*test_starts(name)[start])
    light = exposures(TEST_STARTS, sum(map(ord, name)))[start]
    last, moves = 0, list[Moved]()
    film = None if watch is None else lambda rgb: watch(exposed(rgb, light))
    for _ in range(TEST_STEPS):
        if arena.over:
            break
        sight = arena.look()
        last = decider(exposed(sight.rgb, light), sight, last, bool(moves) and moves[-1].contact)
        moves.append(arena.step(last, watch=film))
    return summary(name, start, moves)


def summary(name: str, start: int, moves: list[Moved]) -> Walk:
    """Return what the steps of a walk amount to."""
    contact = np.array([move.contact for move in moves], bool)
    seen: dict[tuple[int, int], float] = {}
    for k, move in enumerate(moves):
        seen.setdefault((int(move.x // NEW_GROUND), int(move.y // NEW_GROUND)), round((k + 1) * STEP_S, 2))
    return Walk(
        map=name,
        start=start,
        steps=len(moves),
        collisions=int(contact.sum()),
        bumps=int((contact & ~np.concatenate([[False], contact[:-1]])).sum()),
        walked_m=round(sum(move.walked for move in moves) / UNITS_PER_M, 2),
        ground=len(seen),
        cells_s=tuple(seen.values()),
        path=tuple((round(m.x, 1), round(m.y, 1), int(m.contact)) for m in moves),
    )


def by_expert() -> Decide:
    """Return the expert itself."""
    return lambda rgb, sight, last, bumped: choose(obstacles(sight, LOOKS), last, bumped)


class ByWalker:
    """A walker's decisions; ``begin`` before each walk, for it remembers what it saw a step before.

    What it draws depends on its seed, the map and the start alone.
    """

    def __init__(self, net: Walker, look: Callable[[U8, Sight], U8], seed: int) -> None:
        self._net, self._look, self._seed = net, look, seed
        self._before: U8 | None = None

    def begin(self, name: str, start: int) -> None:
        """Forget the last walk."""
        self._before = None
        self._random = np.random.default_rng([self._seed, sum(map(ord, name)), start])

    def __call__(self, rgb: U8, sight: Sight, last: int, bumped: bool) -> int:
        """Return the action for what is seen now."""
        now = self._look(rgb, sight)
        before = now if self._before is None else self._before
        self._before = now
        feels = feelings(np.array([last]), np.array([bumped]))
        return int(decide(self._net, now[None], before[None], feels, self._random)[0])


def save(walks: list[Walk], path: Path) -> None:
    """Write walks as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(w) for w in walks]), encoding="utf-8")


def load(path: Path) -> list[Walk]:
    """Read walks."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return [Walk(**(w | {"cells_s": tuple(w["cells_s"]), "path": tuple(map(tuple, w["path"]))})) for w in found]
