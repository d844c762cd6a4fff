"""Closed-loop mobility at 96 electrodes: collisions of walkers that see only percepts, on held-out maps.

A cell is one condition and one seed: a walker taught and walked. Cells are kept below ``runs/tasks/mobility/cells``
under a digest of the protocol; a cell found there is not measured again.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import importlib.util
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from prosthesis.results import Figure
from prosthesis_train.methods import nearness
from prosthesis_train.mobility import protocol
from prosthesis_train.mobility.agent import Walker, learn
from prosthesis_train.mobility.arena import U8, Arena
from prosthesis_train.mobility.conditions import CONDITIONS, OURS, Condition, Eyes, condition, look, school
from prosthesis_train.mobility.episodes import ByWalker, Decide, Walk, by_expert, load, save, walk
from prosthesis_train.mobility.flowing import Flowing
from prosthesis_train.mobility.lessons import Lessons, lessons
from prosthesis_train.mobility.scoring import Estimate, Tally, bootstrapped, gap_closed, per_100_m, tally
from prosthesis_train.mobility.sights import CLASSICAL, OBSTACLE

KEPT = Path("runs/tasks/mobility/cells")
BLIND, SIGHTED, EXPERT = "off", "full vision", "expert by exact depth"
Say = Callable[[str], None]
HOW = "bootstrap over starts, 95 %"


def cell(name: str, seed: int, say: Say) -> list[Walk]:
    """Return the walks of one condition's walker, taught and walked now if they are not kept."""
    path = kept(name, seed)
    if not path.is_file():
        began = time.process_time()
        save(_measured(name, seed, say), path)
        say(f"{path.stem}: {time.process_time() - began:.0f} s of processor time")
    return load(path)


def kept(name: str, seed: int) -> Path:
    """Return where a cell is kept: the protocol, and for ours the network, are part of the place."""
    fixed = {key: value for key, value in vars(protocol).items() if key.isupper()}
    text = repr(sorted(fixed.items()))
    if name != EXPERT and condition(name).source == OURS:
        text += (nearness.SHIPPED / nearness.CARD).read_text(encoding="utf-8")
    return KEPT / hashlib.sha256(text.encode()).hexdigest()[:8] / f"{name.replace(' ', '-')}-{seed}.json"


def _measured(name: str, seed: int, say: Say) -> list[Walk]:
    if name == EXPERT:
        return _walks(by_expert(), lambda name, start: None, None, say, name)
    given, net = condition(name), nearness.load()
    walker = taught(given, seed, say)
    tested = Eyes([protocol.TEST_PATIENTS[seed]], given.scrambled)
    flowing = Flowing()
    by = ByWalker(walker, look(given, net, tested, 0, flowing), seed)

    def begin(name: str, start: int) -> None:
        by.begin(name, start)
        flowing.begin()

    watch = flowing.watch if given.source == OBSTACLE else None
    return _walks(by, begin, watch, say, f"{name}, seed {seed}")


def taught(given: Condition, seed: int, say: Say) -> Walker:
    """Return a walker taught on the agents' maps by percepts of the school's patients; kept beside its cell."""
    path = kept(given.name, seed).with_suffix(".npz")
    if path.is_file():
        walker = Walker()
        with np.load(path, allow_pickle=False) as found:
            walker.load_state_dict({k: torch.from_numpy(found[k]) for k in found.files})
        return walker.eval()
    eyes = Eyes(protocol.SCHOOL_PATIENTS if given.kind == "percept" else (), given.scrambled)
    walker = learn(school(given, _lessons(), nearness.load(), eyes), seed, say)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, allow_pickle=False, **{k: v.numpy() for k, v in walker.state_dict().items()})
    return walker


@functools.cache
def _lessons() -> Lessons:
    return lessons(protocol.AGENT_MAPS)


def _walks(
    decide: Decide, begin: Callable[[str, int], None], watch: Callable[[U8], None] | None, say: Say, who: str
) -> list[Walk]:
    out = []
    for name in protocol.HELD_OUT:
        arena = Arena(name)
        for start in range(protocol.TEST_STARTS):
            begin(name, start)
            out.append(walk(arena, name, start, decide, watch))
        arena.close()
        collisions, metres = sum(w.collisions for w in out), sum(w.walked_m for w in out)
        say(f"{who}: {name}, {collisions} collisions in {metres:.0f} m so far")
    return out


def tallies(say: Say) -> dict[str, Tally]:
    """Return every condition's walks of all seeds; seed by seed, so that a run that ends early has compared all."""
    found: dict[str, list[list[Walk]]] = {c.name: [] for c in CONDITIONS}
    for seed in protocol.SEEDS:
        for name, walks in found.items():
            walks.append(cell(name, seed, say))
    out = {name: tally(walks) for name, walks in found.items()}
    return out | {EXPERT: tally([cell(EXPERT, 0, say)] * len(protocol.SEEDS))}


def measure(say: Say) -> list[Figure]:
    """Return collisions, ground and the share of the gap closed, for every condition; nothing without ViZDoom."""
    from prosthesis_train.studies.tasks import mobility_light

    if importlib.util.find_spec("vizdoom") is None:
        say("mobility: left out, ViZDoom is not installed; pip install 'prosthesis[doom]'")
        return []
    found = tallies(say)
    out = [figure for name, one in found.items() for figure in _of(name, one, found)]
    for name in (*CLASSICAL, OBSTACLE):
        fewer = bootstrapped(lambda a, b: per_100_m(a) - per_100_m(b), found[name], found[OURS])
        out.append(_figure(f"collisions per 100 m, {name} minus {OURS}", fewer, ""))
    return out + mobility_light.measure(say)


def _of(name: str, one: Tally, found: dict[str, Tally]) -> list[Figure]:
    walks = f"{one.collisions.size} walks on {len(protocol.HELD_OUT)} held-out maps"
    out = [
        _figure(f"{name}: collisions per 100 m", bootstrapped(per_100_m, one), walks),
        _figure(f"{name}: bumps a walk", bootstrapped(lambda t: float(t.bumps.mean()), one), ""),
        _figure(f"{name}: new ground, cells of 1.5 m a walk", bootstrapped(lambda t: float(t.ground.mean()), one), ""),
    ]
    if name not in (BLIND, SIGHTED):
        closed = bootstrapped(gap_closed, one, found[BLIND], found[SIGHTED])
        out.append(_figure(f"{name}: share of the blind-to-sighted gap closed", closed, ""))
    return out


def _figure(name: str, value: Estimate, unit: str) -> Figure:
    about = f"{HOW}; {unit}" if unit else HOW
    return Figure(f"{protocol.RIG}, {name}", value.value, "", value.low, value.high, about)


def draw(folder: Path) -> list[str]:
    """Draw a strip along a held-out walk, and paths from above."""
    from prosthesis_train.studies.tasks import mobility_pictures

    return mobility_pictures.draw(folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure cells that are not kept yet."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    names = [*(c.name for c in CONDITIONS), EXPERT]
    parser.add_argument("--conditions", nargs="+", choices=names, default=names)
    parser.add_argument("--seeds", nargs="+", type=int, choices=protocol.SEEDS, default=protocol.SEEDS)
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for seed in asked.seeds:
        for name in asked.conditions:
            if name == EXPERT and seed:
                continue
            one = tally([cell(name, seed, _say)])
            _say(
                f"{name}, seed {seed}: {per_100_m(one):.1f} collisions per 100 m, {one.bumps.mean():.2f} bumps, "
                f"{one.walked_m.mean():.1f} m and {one.ground.mean():.1f} cells a walk"
            )


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


if __name__ == "__main__":
    main()
