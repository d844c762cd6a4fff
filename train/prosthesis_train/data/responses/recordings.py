"""What a brain answered to which picture, and splits of the trials that never leak a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prosthesis.errors import ProsthesisError

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Split:
    """Trials to fit on and trials to test on, i64[...] each, in rising order."""

    train: I64
    test: I64


@dataclass(frozen=True, slots=True)
class Recordings:
    """Trials of one subject.

    ``responses`` f64[trials,units] in ``unit``; ``stimuli`` u8 or f32[images,h,w,c], each picture once; ``image``
    i64[trials], the picture of each trial; ``held_out`` bool[images], those that the set's authors kept for testing.
    Raises ``ProsthesisError`` when these do not fit together. Values that are not finite are left to ``clean``.
    """

    name: str
    responses: F64
    stimuli: U8 | F32
    image: I64
    held_out: Bools
    unit: str
    source: str
    terms: str

    def __post_init__(self) -> None:
        trials, pictures = len(self.responses), len(self.stimuli)
        if self.responses.ndim != 2 or self.responses.dtype != np.float64:
            _wrong(self.name, f"responses are f64[trials,units], not {self.responses.dtype}{self.responses.shape}")
        if self.stimuli.ndim != 4 or self.stimuli.dtype not in (np.uint8, np.float32):
            _wrong(self.name, f"stimuli are u8 or f32[images,h,w,c], not {self.stimuli.dtype}{self.stimuli.shape}")
        if self.image.shape != (trials,) or self.held_out.shape != (pictures,):
            _wrong(self.name, f"{trials} trials of {pictures} pictures, but image {self.image.shape}")
        if trials == 0 or not np.array_equal(np.unique(self.image), np.arange(pictures)):
            _wrong(self.name, "every trial names a picture of the stimuli, and every picture has a trial")
        if len({picture.tobytes() for picture in self.stimuli}) < pictures:
            _wrong(
                self.name, "two stimuli are equal in every pixel; as one picture they would share a split: assemble()"
            )

    @property
    def repeats(self) -> I64:
        """Return how often each picture was shown, i64[images]."""
        return np.bincount(self.image, minlength=len(self.stimuli)).astype(np.int64)

    @property
    def repeat(self) -> I64:
        """Return which showing of its picture each trial is, i64[trials] from 0, in the order of the trials."""
        out = np.empty(len(self.image), np.int64)
        for picture in range(len(self.stimuli)):
            of_it = np.flatnonzero(self.image == picture)
            out[of_it] = np.arange(len(of_it))
        return out

    def splits(self, how: str = "images", folds: int = 5, seed: int = 0) -> list[Split]:
        """Return splits by a name of ``SPLITS``.

        ``images`` (``folds`` of them) and ``published`` never have a picture on both sides. ``leave-one-repeat-out``
        does: it tests new trials of known pictures, which is identification and says nothing about new pictures.
        Raises ``ProsthesisError`` when the trials cannot be split so.
        """
        if how not in SPLITS:
            raise ProsthesisError(f"no split '{how}'; there are: {', '.join(SPLITS)}")
        return SPLITS[how](self, folds, seed)

    def only(self, trials: I64, units: I64 | None = None) -> Recordings:
        """Return some of the trials and units; pictures without a trial go."""
        shown, image = np.unique(self.image[trials], return_inverse=True)
        return Recordings(
            self.name,
            self.responses[trials] if units is None else self.responses[np.ix_(trials, units)],
            self.stimuli[shown],
            image.ravel().astype(np.int64),
            self.held_out[shown],
            self.unit,
            self.source,
            self.terms,
        )


def assemble(
    name: str, responses: F64, stimuli: U8 | F32, image: I64, held_out: Bools, unit: str, source: str, terms: str
) -> Recordings:
    """Return recordings of pictures that may lie in a set twice or without a trial.

    Pictures equal in every pixel become one, held out where one of them is; pictures without a trial go.
    """
    if image.size and not 0 <= image.min() <= image.max() < len(stimuli):
        _wrong(name, f"trials name pictures {image.min()} to {image.max()} of {len(stimuli)}")
    first: dict[bytes, int] = {}
    same = np.array([first.setdefault(picture.tobytes(), k) for k, picture in enumerate(stimuli)], np.int64)
    held = np.zeros(len(stimuli), bool)
    np.logical_or.at(held, same, held_out)
    shown, image = np.unique(same[image], return_inverse=True)
    return Recordings(name, responses, stimuli[shown], image.ravel().astype(np.int64), held[shown], unit, source, terms)


def _by_images(recordings: Recordings, folds: int, seed: int) -> list[Split]:
    pictures = len(recordings.stimuli)
    if not 2 <= folds <= pictures:
        raise ProsthesisError(f"{recordings.name}: {pictures} pictures make 2 to {pictures} folds, not {folds}")
    fold = np.random.default_rng(seed).permutation(pictures) % folds
    return [_split(fold[recordings.image] == k) for k in range(folds)]


def _published(recordings: Recordings, folds: int, seed: int) -> list[Split]:
    if recordings.held_out.all() or not recordings.held_out.any():
        raise ProsthesisError(f"{recordings.name}: its authors held no pictures out for testing; take splits('images')")
    return [_split(recordings.held_out[recordings.image])]


def _leave_one_repeat_out(recordings: Recordings, folds: int, seed: int) -> list[Split]:
    least, most = recordings.repeats.min(), recordings.repeats.max()
    if least != most or least < 2:
        raise ProsthesisError(
            f"{recordings.name}: pictures were shown {least} to {most} times; leave-one-repeat-out needs all as often, "
            f"and twice at least: clean(recordings, repeats={max(least, 2)})"
        )
    return [_split(recordings.repeat == k) for k in range(least)]


def _split(test: Bools) -> Split:
    return Split(np.flatnonzero(~test).astype(np.int64), np.flatnonzero(test).astype(np.int64))


SPLITS: dict[str, Callable[[Recordings, int, int], list[Split]]] = {
    "images": _by_images,
    "published": _published,
    "leave-one-repeat-out": _leave_one_repeat_out,
}


def _wrong(name: str, what: str) -> None:
    raise ProsthesisError(f"{name}: {what}")
