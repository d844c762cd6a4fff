"""Clips to learn motion from: rendered people, or any folder of films; whole identities are held out.

In a folder each film is one clip. Who is in it is the name of the sub-folder, however deep in it the film lies, or else
its own; a tenth of the identities, chosen by a hash of the name, is the test part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prosthesis.errors import ProsthesisError
from prosthesis_train.animation.people import Kind, Person, bodies, landmarks, motions, somebody
from prosthesis_train.animation.scene import F32, Body, render
from prosthesis_train.tasks.task import Part

U8 = npt.NDArray[np.uint8]
FILMS = {".mp4", ".webm", ".avi", ".mov", ".mkv", ".m4v"}
KINDS: tuple[Kind, ...] = ("faces", "figures")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Clips:
    """Frames u8[clips,frames,side,side,3] RGB, who is in each clip, and for rendered faces f32[clips,frames,10,2]."""

    frames: U8
    who: tuple[str, ...]
    landmarks: F32 | None = None

    @property
    def digest(self) -> str:
        """The SHA-256 of all pixels."""
        return hashlib.sha256(self.frames.tobytes()).hexdigest()

    def pair(self, batch: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return two frames of each of ``batch`` clips, f32[batch,3,side,side] in 0..1, of one light and colour."""
        clips, frames = self.frames.shape[:2]
        which = torch.randint(clips, (batch,), generator=random).numpy()
        order = torch.rand(batch, frames, generator=random).argsort(1).numpy()
        found = [to_float(self.frames[which, order[:, k]]) for k in (0, 1)]
        mirrored = torch.rand(batch, 1, 1, 1, generator=random) < 0.5
        gain = torch.empty(batch, 3, 1, 1).uniform_(0.8, 1.2, generator=random)
        gamma = torch.empty(batch, 1, 1, 1).uniform_(-0.3, 0.3, generator=random).exp()
        a, b = (torch.where(mirrored, x.flip(3), x).mul(gain).clamp(0, 1) ** gamma for x in found)
        return a, b


def to_float(frames: U8) -> Tensor:
    """Return u8[n,h,w,3] as f32[n,3,h,w] in 0..1."""
    return torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2))).float() / 255


def to_u8(picture: F32) -> U8:
    """Return a picture in 0..1 in bytes."""
    return np.asarray(np.rint(np.clip(picture, 0, 1) * 255), np.uint8)


@dataclass(frozen=True, slots=True)
class Shot:
    """A rendered clip with its truth: who it is and the scene of every frame."""

    who: Person
    scenes: tuple[tuple[Body, ...], ...]

    def frames(self) -> U8:
        """Return its pictures u8[frames,side,side,3]."""
        return np.stack([to_u8(render(scene, self.who.ground)) for scene in self.scenes])


def shot(kind: Kind, part: Part, number: int, frames: int, side: int, take: int = 0) -> Shot:
    """Return clip ``take`` of one identity."""
    who = somebody(kind, part, number, side)
    random = np.random.default_rng([number, take, 0 if part == "train" else 1, 79])
    return Shot(who, tuple(bodies(who, pose) for pose in motions(kind, frames, random)))


def rendered(kind: Kind, part: Part, people: int, frames: int, side: int, say: Say = print, first: int = 0) -> Clips:
    """Return a clip of each of ``people`` identities, from number ``first`` on."""
    shots = [shot(kind, part, number, frames, side) for number in range(first, first + people)]
    pictures = []
    for number, one in enumerate(shots):
        pictures.append(one.frames())
        if number % 50 == 49:
            say(f"rendered {number + 1} of {people} {kind}")
    names = tuple(f"{part} {number}" for number in range(first, first + people))
    marks = np.stack([[landmarks(s) for s in one.scenes] for one in shots]) if kind == "faces" else None
    return Clips(np.stack(pictures), names, marks)


def from_folder(folder: Path, part: Part, frames: int, side: int) -> Clips:
    """Return ``frames`` frames, evenly over each film of a part, the middle square of each.

    Raises ``ProsthesisError`` when there are no films, one is unreadable or too short, or the part has no identity.
    """
    films = sorted(path for path in folder.rglob("*") if path.suffix.lower() in FILMS) if folder.is_dir() else []
    if not films:
        raise ProsthesisError(f"{folder}: no films there ({', '.join(sorted(FILMS))}); check --data")
    of = {path: path.stem if path.parent == folder else path.relative_to(folder).parts[0] for path in films}
    chosen = [path for path in films if _held_out(of[path]) == (part == "test")]
    if not chosen:
        raise ProsthesisError(f"{folder}: nobody of {len(set(of.values()))} is in the {part} part; add more people")
    return Clips(np.stack([read_film(path, frames, side) for path in chosen]), tuple(of[path] for path in chosen))


def _held_out(name: str) -> bool:
    return hashlib.sha256(name.encode()).digest()[0] < 26


def read_film(path: Path, frames: int, side: int) -> U8:
    """Return ``frames`` frames u8[frames,side,side,3] evenly over a film, RGB."""
    capture, found = cv2.VideoCapture(str(path)), []
    while True:
        good, bgr = capture.read()
        if not good:
            break
        found.append(square(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8), side))
    if len(found) < max(2, frames):
        raise ProsthesisError(f"{path}: {len(found)} frames can be read, {frames} are needed; remove or convert it")
    return np.stack([found[int(k)] for k in np.linspace(0, len(found) - 1, frames)])


def square(rgb: U8, side: int) -> U8:
    """Return the middle square of a picture, ``side`` pixels wide."""
    edge = min(rgb.shape[:2])
    top, left = ((n - edge) // 2 for n in rgb.shape[:2])
    return np.asarray(cv2.resize(rgb[top : top + edge, left : left + edge], (side, side), interpolation=cv2.INTER_AREA))
