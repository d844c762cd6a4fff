"""What the recogniser of processor ``reading`` version 1 knows, and how its steps become text."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from prosthesis.messages import F32

# printable ASCII; column 0 of the recogniser is the blank, column k the (k - 1)th of these
CHARACTERS = "".join(map(chr, range(33, 127))) + " "


# a blank between two characters is a space when a space was this likely there: on signs the likeliest path misses
# half of the spaces, at which it is 0.04 to 0.4, against less than 0.01 within words (docs/text.md)
SPACE = 0.02


@dataclass(frozen=True, slots=True)
class Reading:
    """A line as it was read: its words, the mean probability of its characters, and each one's place along the line.

    ``places`` has as many numbers as the words have characters: the middles of the steps at which they were found,
    0 left to 1 right of the strip read.
    """

    words: tuple[str, ...]
    confidence: float
    places: tuple[float, ...]


def decode(steps: F32) -> Reading:
    """Return what the recogniser's ``steps`` f32[t, 1 + len(CHARACTERS)] say: the likeliest path, repeats merged.

    Connectionist temporal classification (Graves et al. 2006): equal columns in a row are one character, blanks part
    them and vanish.
    """
    best, blank, space = steps.argmax(axis=1), 0, len(CHARACTERS)
    begins = (best != blank) & (best != space) & (best != np.concatenate(([blank], best[:-1])))
    starts = np.flatnonzero(begins)
    if not len(starts):
        return Reading((), 0.0, ())
    text = CHARACTERS[best[starts[0]] - 1]
    for before, start in pairwise(starts):
        between = steps[before + 1 : start, space]
        apart = between.max(initial=0.0, where=best[before + 1 : start] != best[before]) > SPACE
        text += (" " if apart else "") + CHARACTERS[best[start] - 1]
    confidence = float(steps[starts, best[starts]].mean())
    return Reading(tuple(text.split(" ")), confidence, tuple((starts + 0.5) / len(best)))
