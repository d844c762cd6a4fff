"""Films of still, driving, flow, what is seen of the source, and result: drawn people, and a real portrait.

The portrait is scikit-image's ``astronaut`` (Eileen Collins, NASA, public domain). The networks learned from drawn
people only, so it shows how far that carries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from prosthesis.animation.animator import Animator, open_animator, relative
from prosthesis.animation.crops import portrait
from prosthesis.animation.films import Film
from prosthesis.animation.run import Shown
from prosthesis.bundles.bundle import load_bundle
from prosthesis.engines import open_engine
from prosthesis.messages import U8
from prosthesis.results import Figure
from prosthesis_train.animation.clips import shot
from prosthesis_train.data.photographs import PORTRAIT, read_picture, where

FRAMES, FPS, WIDTH = 36, 8.0, 128
HELD_OUT = 2501  # the first of the people shown; the figures are of others
Say = Callable[[str], None]
TITLES = ("still", "driving", "flow", "of the source seen", "result")


def measure(say: Say) -> list[Figure]:
    """Return nothing: films are to be looked at."""
    return []


def draw(folder: Path) -> list[str]:
    """Write ``animation.webm``, and one moment of it as ``animation.png``."""
    animator = open_animator()
    rows = [row(animator, *scene) for scene in scenes(animator.side)]
    film = Film(folder / "animation.webm", FPS)
    for number, parts in enumerate(zip(*rows, strict=True)):
        whole = np.concatenate([_titles(), *parts])
        film.add(whole)
        if number == FRAMES // 3:
            cv2.imwrite(str(folder / "animation.png"), cv2.cvtColor(whole, cv2.COLOR_RGB2BGR))
    film.close()
    return ["animation.webm", "animation.png"]


def scenes(side: int) -> list[tuple[U8, U8, bool]]:
    """Return stills, driving frames u8[n,side,side,3], and whether movement is relative.

    A person by their own clip, another by that clip, and the astronaut by two people.
    """
    own, other = (shot("faces", "test", HELD_OUT + k, FRAMES, side, take=1).frames() for k in (0, 1))
    third = shot("faces", "test", HELD_OUT + 2, FRAMES, side, take=1).frames()
    rgb = read_picture(where(PORTRAIT))
    real = portrait(rgb, open_engine(load_bundle("faces"), "onnx"), "astronaut").cut(rgb, side)
    return [(own[0], own, False), (third[0], own, True), (real, own, True), (real, other, True)]


def row(animator: Animator, still: U8, driving: U8, is_relative: bool) -> Iterator[U8]:
    """Yield the five panels of every driving frame."""
    of_source, first = animator.points(still), animator.points(driving[0])
    for frame in driving:
        now = animator.points(frame)
        wanted = relative(of_source, first, now) if is_relative else now
        whole = Shown(still, frame, animator.make(still, of_source, wanted)).row(True, True)
        yield np.asarray(cv2.resize(whole, (5 * WIDTH, WIDTH), interpolation=cv2.INTER_AREA), np.uint8)


def _titles() -> U8:
    bar = np.full((22, 5 * WIDTH, 3), 255, np.uint8)
    for number, text in enumerate(TITLES):
        cv2.putText(bar, text, (number * WIDTH + 4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
    return bar
