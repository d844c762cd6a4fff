"""Words from frame to frame: what was read twice counts, once, however often and differently it is read."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

import numpy as np

from prosthesis.reading.lines import F64
from prosthesis.reading.reader import Word

NS_PER_S = 1_000_000_000
ALIKE = 0.7  # two readings of one place are the same word when difflib finds them so similar
CONFIRM = 2  # readings before a word counts
FORGET_S = 3.0  # a word not read for so long has left; when it comes back it is new
QUEUE = 12  # words waiting at most; a page would take minutes, and the wearer has looked elsewhere by then


@dataclass(slots=True)
class Known:
    """A word in sight: the summed confidence of each of its readings, where and when it was read last."""

    votes: dict[str, float]
    corners: F64
    seen_ns: int
    readings: int = 1
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

    def update(self, words: tuple[Word, ...], now_ns: int) -> list[str]:
        """Take in the words read in one frame, in their order; return those that count from now on, and queue them."""
        self.known = [word for word in self.known if now_ns - word.seen_ns <= FORGET_S * NS_PER_S]
        free = list(self.known)
        for word in words:
            match = next((known for known in free if _same(known, word)), None)
            if match is None:
                self.known.append(Known({word.text: word.confidence}, word.corners, now_ns))
                continue
            free.remove(match)
            match.votes[word.text] = match.votes.get(word.text, 0.0) + word.confidence
            match.corners, match.seen_ns = word.corners, now_ns
            match.readings += 1
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
