"""What a walker is given to see: full vision, a percept of one encoder's maps, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch.nn.functional import avg_pool2d

from prosthesis_train.methods.nearness import Nearness, maps_of
from prosthesis_train.mobility.agent import School, feelings, mirrored, previous
from prosthesis_train.mobility.arena import F32, U8, Sight
from prosthesis_train.mobility.bars import nearness, paint
from prosthesis_train.mobility.expert import COLUMNS as LOOKS
from prosthesis_train.mobility.expert import obstacles
from prosthesis_train.mobility.flowing import Flowing
from prosthesis_train.mobility.lessons import Lessons, flows
from prosthesis_train.mobility.protocol import AGENT_MAPS, COLUMNS, DROPOUT, PICTURE_SIDE, RIG
from prosthesis_train.mobility.sights import CLASSICAL, OBSTACLE, classical, picture, small
from prosthesis_train.observers.percepts import VirtualPatient, virtual_patient

Kind = Literal["sight", "percept", "nothing"]


@dataclass(frozen=True, slots=True)
class Condition:
    """``source`` of what is seen: an encoder's name, "depth truth", "camera" or "camera and depth"; or nothing."""

    name: str
    kind: Kind
    source: str = ""
    scrambled: bool = False


OURS = "nearness"
CONDITIONS = (
    Condition("full vision", "sight", "camera and depth"),
    Condition("camera only", "sight", "camera"),
    *(Condition(name, "percept", name) for name in CLASSICAL),
    Condition(OURS, "percept", OURS),
    Condition("depth truth", "percept", "depth truth"),
    Condition("scrambled", "percept", OURS, scrambled=True),
    Condition("off", "nothing"),
    Condition(OBSTACLE, "percept", OBSTACLE),
)


def condition(name: str) -> Condition:
    """Return a condition by name."""
    return next(c for c in CONDITIONS if c.name == name)


class Eyes:
    """Patients by number; ``scrambled`` ones have their electrodes' brain codes in a random order of their own."""

    def __init__(self, patients: Sequence[int], scrambled: bool = False) -> None:
        made = [virtual_patient(RIG, seed, dropout=DROPOUT, side=2 * PICTURE_SIDE, look="array") for seed in patients]
        self._patients = [(p, _order(p, seed, scrambled)) for p, seed in zip(made, patients, strict=True)]

    def __len__(self) -> int:
        return len(self._patients)

    @torch.no_grad()
    def see(self, maps: F32, patient: int) -> U8:
        """Return percepts u8[b,24,24,2] of maps f32[b,32,32]; the second channel is empty."""
        one, order = self._patients[patient]
        activity = one.device.activity(torch.from_numpy(np.ascontiguousarray(maps, np.float32)))
        percepts = one.see(one.device.currents(activity[:, order]))
        gray = avg_pool2d(percepts[:, None], 2)[:, 0].mul(255).round().to(torch.uint8).numpy()
        return np.stack([gray, np.zeros_like(gray)], -1)


def _order(patient: VirtualPatient, seed: int, scrambled: bool) -> torch.Tensor:
    n = patient.electrodes
    return torch.from_numpy(np.random.default_rng([seed, 3]).permutation(n) if scrambled else np.arange(n))


def school(given: Condition, data: Lessons, net: Nearness, eyes: Eyes) -> School:
    """Return the lessons as one condition sees them, and their mirror images; each walk by one of the patients."""
    views = [_seen(given, data, net, eyes, mirror) for mirror in (False, True)]
    feels = feelings(data.last, data.bumped)
    return School(
        now=np.concatenate(views),
        before=np.concatenate([previous(view, data.walk) for view in views]),
        feels=np.concatenate([feels, feels[:, [0, 2, 1]]]),
        wanted=np.concatenate([data.wanted, mirrored(data.wanted)]),
    )


def _seen(given: Condition, data: Lessons, net: Nearness, eyes: Eyes, mirror: bool) -> U8:
    step = -1 if mirror else 1
    if given.kind == "nothing":
        return np.zeros_like(data.picture)
    if given.kind == "sight":
        return _sighted(given, data.picture)[:, :, ::step]
    maps = _maps(given, data, net, mirror)
    out = np.empty_like(data.picture)
    for patient in range(len(eyes)):
        its = data.walk % len(eyes) == patient
        out[its] = eyes.see(maps[its], patient)
    return out


def _maps(given: Condition, data: Lessons, net: Nearness, mirror: bool) -> F32:
    step = -1 if mirror else 1
    if given.source == OURS:
        return maps_of(net, np.ascontiguousarray(data.rgb[:, :, ::step]))
    if given.source == "depth truth":
        return np.stack([paint(near[::step]) for near in data.near])
    maps = flows(AGENT_MAPS) if given.source == OBSTACLE else data.maps[:, CLASSICAL.index(given.source)]
    return np.asarray(maps[:, :, ::step] / np.float32(255), np.float32)


def _sighted(given: Condition, pictures: U8) -> U8:
    if given.source == "camera and depth":
        return pictures
    return np.stack([pictures[..., 0], np.zeros_like(pictures[..., 0])], -1)


Look = Callable[[U8, Sight], U8]


def look(given: Condition, net: Nearness, eyes: Eyes, patient: int, flowing: Flowing) -> Look:
    """Return what turns one camera frame and its depth into what a walker sees of it, u8[24,24,2].

    ``flowing`` is given the frames between, and is asked for its map by the encoder ``obstacle`` alone.
    """
    if given.kind == "nothing":
        return lambda rgb, sight: np.zeros((PICTURE_SIDE, PICTURE_SIDE, 2), np.uint8)
    if given.kind == "sight":
        return lambda rgb, sight: _sighted(given, picture(rgb, sight)[None])[0]
    to_map = live_map(given.source, net, flowing)
    return lambda rgb, sight: eyes.see(to_map(rgb, sight)[None], patient)[0]


def live_map(source: str, net: Nearness, flowing: Flowing) -> Callable[[U8, Sight], F32]:
    """Return what turns one frame (and, for the ceiling alone, its depth) into a map f32[32,32]."""
    if source == OURS:
        return lambda rgb, sight: maps_of(net, small(rgb)[None])[0]
    if source == "depth truth":
        return lambda rgb, sight: paint(nearness(obstacles(sight, LOOKS).reshape(COLUMNS, -1).min(1)))
    if source == OBSTACLE:
        return lambda rgb, sight: flowing.map()
    encoder = classical()[source]
    return lambda rgb, sight: encoder(rgb)
