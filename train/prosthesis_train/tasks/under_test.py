"""Encoders under test: anything that makes task maps of trials for one patient.

By name: a shipped bundle (``luminance-32``); ``plain``, the view itself averaged to 64 x 64; ``fitted``, plain
drawing for this patient; ``text-letters``, the text task's own letters for this patient, which is *told* the letter
as if its networks had read it; ``obstacle-flow``, the obstacle task's; ``FILE.npz`` with ``maps`` f32[classes, rows,
columns], a glyph set that is *told* what to show; or ``package.module:function``, a function of frames u8[k, t, h, w,
3] and a ``VirtualPatient`` (of which it may use ``view`` and ``calibration``, never more) that returns maps f32[k, t,
rows, columns] in 0..1, whose t may be longer: several looks.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis.encoders import open_encoder
from prosthesis.errors import ConfigError
from prosthesis.hops import MapEncoderConfig
from prosthesis.letters.drawing import LOOKS
from prosthesis.letters.glyphset import Glyphs
from prosthesis.letters.shaping import shape_letters
from prosthesis.letters.strokes import LETTERS
from prosthesis.messages import Frame, readonly
from prosthesis.protocols import Encoder
from prosthesis.view import sample
from prosthesis_train.observers.percepts import VirtualPatient
from prosthesis_train.tasks.fitted import fitted
from prosthesis_train.tasks.flow import flow
from prosthesis_train.tasks.task import Trials

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
OfFrames = Callable[[U8, VirtualPatient], F32]
CLASSICAL = tuple(f"{kind}-{side}" for kind in ("luminance", "contrast", "edges", "saliency") for side in (32, 64))
FRAME_NS = 100_000_000
PLAIN_SIDE = GLYPH_SIDE = 64


@dataclass(frozen=True, slots=True)
class UnderTest:
    """One encoder: ``encode(trials, patient)`` are maps f32[k, t, rows, columns].

    ``personal`` says that the maps depend on the patient's calibration, ``told`` that the label is used: the network
    that would have to find it out is not in the score.
    """

    name: str
    encode: Callable[[Trials, VirtualPatient], F32]
    personal: bool = False
    told: bool = False


def under_test(name: str) -> UnderTest:
    """Return the encoder of that name; ``ConfigError`` when there is none."""
    if name == "plain":
        return UnderTest(name, lambda trials, patient: plain(trials.frames, patient))
    if name == "fitted":
        return UnderTest(name, lambda trials, patient: fitted(trials.frames, patient), personal=True)
    if name == "text-letters":
        return UnderTest(name, text_letters, personal=True, told=True)
    if name == "obstacle-flow":
        return UnderTest(name, lambda trials, patient: flow(trials.frames, patient))
    if name.endswith(".npz"):
        return _glyphs(Path(name))
    if ":" in name:
        made = _imported(name)
        return UnderTest(name, lambda trials, patient: made(trials.frames, patient), personal=True)
    of_frames = shipped(name)
    return UnderTest(name, lambda trials, patient: of_frames(trials.frames, patient))


def plain(frames: U8, patient: VirtualPatient) -> F32:
    """Return the view of each frame, gray, averaged: what a user would see of a camera without any processing."""
    maps = [cv2.cvtColor(sample(frame, patient.view, PLAIN_SIDE), cv2.COLOR_RGB2GRAY) for frame in _flat(frames)]
    gray: F32 = np.multiply(np.stack(maps), np.float32(1 / 255), dtype=np.float32)
    return gray.reshape(*frames.shape[:2], PLAIN_SIDE, PLAIN_SIDE)


def text_letters(trials: Trials, patient: VirtualPatient) -> F32:
    """Return the text task's letters for this patient, A for label 0, in all their looks."""
    looks = len(LOOKS)
    glyphs = Glyphs(shape_letters(patient.calibration), patient.view.field, GLYPH_SIDE, looks=looks)
    alphabet = np.stack([[glyphs.of(letter, look) for look in range(looks)] for letter in LETTERS])
    return np.asarray(alphabet[trials.labels], np.float32)


def shipped(name: str) -> OfFrames:
    """Return a shipped map encoder, run frame by frame as on the device."""

    def encode(frames: U8, patient: VirtualPatient) -> F32:
        return encoded(open_encoder(MapEncoderConfig(type="map", model=name), patient.view), frames)

    return encode


def encoded(encoder: Encoder, frames: U8) -> F32:
    """Return the maps of frames u8[trials, time, ...], encoded one by one as on the device."""
    codes = [
        encoder.encode(Frame(k, k * FRAME_NS, readonly(rgb, np.uint8)), k * FRAME_NS).values
        for k, rgb in enumerate(_flat(frames))
    ]
    return np.stack(codes).reshape(*frames.shape[:2], *encoder.shape)


def _glyphs(path: Path) -> UnderTest:
    try:
        with np.load(path, allow_pickle=False) as file:
            maps = file["maps"].astype(np.float32)
    except (OSError, KeyError, ValueError) as error:
        raise ConfigError(
            f"{path}: no glyph set ({error}); give an .npz with 'maps' [classes, rows, columns]"
        ) from error
    return UnderTest(path.name, lambda trials, patient: maps[trials.labels][:, None], told=True)


def _imported(name: str) -> OfFrames:
    module, _, function = name.partition(":")
    try:
        found: OfFrames = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as missing:
        raise ConfigError(f"encoder '{name}': {missing}; give package.module:function") from missing
    return found


def _flat(frames: U8) -> U8:
    return frames.reshape(-1, *frames.shape[2:])
