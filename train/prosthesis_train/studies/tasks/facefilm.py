"""A strip of film of the face task: what the camera sees, what is wanted and what a patient sees, side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from prosthesis.bundles.bundle import load_bundle
from prosthesis.encoders.face import make_finder, make_painter
from prosthesis.faces.detect import find_faces
from prosthesis.faces.gallery import Gallery
from prosthesis.faces.tracks import Track, follow
from prosthesis.hops import FaceEncoderConfig
from prosthesis.messages import F32, U8, Frame
from prosthesis_train.observers.percepts import virtual_patient

RIG, PATIENT = "utah96", 1
STEP_NS, FRAMES = 100_000_000, 6
SIDE = 180
# name of the portrait, width of the face at first and at last, where: a person comes nearer from one side
WALKS = (
    ("obama", 30.0, 45.0, (100.0, 90.0)),
    ("collins", 60.0, 60.0, (160.0, 90.0)),
    ("biden", 45.0, 30.0, (215.0, 90.0)),
    ("hopper", 45.0, 45.0, (160.0, 90.0)),
)

Scene = Callable[[U8, tuple[float, float], float, float, tuple[float, float]], U8]


def draw_strip(
    folder: Path, config: FaceEncoderConfig, gallery: Gallery, portraits: dict[str, U8], in_scene: Scene
) -> list[str]:
    """Write ``tasks_faces.png``: a row a walk, camera, pattern map, its percept, face map, its percept."""
    patient = virtual_patient(RIG, PATIENT, map_side=64, side=SIDE, look="field")
    finder = make_finder(load_bundle("faces"), config, gallery)
    painters = [
        make_painter(config.model_copy(update={"mode": mode}), gallery, patient.view, patient.calibration)
        for mode in ("pattern", "face")
    ]
    rows = []
    for name, first, last, at in WALKS:
        if name not in portraits:
            continue
        rgb = portraits[name]
        face = find_faces(rgb, finder.detector)[0]
        tracks: tuple[Track, ...] = ()
        for number, width in enumerate(np.geomspace(first, last, FRAMES)):
            frame = in_scene(rgb, face.centre, face.width, float(width), at)
            found = finder.find(Frame(number, number * STEP_NS, frame))
            tracks = follow(tracks, found.seen, found.t_ns, config.threshold)
        maps = [painter.paint(tracks, (320, 180), found.t_ns) for painter in painters]
        with torch.no_grad():
            percepts = patient.percepts(torch.from_numpy(np.stack(maps))).numpy()
        verdict = tracks[0].verdict if tracks else None
        cells = [frame, *(_gray(part) for pair in zip(maps, percepts, strict=True) for part in pair)]
        rows.append(_row(cells, f"{name}: {'undecided' if verdict is None else verdict or 'a stranger'}"))
    name = "tasks_faces.png"
    cv2.imwrite(str(folder / name), cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR))
    return [name]


def _gray(picture: F32) -> U8:
    large = cv2.resize(np.clip(picture, 0, 1), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    gray: U8 = np.repeat((large * 255).astype(np.uint8)[..., None], 3, axis=2)
    return gray


def _row(cells: list[U8], text: str) -> U8:
    gap = np.full((SIDE, 6, 3), 255, np.uint8)
    row = np.concatenate([part for cell in cells for part in (cell, gap)], axis=1)
    title = np.full((26, row.shape[1], 3), 255, np.uint8)
    cv2.putText(title, text, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    whole: U8 = np.concatenate([title, row])
    return whole
