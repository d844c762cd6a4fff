"""Film strip of obstacles: camera, task map and percept, of the street and of a rendered approach."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from prosthesis.cameras.opencv import CLIPS
from prosthesis.encoders import open_encoder
from prosthesis.encoders.obstacle import ObstacleEncoder
from prosthesis.hops import ObstacleEncoderConfig
from prosthesis.messages import F32, U8
from prosthesis.obstacles.finder import Findings
from prosthesis_train.observers.percepts import VirtualPatient, virtual_patient
from prosthesis_train.studies.tasks.approaches import FPS, Scene, render
from prosthesis_train.studies.tasks.obstacle_clips import SIZE, read_clip, watch

STRIP = 5  # pictures


def draw(folder: Path, scene: Scene) -> list[str]:
    """Draw one film strip: camera, task map and percept (96 electrodes) of the street and of a scene."""
    patient = virtual_patient("utah96", 0, dropout=0.2)
    street, fps = read_clip(CLIPS / "street.mp4")
    rendered = [render(scene, k) for k in range(scene.frames)]
    rows = [row for frames, pace in ((street, fps), (rendered, FPS)) for row in _strip(frames, pace, patient)]
    cv2.imwrite(str(folder / "tasks_obstacles.jpg"), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
    return ["tasks_obstacles.jpg"]


def _strip(frames: list[U8], fps: float, patient: VirtualPatient) -> list[U8]:
    """Return three rows of pictures, u8[180, n * 320 or 180 padded, 3]: frames with obstacles boxed, maps, percepts."""
    encoder = open_encoder(ObstacleEncoderConfig(type="obstacle"), patient.view)
    assert isinstance(encoder, ObstacleEncoder)
    found, _, _, _ = watch(frames, fps)
    at = np.linspace(len(frames) // 4, len(frames) - 1, STRIP).round().astype(int)
    maps = [encoder.paint(found[k], round((k + 1) / fps * 1e9)) for k in at]
    percepts = patient.percepts(torch.from_numpy(np.stack(maps))).detach().numpy()
    rows = [
        [_boxed(frames[k], found[k]) for k in at],
        [_gray(task_map) for task_map in maps],
        [_gray(percept) for percept in percepts],
    ]
    return [np.hstack(row) for row in rows]


def _boxed(rgb: U8, findings: Findings) -> U8:
    out = rgb.copy()
    for thing in findings.obstacles:
        corners = [
            (round(x * SIZE[0]), round(y * SIZE[1])) for x, y in ((thing.left, thing.top), (thing.right, thing.bottom))
        ]
        cv2.rectangle(out, corners[0], corners[1], (255, 60, 60) if thing.ahead else (90, 160, 255), 2)
    return np.asarray(out, np.uint8)


def _gray(values: F32) -> U8:
    side = cv2.resize(np.clip(values, 0, 1), (SIZE[1], SIZE[1]), interpolation=cv2.INTER_NEAREST)
    margin = (SIZE[0] - SIZE[1]) // 2
    wide = cv2.copyMakeBorder(side, 0, 0, margin, margin, cv2.BORDER_CONSTANT)
    return np.asarray(np.repeat((255 * wide)[..., None], 3, axis=2), np.uint8)
