"""Faces and figures that move: who (traits), how they hold themselves (pose) and what their face does (expression).

Who somebody is comes from ``tasks.faces.person``, so the people of the face task's two parts are also the two parts
here. Every number of a pose is a sum of slow waves over a clip.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from prosthesis_train.animation.scene import F32, MARKS, Body, Mark, placed
from prosthesis_train.data.photographs import PORTRAIT, WHEELS, read_picture, where
from prosthesis_train.tasks.faces import person
from prosthesis_train.tasks.task import Part

Kind = Literal["faces", "figures"]
Colour = tuple[float, float, float]
# of a face's pose: radians, half pictures, and shares of what a face can do
REACH = {
    "yaw": 0.55, "pitch": 0.3, "roll": 0.25, "x": 0.14, "y": 0.1, "size": 0.12, "body": 0.1,
    "gape": 1.0, "smile": 1.0, "brow": 1.0, "blink": 1.0, "gaze": 1.0,
}  # fmt: skip
JOINTS = ("lean", "head", "arm_left", "arm_right", "elbow_left", "elbow_right", "leg_left", "leg_right", "knee", "x")
BASE = 1.2  # of a face, so that it fills the picture as a portrait does


@dataclass(frozen=True, slots=True)
class Person:
    """One identity: traits about -1..1, colours, and what stands behind them, f32[side,side,3]."""

    kind: Kind
    traits: dict[str, float]
    skin: Colour
    hair: Colour
    cloth: Colour
    stripes: tuple[float, float, float]
    ground: F32


def somebody(kind: Kind, part: Part, number: int, side: int) -> Person:
    """Return identity ``number`` of a part, before a ground of ``side`` pixels of its own."""
    traits = person(part, number)
    random = np.random.default_rng([number, 0 if part == "train" else 1, 78])
    tone = 0.45 + 0.28 * (traits["skin_gray"] + 1.3) / 2.6 + random.uniform(-0.05, 0.15)
    skin = _colour(tone * np.array([1.15, 0.85, 0.68]) * random.uniform(0.93, 1.07, 3))
    shade = 0.08 + 0.5 * (traits["hair_gray"] + 1.3) / 2.6
    hair = _colour(shade * np.array([1.15, 0.9, 0.65]) * random.uniform(0.8, 1.2, 3))
    cloth = _colour(random.uniform(0.1, 0.9, 3))
    waves = random.normal(0, 6, 3)
    return Person(kind, traits, skin, hair, cloth, (waves[0], waves[1], waves[2]), _ground(part, random, side))


def _colour(values: np.ndarray) -> Colour:
    r, g, b = np.clip(values, 0.02, 0.98).tolist()
    return r, g, b


@functools.cache
def _photographs(held_out: bool) -> tuple[F32, ...]:
    chosen = (p for p in WHEELS if p.held_out is held_out and p != PORTRAIT)  # which is to be animated
    return tuple(np.asarray(read_picture(where(p)) / 255, np.float32) for p in chosen)


def _ground(part: Part, random: np.random.Generator, side: int) -> F32:
    """Return a ground: soft blobs, or a piece of a photograph of the same part."""
    if random.random() < 0.5:
        coarse = random.uniform(0, 1, (int(random.integers(2, 7)), int(random.integers(2, 7)), 3)).astype(np.float32)
        picture = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    else:
        known = _photographs(part == "test")
        whole = known[int(random.integers(len(known)))]
        size = int(random.uniform(0.3, 1.0) * min(whole.shape[:2]))
        top, left = (int(random.integers(0, edge - size + 1)) for edge in whole.shape[:2])
        picture = cv2.resize(whole[top : top + size, left : left + size], (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(0.1 + 0.8 * picture, 0, 1), np.float32)


def motions(kind: Kind, frames: int, random: np.random.Generator) -> list[dict[str, float]]:
    """Return the poses of a clip: numbers in -1..1 times their reach, each a sum of two waves."""
    names = tuple(REACH) if kind == "faces" else JOINTS
    t = np.arange(frames) / max(frames, 2)
    courses = {}
    for name in names:
        waves = [
            weight * np.sin(2 * np.pi * (rate * t + random.random()))
            for weight, rate in ((0.7, random.uniform(0.5, 1.5)), (0.4, random.uniform(1.5, 3.0)))
        ]
        courses[name] = np.clip(sum(waves), -1, 1) * REACH.get(name, 1.0)
    return [{name: float(courses[name][k]) for name in names} for k in range(frames)]


def bodies(who: Person, pose: dict[str, float]) -> tuple[Body, ...]:
    """Return somebody in a pose."""
    return _face(who, pose) if who.kind == "faces" else _figure(who, pose)


def landmarks(scene: Sequence[Body]) -> F32:
    """Return where eyes, brows, nose, the mouth's four ends and the chin of a face lie, f32[10,2] in -1..1."""
    each, lips = len(scene[0].marks) // 2, len(scene[1].marks) - 4
    eyes = [(1 + eye * each + k, 0.0, 0.0, 0.0) for eye in (0, 1) for k in (each - 3, each - 1)]
    mouth = [(MARKS + 1 + lips, x, y, 0.0) for x, y in ((-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))]
    rows = [*eyes, (2 * MARKS, 0.0, 0.3, 0.95), *mouth, (MARKS, 0.0, 0.85, 0.53)]
    return placed(scene, np.array([row[0] for row in rows]), np.array([row[1:] for row in rows], np.float32))[0]


