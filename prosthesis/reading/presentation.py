"""When what is shown: a word as a series of pieces with gaps, so that equal letters in a row stay two."""

from __future__ import annotations

from dataclasses import dataclass

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Pace:
    """The user's rate; ``gap`` is the share of each piece's time that is dark, ``word_pause_s`` follows a word.

    Each piece is shown ``looks`` times in its time, without a gap between.
    """

    letters_per_s: float
    gap: float
    word_pause_s: float
    at_once: int = 1
    looks: int = 1


def pieces(word: str, at_once: int) -> tuple[str, ...]:
    """Split a word into pieces of at most ``at_once`` letters, as even as can be, the longer ones first."""
    count = -(-len(word) // at_once)
    short, longer = divmod(len(word), max(count, 1))
    lengths = [short + (k < longer) for k in range(count)]
    starts = [sum(lengths[:k]) for k in range(count)]
    return tuple(word[start : start + length] for start, length in zip(starts, lengths, strict=True))


def shown(word: str, age_s: float, pace: Pace) -> tuple[str, int] | None:
    """Return which piece of ``word`` is shown ``age_s`` after it began, and which of its looks.

    The piece is "" in a gap; ``None`` when the word is over.
    """
    start_s = 0.0
    for piece in pieces(word, pace.at_once):
        length_s = len(piece) / pace.letters_per_s
        if age_s < start_s + length_s:
            part = (age_s - start_s) / (length_s * (1 - pace.gap))
            return (piece, int(part * pace.looks)) if part < 1 else ("", 0)
        start_s += length_s
    return ("", 0) if age_s < start_s + pace.word_pause_s else None


def progress(word: str, age_s: float, pace: Pace) -> float | None:
    """Return how far ``word`` has scrolled, from -1 to ``len(word)`` letters, -inf in its pause, ``None`` when over."""
    moved = age_s * pace.letters_per_s - 1.0
    if moved < len(word):
        return moved
    return float("-inf") if age_s < (len(word) + 1) / pace.letters_per_s + pace.word_pause_s else None


class Turns:
    """Whose turn it is: each word in its time, the queue first; what is still in sight again after a while.

    ``again_s`` is the silence before words in sight are repeated, ``None`` for never.
    """

    def __init__(self, again_s: float | None) -> None:
        self._again_s = again_s
        self._word: str | None = None
        self._began_ns = 0

    def current(self) -> str | None:
        """Return the word being presented, if any."""
        return self._word

    def age_s(self, now_ns: int) -> float:
        """Return for how long it, or the silence, has lasted."""
        return (now_ns - self._began_ns) / NS_PER_S

    def over(self, now_ns: int) -> None:
        """End the current word."""
        self._word, self._began_ns = None, now_ns

    def next(self, queue: list[str], in_sight: list[str], now_ns: int) -> None:
        """Begin the first word of ``queue``, taking it out, when none is being presented."""
        if self._word is not None:
            return
        if not queue and self._again_s is not None and self.age_s(now_ns) >= self._again_s:
            queue.extend(in_sight)
        if queue:
            self._word, self._began_ns = queue.pop(0), now_ns
