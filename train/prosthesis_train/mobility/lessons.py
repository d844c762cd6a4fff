"""Lessons: walks with errors, what was seen on them, and what the expert would have done at every step.

Made once for all encoders and kept below ``runs``. The walker follows the expert but for bursts of random steps, so
that lessons also hold what is seen after an error (noise injection: Laskey et al. 2017).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from prosthesis.errors import ProsthesisError
from prosthesis_train.mobility.arena import F32, U8, Arena
from prosthesis_train.mobility.bars import nearness
from prosthesis_train.mobility.expert import COLUMNS as LOOKS
from prosthesis_train.mobility.expert import choose, obstacles
from prosthesis_train.mobility.flowing import Flowing
from prosthesis_train.mobility.protocol import (
    ACTIONS,
    AGENT_MAPS,
    COLUMNS,
    ENCODER_MAPS,
    ENCODER_STEPS,
    LESSON_STARTS,
    LESSON_STEPS,
    MAP_SIDE,
    NOISE,
)
from prosthesis_train.mobility.sights import (
    CLASSICAL,
    OBSTACLE,
    Exposure,
    classical,
    exposed,
    exposures,
    picture,
    small,
)
from prosthesis_train.mobility.starts import starts

KEPT = Path("runs/tasks/mobility/lessons")
BURST = (1, 4)  # random steps in a row
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Lessons:
    """Steps of walks in order; ``walk`` i64[n] tells them apart.

    ``rgb`` u8[n,64,64,3] and ``maps`` u8[n,4,32,32] (of the classical encoders) as seen under the walk's exposure;
    ``picture`` u8[n,24,24,2]: full vision; ``near`` f32[n,32]: true nearness by direction; ``last`` i64[n]: the action
    before; ``bumped`` bool[n]: whether it touched something; ``wanted`` i64[n]: the expert's action. Where
    the nearness encoder learns ``maps`` is empty; in walks seen anew by ``obstacle`` it is that encoder's one map.
    """

    rgb: U8
    maps: U8
    picture: U8
    near: F32
    last: I64
    bumped: npt.NDArray[np.bool_]
    wanted: I64
    walk: I64


def lessons(names: Sequence[str]) -> Lessons:
    """Return the lessons of maps, made now where there are none."""
    parts = [_kept(name) for name in names]
    joined = {f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Lessons)}
    steps = np.cumsum([0, *(p.walk.max() + 1 for p in parts)])
    joined["walk"] = np.concatenate([p.walk + k for p, k in zip(parts, steps, strict=False)])
    return Lessons(**joined)


def flows(names: Sequence[str]) -> U8:
    """Return the maps u8[n,32,32] of ``obstacle`` along the same walks; raise ``ProsthesisError`` if they differ."""
    parts = [_kept(name, OBSTACLE) for name in names]
    if any(not np.array_equal(p.last, _kept(name).last) for p, name in zip(parts, names, strict=True)):
        raise ProsthesisError(f"{KEPT}: walks for '{OBSTACLE}' are not those of the lessons; make all lessons again")
    return np.concatenate([p.maps[:, 0] for p in parts])


def _kept(name: str, source: str = "") -> Lessons:
    path = KEPT / f"{name}{'-' if source else ''}{source}.npz"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = lesson(name, Flowing() if source else None)
        np.savez(path, **{f.name: getattr(made, f.name) for f in fields(Lessons)})
    with np.load(path, allow_pickle=False) as found:
        return Lessons(**{f.name: found[f.name] for f in fields(Lessons)})


def lesson(name: str, flowing: Flowing | None = None) -> Lessons:
    """Walk through one map and return what was seen and what the expert would have done."""
    steps = LESSON_STEPS if name in AGENT_MAPS else ENCODER_STEPS
    number = (*AGENT_MAPS, *ENCODER_MAPS).index(name)
    arena, random, mapped = Arena(name), np.random.default_rng([1, number]), _mapped(name, flowing)
    rows: dict[str, list[object]] = {f.name: [] for f in fields(Lessons)}
    places, lights = starts(arena, LESSON_STARTS, number), exposures(LESSON_STARTS, number)
    for walk, (place, light) in enumerate(zip(places, lights, strict=True)):
        arena.start(*place)
        last, bumped, bursts = 0, False, _bursts(NOISE[walk % len(NOISE)], random)
        film = _film(flowing, light)
        for _ in range(steps):
            if arena.over:
                break
            sight = arena.look()
            distance, rgb = obstacles(sight, LOOKS), exposed(sight.rgb, light)
            wanted = choose(distance, last, bumped)
            near = nearness(distance.reshape(COLUMNS, -1).min(1))
            row = (small(rgb), mapped(rgb), picture(rgb, sight), near, last, bumped, wanted, walk)
            for key, value in zip(rows, row, strict=True):
                rows[key].append(value)
            burst = next(bursts)
            last = wanted if burst is None else burst
            bumped = arena.step(last, watch=film).contact
    arena.close()
    return Lessons(**{key: np.asarray(values) for key, values in rows.items()})


def _mapped(name: str, flowing: Flowing | None) -> Callable[[U8], U8]:
    """Return what makes the maps u8[k,32,32] that are kept of a frame."""
    encoders = classical()

    def maps(rgb: U8) -> U8:
        its = [flowing.map()] if flowing else [encoders[k](rgb) for k in CLASSICAL] if name in AGENT_MAPS else []
        return np.round(255 * np.clip(np.reshape(its, (-1, MAP_SIDE, MAP_SIDE)), 0, 1)).astype(np.uint8)

    return maps


def _film(flowing: Flowing | None, light: Exposure) -> Callable[[U8], None] | None:
    if flowing is None:
        return None
    flowing.begin()
    return lambda rgb: flowing.watch(exposed(rgb, light))


def _bursts(chance: float, random: np.random.Generator) -> Iterator[int | None]:
    """Yield the random action of each step, ``None`` where the expert is followed."""
    while True:
        if random.random() < chance:
            action = int(random.integers(len(ACTIONS)))
            yield from [action] * int(random.integers(BURST[0], BURST[1] + 1))
        else:
            yield None


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the lessons that are not kept yet."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("maps", nargs="*", default=(*ENCODER_MAPS, *AGENT_MAPS))
    for name in parser.parse_args(arguments).maps:
        made = _kept(name)
        told = f"{len(made.walk)} steps, {made.bumped.mean():.3f} with contact"
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {name}: {told}\n")


if __name__ == "__main__":
    main()
