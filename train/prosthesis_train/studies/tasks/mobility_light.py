"""What brightness tells of nearness on held-out maps, with the engine's light falling off with distance and without."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from prosthesis.results import Figure
from prosthesis_train.mobility.arena import F32
from prosthesis_train.mobility.protocol import HELD_OUT, UNITS_PER_M
from prosthesis_train.mobility.shortcut import I64, LIGHTS, NEAR_M, auc, held_out, spearman

DRAWS, SEED = 200, 5
EYE_LEVEL = slice(13, 19)  # of 32 rows: walls, for floor and ceiling are near wherever they are low or high in view
SETTINGS = (("light falling off", False), ("even light", False), ("even light", True))


def measure(say: Callable[[str], None]) -> list[Figure]:
    """Return AUC for surfaces nearer than 2 m and Spearman's rank correlation with nearness, of plain brightness."""
    out = []
    for light, exposure in SETTINGS:
        bright, depth, start = held_out(LIGHTS[light], exposure)
        bright, depth = bright[:, EYE_LEVEL], depth[:, EYE_LEVEL]
        name = f"brightness as a cue of nearness, {light}{', random exposure' if exposure else ''}"
        say(f"{name}: {len(bright)} frames")
        for what, value in (("AUC, nearer than 2 m", _auc), ("Spearman's rho", _rho)):
            low, high = _interval(value, bright, depth, start)
            about = f"bootstrap over starts, 95 %; {len(bright)} frames of {len(HELD_OUT)} held-out maps, at eye level"
            out.append(Figure(f"{name}: {what}", value(bright, depth), "", low, high, about))
    return out


def _auc(bright: F32, depth: F32) -> float:
    return auc(bright, depth < NEAR_M * UNITS_PER_M)


def _rho(bright: F32, depth: F32) -> float:
    return spearman(bright, -depth)


def _interval(value: Callable[[F32, F32], float], bright: F32, depth: F32, start: I64) -> tuple[float, float]:
    """Return the 95 % interval with starts drawn anew, for the frames of one start are alike."""
    random, n, found = np.random.default_rng(SEED), int(start.max()) + 1, list[float]()
    its = [np.flatnonzero(start == k) for k in range(n)]
    for _ in range(DRAWS):
        pick = np.concatenate([its[k] for k in random.integers(n, size=n)])
        found.append(value(bright[pick], depth[pick]))
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)
