"""Pictures of walks: camera, depth, map and percept along one, and the paths of several walkers from above."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis_train.methods import nearness
from prosthesis_train.mobility.arena import U8, Arena
from prosthesis_train.mobility.conditions import OURS, Eyes, live_map
from prosthesis_train.mobility.episodes import Walk, load, test_starts
from prosthesis_train.mobility.flowing import Flowing
from prosthesis_train.mobility.protocol import HELD_OUT, TEST_PATIENTS, TEST_STARTS
from prosthesis_train.mobility.sights import exposed, exposures

STRIP, ABOVE = "mobility-walk.png", "mobility-paths.png"
MAP, START = HELD_OUT[0], 0
EVERY, FRAMES, CELL = 6, 12, 96  # steps between the strip's frames; pixels
COLOURS = {"off": (160, 160, 160), "edges": (60, 110, 240), OURS: (30, 170, 60)}  # RGB
SIDE, MARGIN = 560, 96.0  # pixels; units around the paths


def draw(folder: Path) -> list[str]:
    """Draw what is kept of the walk from one start; without its cells, nothing."""
    from prosthesis_train.studies.tasks.mobility import kept

    walks = {name: _one(kept(name, 0)) for name in COLOURS if kept(name, 0).is_file()}
    if OURS not in walks:
        return []
    _write(folder / STRIP, strip(walks[OURS]))
    _write(folder / ABOVE, above(walks))
    return [STRIP, ABOVE]


def _one(path: Path) -> Walk:
    return next(w for w in load(path) if (w.map, w.start) == (MAP, START))


def strip(walk: Walk) -> U8:
    """Return rows of camera, exact depth, map and percept at places of a walk, time to the right."""
    arena, eyes = Arena(MAP), Eyes(TEST_PATIENTS[:1])
    to_map = live_map(OURS, nearness.load(), Flowing())
    light = exposures(TEST_STARTS, sum(map(ord, MAP)))[START]
    columns = []
    for x, y, angle in _places(walk):
        arena.start(x, y, angle)
        sight = arena.look()
        rgb = exposed(sight.rgb, light)
        task_map = to_map(rgb, sight)
        percept = eyes.see(task_map[None], 0)[0, :, :, 0]
        depth = 255 * np.clip(1 - sight.depth / 512, 0, 1)
        cells = (rgb, *(np.repeat(g[..., None], 3, 2) for g in (depth, 255 * task_map, percept)))
        columns.append(np.vstack([_cell(c) for c in cells]))
    arena.close()
    return np.hstack(columns)


def _places(walk: Walk) -> list[tuple[float, float, float]]:
    """Return places along a walk, looking to where the next steps lead."""
    xy = np.array([test_starts(MAP)[START][:2], *(p[:2] for p in walk.path)])
    picks = range(0, min(len(xy) - 3, EVERY * FRAMES), EVERY)
    ahead = [xy[k + 2] - xy[k] for k in picks]
    angles = np.degrees([np.arctan2(d[1], d[0]) for d in ahead])
    return [(float(xy[k][0]), float(xy[k][1]), float(a)) for k, a in zip(picks, angles, strict=True)]


def above(walks: dict[str, Walk]) -> U8:
    """Return the walls around the paths from above; a dot is a step with a contact."""
    arena = Arena(MAP, lines=True)
    arena.start(*test_starts(MAP)[START])
    walls = arena.walls()
    arena.close()
    points = np.concatenate([np.array(w.path)[:, :2] for w in walks.values()])
    low, high = points.min(0) - MARGIN, points.max(0) + MARGIN
    scale = SIDE / float((high - low).max())
    canvas = np.full((SIDE, SIDE, 3), 255, np.uint8)

    def pixels(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
        flipped = (xy - low) * scale * (1, -1) + (0, SIDE - 1)
        return np.asarray(np.round(flipped), np.int32)

    for x1, y1, x2, y2 in walls:
        a, b = pixels(np.array([[x1, y1], [x2, y2]]))
        cv2.line(canvas, a.tolist(), b.tolist(), (0, 0, 0), 1, cv2.LINE_AA)
    for k, (name, walk) in enumerate(walks.items()):
        colour, path = COLOURS[name], np.array(walk.path)
        dots = pixels(path[:, :2])
        cv2.polylines(canvas, [dots], False, colour, 2, cv2.LINE_AA)
        for dot in dots[path[:, 2] > 0]:
            cv2.circle(canvas, dot.tolist(), 4, colour, -1, cv2.LINE_AA)
        told = f"{name}: {walk.collisions} collisions, {walk.ground} cells"
        cv2.putText(canvas, told, (8, 20 + 18 * k), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)
    return canvas


def _cell(image: npt.NDArray[np.generic]) -> U8:
    resized = cv2.resize(np.asarray(image, np.uint8), (CELL - 2, CELL - 2), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.copyMakeBorder(resized, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(60, 60, 60)), np.uint8)


def _write(path: Path, rgb: U8) -> None:
    cv2.imwrite(str(path), rgb[..., ::-1])
