"""Words from frame to frame: what was read twice counts, once, however often and differently it is read."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

import numpy as np

from prosthesis.reading.lines import F64
from prosthesis.reading.reader import Word

ALIKE = 0.7  # two readings of one place are the same word when difflib finds them so similar
CONFIRM = 2  # readings before a word counts
FORGET = 8  # a word missed so many times in a row has left; when it comes back it is new
QUEUE = 12  # words waiting at most; a page would take minutes, and the wearer has looked elsewhere by then


@dataclass(slots=True)
class Known:
    """A word in sight: the summed confidence of each of its readings, its last place, and how often missed since."""

    votes: dict[str, float]
    corners: F64
    readings: int = 1
    missed: int = 0
    told: bool = False

    @property
    def text(self) -> str:
        """The reading of the most confidence."""
        return max(self.votes, key=lambda text: self.votes[text])


@dataclass(slots=True)
class Memory:
    """What is in sight, in the order in which it was first read, and who waits to be presented."""

    known: list[Known] = field(default_factory=list)
    queue: list[str] = field(default_factory=list)

    def update(self, words: tuple[Word, ...]) -> list[str]:
        """Take in the words read in one frame, in their order; return those that count from now on, and queue them."""
        free = list(self.known)
        for known in free:
            known.missed += 1
        for word in words:
            match = next((known for known in free if _same(known, word)), None)
            if match is None:
                self.known.append(Known({word.text: word.confidence}, word.corners))
                continue
            free.remove(match)
            match.votes[word.text] = match.votes.get(word.text, 0.0) + word.confidence
            match.corners, match.missed = word.corners, 0
            match.readings += 1
        self.known = [known for known in self.known if known.missed < FORGET]
        return self._tell()

    def _tell(self) -> list[str]:
        new = [word for word in self.known if word.readings >= CONFIRM and not word.told]
        for word in new:
            word.told = True
        texts = [word.text for word in new]
        self.queue = (self.queue + texts)[:QUEUE]
        return texts

    def in_sight(self) -> list[str]:
        """Return all words that count and have not left."""
        return [word.text for word in self.known if word.told]


def _same(known: Known, word: Word) -> bool:
    """Return whether this is the same word: read alike, wherever it moved, or nearly alike in the same place."""
    if word.text in known.votes:
        return True
    similar = difflib.SequenceMatcher(None, known.text.upper(), word.text.upper()).ratio() >= ALIKE
    return similar and _overlap(known.corners, word.corners)


def _overlap(a: F64, b: F64) -> bool:
    low, high = np.maximum(a.min(axis=0), b.min(axis=0)), np.minimum(a.max(axis=0), b.max(axis=0))
    return bool((low < high).all())
