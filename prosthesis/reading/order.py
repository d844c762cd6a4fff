"""Which words come first: the most prominent block of lines, and within a block as one reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prosthesis.reading.lines import F64
from prosthesis.reading.reader import Word

Words = tuple[Word, ...]

NEAR = 1.0  # lines are one block when the gap between them is at most so many of their heights,
ALIKE = 2.0  # and neither is so many times higher than the other
CENTRE_SHARE = 0.35  # how far from the view's centre prominence falls to 1/e, as a share of the frame's width


@dataclass(frozen=True, slots=True)
class _Box:
    """A line's upright bounding box in fractions of the frame's width, and its words."""

    left: float
    right: float
    top: float
    bottom: float
    words: Words

    @property
    def height(self) -> float:
        return self.bottom - self.top

    def prominence(self, centre: F64) -> float:
        """Return its height, less the further it is from ``centre``."""
        away = np.hypot((self.left + self.right) / 2 - centre[0], (self.top + self.bottom) / 2 - centre[1])
        return float(self.height * np.exp(-away / CENTRE_SHARE))


def in_order(lines: tuple[Words, ...], crop: tuple[float, float, float, float], aspect: float) -> Words:
    """Return all words of ``lines`` in the order in which they are to be presented.

    ``crop`` is the view's (left, top, right, bottom) in fractions of the frame, ``aspect`` the frame's width over its
    height.
    """
    boxes = [_box(line, aspect) for line in lines if line]
    centre = np.array([(crop[0] + crop[2]) / 2, (crop[1] + crop[3]) / 2 / aspect])
    blocks = sorted(_blocks(boxes), key=lambda block: -max(box.prominence(centre) for box in block))
    return tuple(word for block in blocks for box in _as_read(block) for word in box.words)


def _box(line: Words, aspect: float) -> _Box:
    corners = np.concatenate([word.corners for word in line]) / [1.0, aspect]
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return _Box(float(left), float(right), float(top), float(bottom), line)


def _blocks(boxes: list[_Box]) -> list[list[_Box]]:
    """Join boxes that are together, directly or through others."""
    blocks: list[list[_Box]] = []
    for box in boxes:
        touching = [block for block in blocks if any(_together(box, other) for other in block)]
        blocks = [block for block in blocks if block not in touching]
        blocks.append([box, *(other for block in touching for other in block)])
    return blocks


def _together(a: _Box, b: _Box) -> bool:
    low, high = sorted((a.height, b.height))
    across = max(a.left, b.left) - min(a.right, b.right)
    down = max(a.top, b.top) - min(a.bottom, b.bottom)
    return high <= ALIKE * low and max(across, down) <= NEAR * low


def _as_read(block: list[_Box]) -> list[_Box]:
    """Return boxes row by row from the top, each from the left; a row is what overlaps its first by half a height."""
    rest, out = sorted(block, key=lambda box: box.top), []
    while rest:
        first = rest[0]
        row = [box for box in rest if (box.top + box.bottom) / 2 < first.bottom]
        out += sorted(row, key=lambda box: box.left)
        rest = [box for box in rest if box not in row]
    return out