def turned(yaw: float, pitch: float, roll: float) -> F32:
    """Return the rotation f32[3,3] of a head: first nods, then turns, then leans."""
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    nod = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    lean = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(lean @ turn @ nod, np.float32)


def _face(who: Person, pose: dict[str, float]) -> tuple[Body, ...]:
    p, turn, size = who.traits, turned(pose["yaw"], pose["pitch"], pose["roll"]), BASE * (1 + pose["size"])
    neck = np.array([pose["x"], 0.42 + pose["y"], 0.0])
    gape = max(0.0, pose["gape"])

    def part(at: tuple[float, float, float], radii: tuple[float, float, float], colour: Colour, **more: object) -> Body:
        centre = neck + turn @ (size * (np.array(at) - (0, 0.35, 0)))
        return Body(
            np.asarray(centre, np.float32),
            turn,
            np.asarray(size * np.array(radii), np.float32),
            colour,
            **more,  # type: ignore[arg-type]
        )

    wide, high = 0.41 + 0.05 * p["width"], 0.52
    jaw = 0.03 * gape
    dark = _colour(np.array(who.skin) * 0.9)
    head = part((0, 0, 0), (wide, high, 0.45), who.skin, marks=_eyes(who, pose))
    chin = (wide * (0.8 + 0.1 * p["jaw"]), 0.33 + 0.03 * p["chin"], 0.36)
    nose_y = 0.08 + 0.03 * p["nose_long"]
    found = [
        head,
        part((0, 0.24 + jaw, 0.1), chin, who.skin, marks=_mouth(who, pose, gape)),
        part((0, nose_y, 0.44), (0.055 + 0.015 * p["nose_wide"], 0.11, 0.1), dark),
        *(part((s * wide, 0.02, 0), (0.06, 0.11 + 0.02 * p["ear"], 0.05), dark) for s in (-1, 1)),
    ]
    if p["hair"] > 0:
        low = 0.28 - 0.1 * p["hairline"] - (0.16 if p["hair"] == 3 else 0.0)
        cut = (0.15 * p["hair_side"], -0.88, -0.45, low)
        shell = (wide * 1.1, high * 1.08, 0.5)
        found.append(part((0, -0.02, -0.02), shell, who.hair, cut=cut, stripes=who.stripes))
    if p["hair"] == 2:
        found.append(part((0, 0.1, -0.3), (wide * 1.25, 0.62, 0.25), who.hair, stripes=who.stripes))
    upright, x = np.eye(3, dtype=np.float32), pose["x"] * 0.6 + pose["body"]
    found.append(Body(_vector(x, 0.75, -0.25), upright, _vector(0.22, 0.5, 0.2), dark))
    found.append(Body(_vector(x, 1.25, -0.2), upright, _vector(0.95, 0.5, 0.35), who.cloth, stripes=who.stripes))
    return tuple(found)


