"""The shortcut from brightness to depth, with the engine's light falling off with distance and without."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from prosthesis_train.mobility.arena import EVEN_LIGHT, F32, Arena
from prosthesis_train.mobility.episodes import test_starts
from prosthesis_train.mobility.expert import COLUMNS, choose, obstacles
from prosthesis_train.mobility.protocol import HELD_OUT, MAP_SIDE, TEST_STARTS
from prosthesis_train.mobility.sights import exposed, exposures

I64 = npt.NDArray[np.int64]
LIGHTS = {"light falling off": "", "even light": EVEN_LIGHT}
STEPS = 8  # of the expert from each start
NEAR_M = 2.0


def frames(light: str, name: str, exposure: bool) -> tuple[F32, F32, I64]:
    """Return brightness, depth (units) f32[n,32,32] and start i64[n] of the expert's first steps on a held-out map."""
    arena, bright, deep, of = Arena(name, light=light), list[F32](), list[F32](), list[int]()
    lights = exposures(TEST_STARTS, sum(map(ord, name)))
    for start, (place, one) in enumerate(zip(test_starts(name), lights, strict=True)):
        arena.start(*place)
        last = 0
        for _ in range(STEPS):
            if arena.over:
                break
            sight = arena.look()
            rgb = exposed(sight.rgb, one) if exposure else sight.rgb
            bright.append(_small(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)))
            deep.append(_small(sight.depth))
            of.append(start)
            last = choose(obstacles(sight, COLUMNS), last, False)
            arena.step(last)
    arena.close()
    return np.stack(bright), np.stack(deep), np.array(of)


def held_out(light: str, exposure: bool) -> tuple[F32, F32, I64]:
    """Return brightness and depth f32[n,32,32] of all held-out maps, and each frame's start i64[n]."""
    parts = [frames(light, name, exposure) for name in HELD_OUT]
    of = np.concatenate([p[2] + k * TEST_STARTS for k, p in enumerate(parts)])
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]), of


def _small(image: F32) -> F32:
    return np.asarray(cv2.resize(image, (MAP_SIDE, MAP_SIDE), interpolation=cv2.INTER_AREA), np.float32)


def auc(score: F32, positive: np.ndarray) -> float:
    """Return the chance that a positive scores above a negative (Mann-Whitney, ties count half)."""
    ranks = rankdata(score.ravel())
    n = int(positive.sum())
    total = float(ranks[positive.ravel()].sum())
    return (total - n * (n + 1) / 2) / (n * (positive.size - n))


def spearman(first: F32, second: F32) -> float:
    """Return the rank correlation of two arrays."""
    return float(np.corrcoef(rankdata(first.ravel()), rankdata(second.ravel()))[0, 1])
