"""Direction of motion: a bar that crosses the square in one of eight directions, three frames."""

from __future__ import annotations

import cv2
import numpy as np

from prosthesis_train.tasks.drawing import noisy
from prosthesis_train.tasks.task import SQUARE, U8, Part, Random, Task

DIRECTIONS = ("right", "up right", "up", "up left", "left", "down left", "down", "down right")
FRAMES = 3


def draw(part: Part, label: int, random: Random) -> U8:
    """Return three frames of a light bar that moves across itself."""
    angle = np.deg2rad(45 * label + random.uniform(-8, 8))
    way, across = np.array([np.cos(angle), -np.sin(angle)]), np.array([np.sin(angle), np.cos(angle)])
    step, start = random.uniform(0.11, 0.19), random.uniform(-0.08, 0.08)
    half, thick = random.uniform(0.25, 0.5) * SQUARE, int(random.uniform(0.06, 0.12) * SQUARE)
    light = random.uniform(190, 255)
    frames = []
    for k in range(FRAMES):
        centre = SQUARE * (0.5 + way * (start + (k - 1) * step))
        image = np.zeros((SQUARE, SQUARE), np.uint8)
        a, b = (tuple(int(v) for v in np.rint(centre + s * half * across)) for s in (-1, 1))
        cv2.line(image, a, b, 255, thick, cv2.LINE_AA)
        frames.append(noisy(image.astype(np.float32) * np.float32(light / 255), random))
    return np.stack(frames)


TASKS = (
    Task(
        "motion",
        "in which of eight directions a bar moves",
        DIRECTIONS,
        draw,
        "drawn",
        ("60 electrodes: 15 of 28 Argus II users better with the system on (Dorn 2013)",),
    ),
)
