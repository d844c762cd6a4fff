"""The expert that every walker imitates: it steers by the exact depth buffer, feels bumps, knows its last action."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prosthesis_train.mobility.arena import Sight
from prosthesis_train.mobility.protocol import ACTIONS, HEIGHT, RADIUS, STEP_UP

F64 = npt.NDArray[np.float64]
COLUMNS = 64  # directions in which the expert looks
MARGIN = 10.0  # units beside the body that it keeps free
NEED = 56.0  # units ahead that must be free for a step: the step, the body and what it glides on
FAR = 400.0  # units beyond which all ways are equally free
TURN_COST = 2.0  # units of free way that a degree of turning is worth


def obstacles(sight: Sight, columns: int) -> F64:
    """Return the distance f64[columns] (units along the line of sight) of the nearest obstacle in each direction.

    An obstacle is a surface too high to step on and not above the head, seen from the walker's own floor.
    """
    side = sight.depth.shape[0]
    up = 1 - (np.arange(side) + 0.5) * 2 / side  # tangent of the elevation, at 90 deg from edge to edge
    height = sight.eye + sight.depth * up[:, None]
    blocking = (height > STEP_UP + 4) & (height < HEIGHT)  # 4: what the depth's steps make of a stair
    distance = np.where(blocking, sight.depth, np.inf).min(0)
    return np.asarray(distance.reshape(columns, -1).min(1), np.float64)


def clearance(distance: F64, turns_deg: F64) -> F64:
    """Return how far (units, at most ``FAR``) the body can go after each turn, by the obstacles in view."""
    tangent = (np.arange(len(distance)) + 0.5) * 2 / len(distance) - 1
    seen = np.isfinite(distance)
    right, ahead = distance[seen] * tangent[seen], distance[seen]
    turn = np.radians(turns_deg)[:, None]
    along = ahead * np.cos(turn) + right * np.sin(turn)
    beside = right * np.cos(turn) - ahead * np.sin(turn)
    in_way = (along > 0) & (np.abs(beside) < RADIUS + MARGIN)
    return np.asarray(np.where(in_way, along, FAR).min(1, initial=FAR), np.float64)


def choose(distance: F64, last: int, bumped: bool) -> int:
    """Return the expert's action: the freest way to walk, or on the spot to the freer side when there is none.

    What it bumped into it did not see (an opening too low for it): it turns before it goes on.
    """
    walking = [k for k, action in enumerate(ACTIONS) if action.walks]
    turns = np.array([ACTIONS[k].turn_deg for k in walking])
    free = clearance(distance, turns)
    if free.max() >= NEED and not bumped:
        score = np.where(free >= NEED, free - TURN_COST * np.abs(turns), -np.inf)
        return walking[int(score.argmax())]
    standing = [k for k, action in enumerate(ACTIONS) if not action.walks]
    if last in standing:
        return last
    half = len(distance) // 2
    near = np.minimum(distance, FAR)
    sides = {-1.0: near[:half].mean(), 1.0: near[half:].mean()}
    return max(standing, key=lambda k: sides[float(np.sign(ACTIONS[k].turn_deg))])
