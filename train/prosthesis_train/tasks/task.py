"""What a task is: stimuli as camera frames with labels, two disjoint parts, a chance level, published context."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from prosthesis.errors import ConfigError

U8 = npt.NDArray[np.uint8]
I64 = npt.NDArray[np.int64]
Random = np.random.Generator
Part = Literal["train", "test"]
# the reference rigs' cameras; their views lay the central square of the image onto the array's field
HEIGHT, WIDTH = 180, 320
SQUARE = 180
# how much of the scene the square shows: the cameras' lower and upper 17 degrees
WIDE_DEG = 34.0


@dataclass(frozen=True, slots=True)
class Trials:
    """Stimuli u8[k, t, h, w, 3] RGB, t frames a trial, and what each shows, i64[k] of the task's classes."""

    frames: U8
    labels: I64

    def __len__(self) -> int:
        return len(self.labels)


Draw = Callable[[Part, int, Random], U8]


@dataclass(frozen=True, slots=True)
class Task:
    """One recognition task.

    ``draw(part, label, random)`` returns one trial's gray pictures u8[t, 180, 180] of the square that the rigs see,
    in the test part with the ``lead``; nothing that ``train`` shows (font, picture, person, parameter) is in
    ``test``. ``zoomable`` says that a stimulus may be enlarged without changing its label. With ``match`` the test
    part's labels are ``test_people`` others, and the question is which of ``match`` pictures shows the same one.
    ``levels`` are the same task at given finenesses, each a share of the square (a gap, a bar), coarsest last.
    ``lead`` is how many frames of a test trial come before those that the observer judges, for encoders that need a
    past. ``published`` are human results, as context, never ours.
    """

    name: str
    summary: str
    classes: tuple[str, ...]
    draw: Draw
    source: str
    published: tuple[str, ...] = ()
    zoomable: bool = True
    match: int = 0
    test_people: int = 0
    lead: int = 0
    levels: tuple[tuple[float, Draw], ...] = ()

    @property
    def chance(self) -> float:
        """The accuracy of guessing: classes are equally frequent."""
        return 1 / (self.match or len(self.classes))

    def labels(self, part: Part) -> int:
        """Return how many labels there are in a part."""
        return self.test_people if self.match and part == "test" else len(self.classes)

    def at(self, level: int) -> Task:
        """Return the task at one fineness."""
        return replace(self, draw=self.levels[level][1], levels=())

    def pictures(self, part: Part, count: int, seed: int) -> tuple[U8, I64]:
        """Return ``count`` trials' squares u8[count, t, 180, 180] and labels, equally many of each class."""
        random = np.random.default_rng([seed, 0 if part == "train" else 1, len(self.classes)])
        labels = random.permutation(np.arange(count) % self.labels(part))
        return np.stack([self.draw(part, int(label), random) for label in labels]), labels

    def trials(self, part: Part, count: int, seed: int) -> Trials:
        """Return ``count`` trials of ``part`` as camera frames."""
        squares, labels = self.pictures(part, count, seed)
        return Trials(framed(squares), labels)


def framed(squares: U8) -> U8:
    """Return gray squares u8[k, t, 180, 180] in the middle of black camera frames u8[k, t, 180, 320, 3]."""
    frames = np.zeros((*squares.shape[:2], HEIGHT, WIDTH, 3), np.uint8)
    left = (WIDTH - SQUARE) // 2
    frames[:, :, :, left : left + SQUARE] = squares[..., None]
    return frames


def open_task(name: str) -> Task:
    """Return a task by name; ``ConfigError`` names those there are."""
    from prosthesis_train.tasks import acuity, digits, faces, letters, motion, objects, obstacles

    modules = (letters, digits, objects, faces, acuity, obstacles, motion)
    tasks: dict[str, Task] = {task.name: task for module in modules for task in module.TASKS}
    if name not in tasks:
        raise ConfigError(f"no task named '{name}'; there are: {', '.join(tasks)}")
    return tasks[name]
