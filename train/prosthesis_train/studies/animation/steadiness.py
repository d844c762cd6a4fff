"""What the flow-and-occlusion wrapper (``steady``) does to percepts under camera motion, and to a task.

A letter stands before a hand-held, noisy camera. Flicker is how much the percept differs from one frame to the next
beyond what the same walk of a noiseless camera makes it differ; error is the distance from that camera's percept of the
same moment. The frozen observer of letters looks at the last frame. ``averaged`` mixes the last
frame in where it was, without flow: what a wrapper has to beat.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch

from prosthesis.bundles.bundle import load_bundle
from prosthesis.encoders.taskmap import TaskMapEncoder
from prosthesis.engines import open_engine
from prosthesis.messages import F32, U8, Frame, readonly
from prosthesis.protocols import Encoder
from prosthesis.results import Figure
from prosthesis_train.observers.network import SIDE
from prosthesis_train.observers.observer import Observer, load_observer
from prosthesis_train.observers.percepts import VirtualPatient, virtual_patient
from prosthesis_train.scores.tasks.answers import named
from prosthesis_train.studies.animation.remade import spread
from prosthesis_train.studies.animation.steady import SteadyEncoder
from prosthesis_train.tasks.task import open_task

RIG, DROPOUT, TASK = "utah96", 0.2, "letters"
ENCODERS = ("luminance-32", "edges-32")
SEEDS, TRIALS, FRAMES, JUDGED = (0, 1, 2), 78, 6, 3
FRAME_NS = 66_666_667
NOISES, STEP_PX = (30.0, 80.0), 2.0  # gray levels; pixels of 320 a frame, standard deviation of a walk
KEEP = 0.7
WAYS = ("plain", "averaged", "steady")
F64 = npt.NDArray[np.float64]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one way: flicker, error and whether read right, one number a trial."""

    flicker: F64
    error: F64
    right: F64


def measure(say: Say) -> list[Figure]:
    """Return flicker, error and score by encoder and way, and what the wrapper changes; minutes on one core."""
    found = []
    observer = load_observer(TASK, RIG)
    for name, noise in itertools.product(ENCODERS, NOISES):
        by_way: dict[str, list[Seen]] = {way: [] for way in WAYS}
        for seed in SEEDS:
            say(f"{name}, noise {noise:.0f}: patient {seed}")
            patient = virtual_patient(RIG, seed, DROPOUT, side=SIDE, look="array")
            for way, seen in _patient(name, noise, patient, observer, seed).items():
                by_way[way].append(seen)
        found += _figures(f"{name}, noise {noise:.0f}", by_way)
    return found


def _patient(name: str, noise: float, patient: VirtualPatient, observer: Observer, seed: int) -> dict[str, Seen]:
    task, random = open_task(TASK), np.random.default_rng([seed, 31])
    trials = task.trials("test", TRIALS, seed)
    bundle = load_bundle(name)
    inner = TaskMapEncoder(bundle, open_engine(bundle, "onnx"), patient.view)
    maps: dict[str, list[F32]] = {way: [] for way in ("true", *WAYS)}
    for frame in trials.frames[:, 0]:
        clean = walk(frame, random)
        noisy = np.clip(clean + random.normal(0, noise, clean.shape), 0, 255).astype(np.uint8)
        maps["true"].append(_maps(inner, clean))
        wrapped: tuple[Encoder, ...] = (inner, SteadyEncoder(inner, KEEP, with_flow=False), SteadyEncoder(inner, KEEP))
        for way, encoder in zip(WAYS, wrapped, strict=True):
            maps[way].append(_maps(encoder, noisy))
    with torch.no_grad():
        percepts = {way: _percepts(patient, np.stack(some)) for way, some in maps.items()}
    return {way: _seen(percepts[way], percepts["true"], observer, trials.labels) for way in WAYS}


def walk(frame: U8, random: np.random.Generator) -> U8:
    """Return a camera's frames u8[FRAMES,h,w,3] of a still scene by a shaking hand; it ends where it aims."""
    at = np.cumsum(random.normal(0, STEP_PX, (FRAMES, 2)), axis=0)
    at -= at[-1]
    h, w = frame.shape[:2]
    turns = [np.array([[1, 0, x], [0, 1, y]], np.float64) for x, y in at]
    return np.stack([np.asarray(cv2.warpAffine(frame, turn, (w, h)), np.uint8) for turn in turns])


def _maps(encoder: Encoder, frames: U8) -> F32:
    codes = [
        encoder.encode(Frame(k, k * FRAME_NS, readonly(rgb, np.uint8)), k * FRAME_NS) for k, rgb in enumerate(frames)
    ]
    return np.stack([code.values.reshape(code.shape) for code in codes])


def _percepts(patient: VirtualPatient, maps: F32) -> F32:
    """Return percepts f32[k,t,side,side] of the last frames of maps f32[k,t,rows,columns]."""
    last = maps[:, -JUDGED:]
    flat = torch.as_tensor(last.reshape(-1, *last.shape[2:]))
    seen = torch.cat([patient.percepts(flat[k : k + 128]) for k in range(0, len(flat), 128)])
    return np.asarray(seen.reshape(*last.shape[:2], *seen.shape[1:]).numpy(), np.float32)


def _seen(percepts: F32, true: F32, observer: Observer, labels: npt.NDArray[np.int64]) -> Seen:
    flicker = np.abs(np.diff(percepts - true, axis=1)).mean((1, 2, 3))
    error = np.abs(percepts - true).mean((1, 2, 3))
    said = named(observer, torch.as_tensor(percepts[:, -1:])).argmax(1)
    return Seen(flicker.astype(np.float64), error.astype(np.float64), (said == labels).astype(np.float64))


def _figures(name: str, by_way: dict[str, list[Seen]]) -> list[Figure]:
    def joined(way: str, what: str) -> F64:
        return np.concatenate([getattr(seen, what) for seen in by_way[way]])

    how = f"95 %, {len(SEEDS)} patients x {TRIALS} trials, trials drawn again"
    found, titles = [], {"flicker": "flicker of percepts", "error": "error of percepts", "right": "letters read"}
    for way in WAYS:
        for what, title in titles.items():
            values = joined(way, what)
            found.append(
                Figure(f"{name}, {way}: {title}", float(values.mean()), "", *spread(values), how,
                       grid="A noisy camera in a shaking hand", row=f"{name}, {way}", column=title)
            )  # fmt: skip
    for other in WAYS[:2]:
        for what, title in titles.items():
            change = joined("steady", what) - joined(other, what)
            found.append(
                Figure(f"{name}, steady less {other}: {title}", float(change.mean()), "", *spread(change), how)
            )
    return found
