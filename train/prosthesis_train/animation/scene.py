"""Scenes of ellipsoids with marks, traced ray by ray: pictures with true flow and true occlusion, exact at any point.

The picture's plane is -1..1 across and down (centres of pixels as torch's ``grid_sample`` has them), z comes towards
who looks, light is parallel. What is seen at a point is a *material*: which body or mark, and where on it. The same
material's place in another pose of the scene gives the true flow, and tracing there says whether it is hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
MARKS = 64  # numbers a body takes: itself and its marks
UP = 2  # rays a pixel, across and down
LIGHT = np.array([-0.35, -0.5, 0.79], np.float32)
NEAR = 1e-3  # depths that differ by less are the same surface


@dataclass(frozen=True, slots=True)
class Mark:
    """An ellipse on a body's front, in the body's own x and y (its outline is the unit circle); ``tilt`` in radians."""

    at: tuple[float, float]
    half: tuple[float, float]
    colour: tuple[float, float, float]
    tilt: float = 0.0


@dataclass(frozen=True, slots=True)
class Body:
    """An ellipsoid: centre f32[3], turn f32[3,3] (columns are its axes), radii f32[3], colour in 0..1.

    ``cut`` keeps only the points of the unit sphere with ``q . cut[:3] > cut[3]``. ``stripes``: waves over the unit
    sphere (their vector) that make it 15 % lighter and darker.
    """

    centre: F32
    turn: F32
    radii: F32
    colour: tuple[float, float, float]
    marks: tuple[Mark, ...] = ()
    cut: tuple[float, float, float, float] | None = None
    stripes: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen at n points: ``what`` i64[n] (-1 is the ground), ``where`` f32[n,3] on it, depth, unit normal."""

    what: I64
    where: F32
    depth: F32
    normal: F32


def grid(side: int) -> F32:
    """Return the centres of pixels f32[side * side, 2], x and y, row by row."""
    line = ((2 * np.arange(side) + 1) / side - 1).astype(np.float32)
    return np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


def trace(bodies: Sequence[Body], points: F32) -> Seen:
    """Return what is seen at points f32[n,2]."""
    n = len(points)
    what, where = np.full(n, -1, np.int64), np.zeros((n, 3), np.float32)
    depth, normal = np.full(n, -np.inf, np.float32), np.zeros((n, 3), np.float32)
    for number, body in enumerate(bodies):
        close = np.flatnonzero(((points - body.centre[:2]) ** 2).sum(1) < float(body.radii.max()) ** 2)
        q, z, hit = _hit(body, points[close])
        nearer = hit & (z > depth[close])
        chosen, q = close[nearer], q[nearer]
        depth[chosen] = z[nearer]
        away = (q / body.radii) @ body.turn.T
        normal[chosen] = away / np.linalg.norm(away, axis=1, keepdims=True)
        what[chosen], where[chosen] = number * MARKS, q
        for place, mark in enumerate(body.marks):
            inside, local = _on_mark(mark, q)
            what[chosen[inside]] = number * MARKS + 1 + place
            where[chosen[inside]] = local[inside]
    return Seen(what, where, depth, normal)


def _hit(body: Body, points: F32) -> tuple[F32, F32, Bool]:
    """Return the nearer points of the unit sphere f32[n,3] that rays hit, their depths, and which do hit."""
    start = (np.pad(points, ((0, 0), (0, 1))) - body.centre) @ body.turn / body.radii
    along = body.turn[2] / body.radii
    a, b, c = float(along @ along), start @ along, (start**2).sum(1) - 1
    root = b * b - a * c
    z = (np.sqrt(np.maximum(root, 0)) - b) / a
    q = start + along * z[:, None]
    hit = root > 0
    if body.cut is not None:
        hit &= q @ np.array(body.cut[:3], np.float32) > body.cut[3]
    return q.astype(np.float32), z.astype(np.float32), hit


def _on_mark(mark: Mark, q: F32) -> tuple[Bool, F32]:
    cos, sin = np.cos(mark.tilt), np.sin(mark.tilt)
    x, y = q[:, 0] - mark.at[0], q[:, 1] - mark.at[1]
    local = np.stack([(cos * x + sin * y) / mark.half[0], (cos * y - sin * x) / mark.half[1], 0 * x], 1)
    return np.asarray(((local**2).sum(1) < 1) & (q[:, 2] > 0)), local.astype(np.float32)


def placed(bodies: Sequence[Body], what: I64, where: F32) -> tuple[F32, F32]:
    """Return where materials f32[n,3] of bodies and marks lie in a pose: points f32[n,2] and depths f32[n]."""
    out = np.zeros((len(what), 3), np.float32)
    for number in np.unique(what):
        chosen, body = what == number, bodies[number // MARKS]
        q = where[chosen]
        if number % MARKS:
            q = _off_mark(body.marks[number % MARKS - 1], q)
        out[chosen] = (q * body.radii) @ body.turn.T + body.centre
    return out[:, :2], out[:, 2]


def _off_mark(mark: Mark, local: F32) -> F32:
    cos, sin = np.cos(mark.tilt), np.sin(mark.tilt)
    u, v = local[:, 0] * mark.half[0], local[:, 1] * mark.half[1]
    x, y = mark.at[0] + cos * u - sin * v, mark.at[1] + sin * u + cos * v
    return np.stack([x, y, np.sqrt(np.maximum(1 - x * x - y * y, 0))], 1).astype(np.float32)


def render(bodies: Sequence[Body], ground: F32, up: int = UP) -> F32:
    """Return a picture f32[side,side,3] in 0..1 before ``ground`` f32[side,side,3], the mean of its pixels' rays."""
    side = len(ground)
    seen = trace(bodies, grid(side * up))
    colour = ground.repeat(up, 0).repeat(up, 1).reshape(-1, 3).copy()
    light = (0.7 + 0.35 * np.maximum(seen.normal @ LIGHT, 0))[:, None]
    for number in np.unique(seen.what[seen.what >= 0]):
        chosen, body = seen.what == number, bodies[number // MARKS]
        own = body.marks[number % MARKS - 1].colour if number % MARKS else body.colour
        paint = np.array(own, np.float32) * light[chosen]
        if body.stripes is not None and not number % MARKS:
            paint = paint * (1 + 0.15 * np.sin(seen.where[chosen] @ np.array(body.stripes, np.float32)))[:, None]
        colour[chosen] = paint
    mean = colour.reshape(side, up, side, up, 3).mean((1, 3))
    return np.asarray(np.clip(mean, 0, 1), np.float32)


def true_motion(source: Sequence[Body], driving: Sequence[Body], side: int) -> tuple[F32, Bool]:
    """Return for every pixel of the driving pose where its material lies in the source pose, and whether it is hidden.

    Places f32[side,side,2] are in -1..1, as ``grid_sample`` takes them; the ground stands still. bool[side,side] is
    true where the source does not show that material: behind something, turned away, or outside the picture.
    """
    points = grid(side)
    seen = trace(driving, points)
    at = points.copy()
    solid = seen.what >= 0
    at[solid], depth = placed(source, seen.what[solid], seen.where[solid])
    there = trace(source, at)
    hidden = there.what != seen.what
    hidden[solid] |= np.abs(there.depth[solid] - depth) > NEAR
    hidden |= (np.abs(at) > 1).any(1)
    return at.reshape(side, side, 2), hidden.reshape(side, side)