def _eyes(who: Person, pose: dict[str, float]) -> tuple[Mark, ...]:
    p, found = who.traits, list[Mark]()
    gap, y, size = 0.4 + 0.05 * p["eye_gap"], -0.1 + 0.05 * p["eye_y"], 0.19 + 0.03 * p["eye_size"]
    wide_open = 1 - 0.85 * max(0.0, pose["blink"])
    for s in (-1.0, 1.0):
        if p["glasses"]:
            found.append(Mark((s * gap, y), (size * 1.75, size * 1.4), (0.08, 0.08, 0.1)))
            found.append(Mark((s * gap, y), (size * 1.45, size * 1.1), _colour(np.array(who.skin) * 1.05)))
        found.append(Mark((s * gap, y), (size, size * 0.6 * wide_open), (0.95, 0.95, 0.93)))
        pupil = (s * gap + 0.4 * size * pose["gaze"], y)
        found.append(Mark(pupil, (size * 0.45, size * 0.55 * wide_open), (0.12, 0.1, 0.1)))
        lift = y - 0.27 - 0.03 * p["brow_y"] - 0.09 * pose["brow"]
        thick = 0.05 + 0.02 * p["brow_thick"]
        found.append(
            Mark((s * gap, lift), (size * 1.3, thick), _colour(np.array(who.hair) * 0.7), s * 0.2 * p["brow_tilt"])
        )
    return tuple(found)


def _mouth(who: Person, pose: dict[str, float], gape: float) -> tuple[Mark, ...]:
    p, y = who.traits, 0.2 + 0.06 * who.traits["mouth_y"]
    half = 0.42 + 0.08 * p["mouth_wide"] + 0.08 * pose["smile"]
    lip = _colour(np.array(who.skin) * (1.0, 0.6, 0.6))
    found = [Mark((0.0, y + 0.32), (0.85, 0.55), _colour(np.array(who.hair) * 0.9))] if p["beard"] else []
    found.append(Mark((0.0, y), (half, 0.1 + 0.03 * p["lip"] + 0.17 * gape), lip))
    found += [Mark((s * half, y - 0.14 * pose["smile"]), (0.13, 0.07), lip, -s * 0.5 * pose["smile"]) for s in (-1, 1)]
    found.append(Mark((0.0, y), (half * 0.85, 0.02 + 0.16 * gape), (0.15, 0.05, 0.06)))
    return tuple(found)


def _vector(x: float, y: float, z: float) -> F32:
    return np.array([x, y, z], np.float32)


def _figure(who: Person, pose: dict[str, float]) -> tuple[Body, ...]:
    """Return a standing figure: limbs hang from shoulders and hips, and turn in the picture's plane."""
    p, lean = who.traits, 0.2 * pose["lean"]
    hip = _vector(0.25 * pose["x"], 0.15, 0.0)
    up = turned(0, 0, lean)
    trunk = _vector(0.2 + 0.03 * p["width"], 0.33, 0.15)
    middle = hip + up @ _vector(0, -0.3, 0)
    top = hip + up @ _vector(0, -0.75, 0)
    found = [
        Body(middle, up, trunk, who.cloth, stripes=who.stripes),
        Body(top, turned(0, 0, lean + 0.3 * pose["head"]), _vector(0.12, 0.16, 0.13), who.skin),
    ]
    for s, side in ((-1, "left"), (1, "right")):
        shoulder, at_hip = hip + up @ _vector(s * 0.17, -0.5, 0), hip + _vector(s * 0.1, 0, 0)
        arm = lean - s * 0.5 + 0.9 * pose[f"arm_{side}"]
        found += _limb(
            shoulder, (arm, arm - 0.6 + 0.6 * pose[f"elbow_{side}"]), 0.3, 0.06, s * 0.2, who.cloth, who.skin
        )
        leg = 0.5 * pose[f"leg_{side}"]
        found += _limb(at_hip, (leg, leg + 0.3 + 0.3 * pose["knee"]), 0.4, 0.08, s * 0.08, who.hair, who.hair)
    return tuple(found)


def _limb(
    start: F32, angles: tuple[float, float], length: float, thick: float, z: float, upper: Colour, lower: Colour
) -> list[Body]:
    found, at = list[Body](), np.asarray(start + _vector(0, 0, z), np.float32)
    for angle, colour in zip(angles, (upper, lower), strict=True):
        turn = turned(0, 0, angle)
        step = np.asarray(turn @ _vector(0, length, 0), np.float32)
        found.append(Body(np.asarray(at + step / 2, np.float32), turn, _vector(thick, length * 0.6, thick), colour))
        at = np.asarray(at + step, np.float32)
    return found
