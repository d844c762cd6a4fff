"""What must go before a map is fitted, each kind counted: values that are not finite, constant units, odd repeats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.responses.recordings import Recordings

MOST_MISSING = 0.1  # share of trials that a unit may miss before the unit goes rather than its trials


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Recordings that are finite and vary, and how many of what went."""

    recordings: Recordings
    units_missing: int  # not finite in more than MOST_MISSING of the trials
    trials_missing: int  # not finite in a unit that stayed
    images_too_few: int  # shown less often than asked for
    trials_too_many: int  # showings beyond those asked for
    units_constant: int  # the same in every trial that stayed

    def __str__(self) -> str:
        was = {
            "units not finite": self.units_missing,
            "trials not finite": self.trials_missing,
            "images shown too seldom": self.images_too_few,
            "showings too many": self.trials_too_many,
            "constant units": self.units_constant,
        }
        return ", ".join(f"{n} {what}" for what, n in was.items() if n) or "nothing"


def clean(recordings: Recordings, repeats: int | None = None) -> Cleaned:
    """Drop what cannot be fitted, in the order of ``Cleaned``'s fields; with ``repeats``, every picture keeps as many.

    Raises ``ProsthesisError`` when no unit, no trial or fewer than two pictures are left.
    """
    missing = ~np.isfinite(recordings.responses)
    units = missing.mean(0) <= MOST_MISSING
    _left(recordings.name, "unit is finite in most trials", int(units.sum()))
    trials = ~missing[:, units].any(1)
    _left(recordings.name, "trial is finite in all units that are left", int(trials.sum()))
    kept = recordings.only(np.flatnonzero(trials), np.flatnonzero(units))
    even, too_few, too_many = _evened(kept, repeats)
    varies = np.ptp(even.responses, axis=0) > 0
    _left(recordings.name, "unit varies over the trials", int(varies.sum()))
    if len(even.stimuli) < 2:
        raise ProsthesisError(f"{recordings.name}: one picture is left; nothing can be told from its responses")
    return Cleaned(
        even.only(np.arange(len(even.image)), np.flatnonzero(varies)),
        int((~units).sum()),
        int((~trials).sum()),
        too_few,
        too_many,
        int((~varies).sum()),
    )


def _evened(recordings: Recordings, repeats: int | None) -> tuple[Recordings, int, int]:
    if repeats is None:
        return recordings, 0, 0
    enough = recordings.repeats >= repeats
    if not enough.any():
        most = recordings.repeats.max()
        raise ProsthesisError(f"{recordings.name}: no picture was shown {repeats} times; the most is {most}")
    of_enough = enough[recordings.image]
    stays = of_enough & (recordings.repeat < repeats)
    return recordings.only(np.flatnonzero(stays)), int((~enough).sum()), int((of_enough & ~stays).sum())


def _left(name: str, what: str, n: int) -> None:
    if n == 0:
        raise ProsthesisError(f"{name}: no {what}; check that the file holds responses, not a mask or an empty run")
