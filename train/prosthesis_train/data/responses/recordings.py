"""Real recordings in one form: trials by units, which image each trial showed, and splits that share no image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from prosthesis.errors import ProsthesisError

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Recordings:
    """``responses`` f64[trials, units], ``image`` i64[trials] into ``stimuli`` f32[images, h, w(, 3)] in 0..1.

    ``stimuli`` is ``None`` where a set holds only its images' numbers. ``dropped`` counts units that ``clean`` took
    out. Raises ``ProsthesisError`` when shapes disagree.
    """

    name: str
    responses: F64
    image: I64
    stimuli: npt.NDArray[np.float32] | None
    licence: str
    source: str
    dropped: int = 0

    def __post_init__(self) -> None:
        if self.responses.ndim != 2 or len(self.responses) != len(self.image) or not len(self.image):
            raise ProsthesisError(
                f"{self.name}: responses {list(self.responses.shape)} do not have one row for each of the "
                f"{len(self.image)} trials' images; pass [trials, units] and one image number a trial"
            )
        if self.image.min() < 0 or (self.stimuli is not None and self.image.max() >= len(self.stimuli)):
            shown = "no" if self.stimuli is None else str(len(self.stimuli))
            raise ProsthesisError(
                f"{self.name}: image numbers run from {self.image.min()} to {self.image.max()}, and there are "
                f"{shown} images; count them from 0"
            )

    @property
    def repeats(self) -> I64:
        """Which showing of its image each trial i64[trials] is, from 0."""
        order = np.argsort(self.image, kind="stable")
        ranked = self.image[order]
        first = np.searchsorted(ranked, ranked, side="left")
        out = np.empty(len(order), np.int64)
        out[order] = np.arange(len(order)) - first
        return out

    def by_repeat(self) -> F64:
        """Return f64[repeats, images, units], images in rising order; ``ProsthesisError`` when repeats differ."""
        shown, times = np.unique(self.image, return_counts=True)
        if len(set(times.tolist())) > 1:
            raise ProsthesisError(
                f"{self.name}: images were shown {times.min()} to {times.max()} times; take those shown equally often"
            )
        order = np.lexsort((self.image, self.repeats))
        return self.responses[order].reshape(int(times[0]), len(shown), -1)

    def splits(self, folds: int, seed: int = 0) -> Iterator[tuple[I64, I64]]:
        """Yield train and test trials i64 of each fold: no image is in both."""
        shown = np.unique(self.image)
        if not 2 <= folds <= len(shown):
            raise ProsthesisError(f"{self.name}: {folds} folds of {len(shown)} images; take 2 to {len(shown)}")
        for held in np.array_split(np.random.default_rng(seed).permutation(shown), folds):
            test = np.isin(self.image, held)
            yield np.flatnonzero(~test), np.flatnonzero(test)


def clean(recordings: Recordings) -> Recordings:
    """Return the recordings without units that never change, and count these.

    Raises ``ProsthesisError`` where a response is not a number (which trials to leave out is not ours to choose), or
    when no unit is left.
    """
    bad = ~np.isfinite(recordings.responses)
    if bad.any():
        raise ProsthesisError(
            f"{recordings.name}: {int(bad.sum())} responses are not finite, in {int(bad.any(axis=1).sum())} trials and "
            f"{int(bad.any(axis=0).sum())} units; leave those trials or units out"
        )
    kept = np.ptp(recordings.responses, axis=0) > 0
    if not kept.any():
        raise ProsthesisError(f"{recordings.name}: no unit ever changes; check what was exported")
    dropped = recordings.dropped + int((~kept).sum())
    return replace(recordings, responses=recordings.responses[:, kept], dropped=dropped)
