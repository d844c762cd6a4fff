"""Who is in front of the camera, from one finding to the next: votes instead of one picture's word, and approach.

Pure functions of what was seen before and what is seen now.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from prosthesis.faces.detect import Face, overlap
from prosthesis.faces.gallery import Match
from prosthesis.messages import F32

VOTES = 9  # the newest of a track that count
ENOUGH = 3  # nothing is said of a person on fewer
STRANGER = ""
SAME = 0.2  # overlap of two findings of one face
LOST_S = 1.0  # a face unseen for so long is another's when it comes back
GROWTH_S = 0.5  # over which approach is averaged


@dataclass(frozen=True, slots=True)
class Seen:
    """A face in one picture, its drawing f32[side, side], and whom it resembles, ``None`` when too small to tell."""

    face: Face
    match: Match | None
    drawing: F32


@dataclass(frozen=True, slots=True)
class Track:
    """One person over time. ``votes`` are names, ``STRANGER`` for nobody's; ``growth`` is of the face's size, per s."""

    face: Face
    drawing: F32
    t_ns: int
    votes: tuple[str, ...]
    growth: float = 0.0

    @property
    def verdict(self) -> str | None:
        """The name that has more than half of the votes, ``STRANGER`` when nobody's has, ``None`` while undecided."""
        if len(self.votes) < ENOUGH:
            return None
        top = max(sorted(set(self.votes)), key=self.votes.count)
        if self.votes.count(top) * 2 > len(self.votes):
            return top
        return None


def follow(tracks: tuple[Track, ...], seen: Sequence[Seen], t_ns: int, threshold: float) -> tuple[Track, ...]:
    """Return the tracks after the faces ``seen`` at ``t_ns``, largest face first.

    A face within ``threshold`` (cosine) of an enrolled person votes for them, any other for a stranger. A track that
    was not seen now stays for ``LOST_S``.
    """
    left = [track for track in tracks if t_ns - track.t_ns <= LOST_S * 1e9]
    now = []
    for item in sorted(seen, key=lambda item: -item.face.width):
        before = _nearest(item.face, left)
        if before is not None:
            left.remove(before)
        now.append(_step(before, item, t_ns, threshold))
    return (*now, *left)


def vote(match: Match, threshold: float) -> str:
    """Return the name a face votes for, ``STRANGER`` when it is like nobody enrolled."""
    return match.person.name if match.person is not None and match.cosine >= threshold else STRANGER


def _nearest(face: Face, tracks: list[Track]) -> Track | None:
    overlaps = [float(overlap(face.box, [track.face.box])[0]) for track in tracks]
    best = max(range(len(tracks)), key=overlaps.__getitem__, default=None)
    return tracks[best] if best is not None and overlaps[best] >= SAME else None


def _step(before: Track | None, item: Seen, t_ns: int, threshold: float) -> Track:
    votes = before.votes if before is not None else ()
    if item.match is not None:
        votes = (*votes, vote(item.match, threshold))[-VOTES:]
    if before is None or t_ns <= before.t_ns:
        return Track(item.face, item.drawing, t_ns, votes)
    dt_s = (t_ns - before.t_ns) / 1e9
    rate = math.log(max(item.face.width, 1e-6) / max(before.face.width, 1e-6)) / dt_s
    keep = math.exp(-dt_s / GROWTH_S)
    return Track(item.face, item.drawing, t_ns, votes, keep * before.growth + (1 - keep) * rate)
