"""What ``prosthesis animate`` does: read, crop, find keypoints, paint, write and show."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prosthesis.animation.animator import Animator, Made, open_animator, relative
from prosthesis.animation.crops import Square, middle, portrait
from prosthesis.animation.drivers import Seen, driving, file_behind
from prosthesis.animation.films import MARK, Film, Paced, flow_picture, gray_picture, panel
from prosthesis.errors import ProsthesisError
from prosthesis.faces.enrol import read_picture
from prosthesis.files import same_file
from prosthesis.messages import U8

CONSENT = "animate only people who agreed to it, and say that it is artificial: docs/animation.md"
DECIDES = "it decides where all are cut"
TELL_S = 2.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for; see the verb's options."""

    source: Path
    driving: str
    relative: bool = True
    out: Path | None = None
    view: bool = False
    panels: bool = False
    whole: bool = False
    frames: int | None = None
    watermark: bool = True


@dataclass(frozen=True, slots=True)
class Shown:
    """One moment: the still and the driving picture as the networks saw them, what was made, and when it was seen."""

    still: U8
    driving: U8
    made: Made
    at_s: float = 0.0

    def row(self, panels: bool, watermark: bool) -> U8:
        """Return what is written and shown: the result, or five panels beside each other."""
        result = panel(self.made.picture, MARK if watermark else "")
        if not panels:
            return result
        others = (self.still, self.driving, flow_picture(self.made.flow), gray_picture(self.made.visible))
        return np.concatenate([*(panel(one) for one in others), result], axis=1)


def animate(wish: Wish, model: str, engine: str, say: Callable[[str], None]) -> tuple[int, float]:
    """Animate as wished; return how many pictures were made, and how many a second.

    Raises ``ProsthesisError`` when picture or film cannot be read or show no face, or there is nowhere to show it.
    """
    _check(wish)
    say(CONSENT)
    animator, count, began = open_animator(model, engine), 0, time.monotonic()
    still = _still(animator, wish)
    pictures, fps = driving(wish.driving)
    with ExitStack() as stack:
        shows: list[Callable[[U8, float], None]] = []
        if wish.out is not None:
            film = Paced(Film(wish.out, fps))
            stack.callback(film.close)
            shows.append(film.add)
        told = time.monotonic()
        try:
            for moment in moments(animator, wish, still, pictures):
                if wish.view and not count:  # source and first driving picture have shown that they serve
                    shows.append(_page(stack, say))
                for show in shows:
                    show(moment.row(wish.panels, wish.watermark), moment.at_s)
                count += 1
                if time.monotonic() - told > TELL_S:
                    told = time.monotonic()
                    say(f"{count} pictures")
                if count == wish.frames:
                    break
        except KeyboardInterrupt:
            say("stopped")
    if not count:
        raise ProsthesisError(f"{wish.driving}: no pictures came; check --driving")
    return count, count / (time.monotonic() - began)


def moments(animator: Animator, wish: Wish, still: U8, pictures: Iterator[Seen]) -> Iterator[Shown]:
    """Yield ``still`` as each driving picture moves it; the square of the first driving picture stays."""
    of_source, first, square = animator.points(still), None, None
    for picture in pictures:
        square = square or _square(picture.rgb, wish.whole, f"{wish.driving}, first picture ({DECIDES})")
        seen = square.cut(picture.rgb, animator.side)
        now = animator.points(seen)
        first = first or now
        made = animator.make(still, of_source, relative(of_source, first, now) if wish.relative else now)
        yield Shown(still, seen, made, picture.at_s)


def _check(wish: Wish) -> None:
    """Refuse a wish that nobody would see the result of, or that would write over what it is made from."""
    if wish.out is None and not wish.view:
        raise ProsthesisError("animate: nowhere to show it; give --out FILM, or --view")
    for option, path in (("--source", wish.source), ("--driving", file_behind(wish.driving))):
        if wish.out is not None and path is not None and same_file(wish.out, path):
            raise ProsthesisError(f"{wish.out}: is what {option} is read from; choose another name for --out")


def _page(stack: ExitStack, say: Callable[[str], None]) -> Callable[[U8, float], None]:
    from prosthesis.animation.browser import Page

    page = stack.enter_context(Page())
    say(f"open {page.address} in a browser; Ctrl-C ends")
    return lambda rgb, _: page.show(rgb)


def _still(animator: Animator, wish: Wish) -> U8:
    rgb = read_picture(wish.source)
    return _square(rgb, wish.whole, str(wish.source)).cut(rgb, animator.side)


def _square(rgb: U8, whole: bool, what: str) -> Square:
    if whole:
        return middle(rgb)
    from prosthesis.bundles.bundle import load_bundle
    from prosthesis.engines import open_engine

    return portrait(rgb, open_engine(load_bundle("faces"), "onnx"), what)
