"""Where walks begin: places that a wanderer reached, with ground before them that the expert can walk."""

from __future__ import annotations

import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis_train.mobility.arena import Arena
from prosthesis_train.mobility.expert import COLUMNS, choose, obstacles
from prosthesis_train.mobility.protocol import ACTIONS, NEW_GROUND

Place = tuple[float, float, float]
WANDER, WANDERERS = 800, 5  # steps; the next sets out where the last trial ended, if there are too few starts
TRY, GROUND = 40, 8  # steps of a trial, and cells of new ground that it must reach
NOISE = 0.3


def starts(arena: Arena, n: int, seed: int) -> list[Place]:
    """Return ``n`` starts x, y, angle_deg, the same for every walker; raise ``ProsthesisError`` in a map without room.

    The wanderer opens doors; a walk begins in the untouched map, so a start may be behind a door that is shut again.
    """
    random, out = np.random.default_rng(seed), list[Place]()
    for _ in range(WANDERERS):
        reached, tried = _wander(arena, random), list(out)  # a place that failed may do in another direction
        for k in random.permutation(len(reached)):
            place = (*reached[k][:2], float(random.uniform(0, 360)))
            if all(np.hypot(place[0] - x, place[1] - y) > NEW_GROUND for x, y, _ in tried):
                tried.append(place)
                out += [place] if _has_room(arena, place) else []
            if len(out) == n:
                return out
    raise ProsthesisError(f"found only {len(out)} starts of {n}; choose a map with more room")


def _wander(arena: Arena, random: np.random.Generator) -> list[Place]:
    out, last, bumped = list[Place](), 0, False
    for _ in range(WANDER):
        if arena.over:
            arena.start(*out[0])
        wanted = choose(obstacles(arena.look(), COLUMNS), last, bumped)
        last = int(random.integers(len(ACTIONS))) if random.random() < NOISE else wanted
        moved = arena.step(last, use=bumped)
        bumped = moved.contact
        if not arena.over:
            out.append(arena.place)
    return out


def _has_room(arena: Arena, place: Place) -> bool:
    arena.start(*place)
    last, bumped, cells = 0, False, set()
    for _ in range(TRY):
        last = choose(obstacles(arena.look(), COLUMNS), last, bumped)
        moved = arena.step(last)
        if arena.over:
            return False
        bumped = moved.contact
        cells.add((moved.x // NEW_GROUND, moved.y // NEW_GROUND))
    return len(cells) >= GROUND
