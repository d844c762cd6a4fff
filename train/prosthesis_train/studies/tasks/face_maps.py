"""The face task's head as the task scores want it: ``prosthesis_train.studies.tasks.face_maps:maps``.

What mode ``head`` shows of each still, bar included: found by BlazeFace, cut out along its outline, drawn as large as
the array. Drawn faces are larger in the frame than the detector likes, so it also looks at the frame with borders; of
what it finds the widest is taken. Where nothing is found nothing is shown. ``caricatures`` is mode ``face`` likewise.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis.bundles.bundle import load_bundle
from prosthesis.encoders.face import Finder, make_finder
from prosthesis.faces.align import aligned
from prosthesis.faces.detect import Face, find_faces
from prosthesis.faces.gallery import Gallery, embed
from prosthesis.faces.layout import SHAPE, lay_out
from prosthesis.faces.present import LOOK_NS, LOOKS, paint_face, paint_head
from prosthesis.faces.tracks import Track
from prosthesis.hops import FaceEncoderConfig
from prosthesis.messages import U8
from prosthesis_train.observers.percepts import VirtualPatient

F32 = npt.NDArray[np.float32]
Mode = Literal["face", "head"]


def maps(frames: U8, patient: VirtualPatient) -> F32:
    """Return maps f32[k, 3 t, 64, 64] of frames u8[k, t, h, w, 3]: every look at the head, and the bar."""
    layout, size = lay_out(patient.view, patient.calibration), (frames.shape[3], frames.shape[2])
    times = [look * LOOK_NS for look in range(len(LOOKS))]
    return _shown(
        frames, "head", lambda track: [paint_head(track, size, patient.view, layout, now_ns) for now_ns in times]
    )


def caricatures(frames: U8, patient: VirtualPatient) -> F32:
    """Return maps f32[k, t, 64, 64] of frames u8[k, t, h, w, 3]: the caricature of the face, and the bar."""
    layout, size = lay_out(patient.view, patient.calibration), (frames.shape[3], frames.shape[2])
    return _shown(frames, "face", lambda track: [paint_face(track, size, patient.view, layout)])


def _shown(frames: U8, mode: Mode, paint: Callable[[Track], list[F32]]) -> F32:
    """Return the looks of all frames one after the other; black where there is nobody."""
    looks = len(LOOKS) if mode == "head" else 1
    found = np.zeros((len(frames), frames.shape[1], looks, *SHAPE), np.float32)
    for trial, into in zip(frames, found, strict=True):
        for k, rgb in enumerate(trial):
            track = seen(rgb, mode)
            if track is not None:
                into[k] = paint(track)
    return found.reshape(len(frames), -1, *SHAPE)


# of the frame's width and height
BORDERS = (0.0, 0.25, 0.5)
# by mode and the frame's digest: scores show the same frames to many patients
_SEEN: dict[tuple[Mode, bytes], Track | None] = {}


def seen(rgb: U8, mode: Mode) -> Track | None:
    """Return the widest face in ``rgb`` with its drawing, ``None`` without one."""
    key = (mode, hashlib.blake2b(rgb.tobytes(), digest_size=16).digest())
    if key not in _SEEN:
        finder, face = _finder(mode), find_widest(rgb)
        _SEEN[key] = None if face is None else Track(face, finder.drawn(rgb, face), 0, (), 0.0)
    return _SEEN[key]


def find_widest(rgb: U8) -> Face | None:
    """Return the widest face that is found in the frame, bare or with a border of a quarter or half of it."""
    detector, size = _finder("head").detector, np.array([rgb.shape[1], rgb.shape[0]])
    faces = []
    for share in BORDERS:
        across, down = (int(v) for v in size * share)
        around = cv2.copyMakeBorder(rgb, down, down, across, across, cv2.BORDER_CONSTANT)
        for face in find_faces(np.asarray(around, np.uint8), detector):
            left, top, right, bottom = face.box
            box = (left - across, top - down, right - across, bottom - down)
            faces.append(Face(face.score, box, face.points - np.array([across, down])))
    return max(faces, key=lambda face: face.width, default=None)


def embedding(rgb: U8) -> F32 | None:
    """Return the identity f32[192] of the widest face in ``rgb``, ``None`` without one."""
    face = find_widest(rgb)
    return None if face is None else embed(aligned(rgb, face.points), _finder("head").embedder)


@functools.cache
def _finder(mode: Mode) -> Finder:
    return make_finder(
        load_bundle("faces"), FaceEncoderConfig(type="face", mode=mode, threshold=1.0, least_px=1.0), Gallery()
    )
