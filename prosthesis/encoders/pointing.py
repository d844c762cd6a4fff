"""What encoders found, as the message that consoles and recordings show: boxes in fractions of the camera's frame."""

from __future__ import annotations

from collections.abc import Iterable

from prosthesis.faces.tracks import Track
from prosthesis.messages import Findings, Found
from prosthesis.obstacles.urgency import Obstacle
from prosthesis.reading.reader import Word

Pointed = tuple[Findings, ...]


class Pointer:
    """Keeps what one encoder found until it is asked for; a look that found nothing is told only after one that did."""

    def __init__(self, task: str) -> None:
        self._task = task
        self._new: Pointed = ()
        self._filled = False

    def point(self, seq: int, t_ns: int, items: Iterable[Found]) -> None:
        """Take in what was found in frame ``seq``."""
        told = Findings(seq, t_ns, self._task, tuple(items))
        if told.items or self._filled:
            self._new = (told,)
        self._filled = bool(told.items)

    def news(self) -> Pointed:
        """Return what is new since last asked, one at most."""
        new, self._new = self._new, ()
        return new

    def forget(self) -> None:
        """Forget what was found."""
        self._new, self._filled = (), False


def word(found: Word) -> Found:
    """Return a word with the upright box around it."""
    (left, top), (right, bottom) = found.corners.min(axis=0).tolist(), found.corners.max(axis=0).tolist()
    return Found("word", found.text, found.confidence, left, top, right - left, bottom - top)


def face(track: Track, frame_size: tuple[int, int], stranger: str) -> Found:
    """Return a person's face in a frame of (width, height) pixels, without a label while nobody knows whose it is."""
    width, height = frame_size
    left, top, right, bottom = (float(edge) for edge in track.face.box)
    label = "" if track.verdict is None else track.verdict or stranger
    box = (left / width, top / height, (right - left) / width, (bottom - top) / height)
    return Found("face", label, float(track.face.score), *box)


def obstacle(thing: Obstacle, share: float = 1.0) -> Found:
    """Return an obstacle whose picture is the left ``share`` of the frame's width."""
    x, width = float(thing.left) * share, float(thing.right - thing.left) * share
    y, height = float(thing.top), float(thing.bottom - thing.top)
    return Found("obstacle", thing.kind, float(thing.score), x, y, width, height, float(thing.time_s), thing.side)
