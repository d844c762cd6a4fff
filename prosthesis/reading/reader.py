"""A picture in, the words in it out: detector, recogniser, and what is between them."""

from __future__ import annotations

from dataclasses import dataclass

from prosthesis.bundles.bundle import Bundle
from prosthesis.messages import U8, Frame
from prosthesis.protocols import Engine
from prosthesis.reading.characters import Reading, decode
from prosthesis.reading.lines import F64, Line, cut, find_lines, shrink

MOST_LINES = 8  # the largest; reading all small print of a page would take seconds


@dataclass(frozen=True, slots=True)
class Word:
    """One word: ``text`` without spaces, the recogniser's confidence in its line, and where it is.

    ``corners`` f64[4, 2] are (x, y) in fractions of the frame's width and height, clockwise from the upper left.
    """

    text: str
    confidence: float
    corners: F64


@dataclass(frozen=True, slots=True)
class Findings:
    """The words of the frame ``seq`` captured at ``t_ns``: one tuple a line, in no order."""

    seq: int
    t_ns: int
    lines: tuple[tuple[Word, ...], ...]


class Reader:
    """Runs the two graphs of a bundle of processor ``reading`` 1; stateless."""

    def __init__(self, bundle: Bundle, finder: Engine, recogniser: Engine) -> None:
        self._finder, self._recogniser = finder, recogniser
        find, read = bundle.manifest.graphs
        self._find, self._read = find.outputs[0].name, read.outputs[0].name
        self._pixels = find.inputs[0].name, read.inputs[0].name
        self._find_px = find.inputs[0].shape[2], find.inputs[0].shape[1]
        self._read_px = read.inputs[0].shape[2], read.inputs[0].shape[1]

    def find(self, frame: Frame) -> Findings:
        """Return the words in ``frame``."""
        lines = sorted(self.lines(frame.rgb), key=lambda line: -line.size_px[1])[:MOST_LINES]
        height, width = frame.rgb.shape[:2]
        found = (words(line, *self.read(frame.rgb, line), (width, height)) for line in lines)
        return Findings(frame.seq, frame.t_ns, tuple(filter(None, found)))

    def lines(self, rgb: U8) -> list[Line]:
        """Return the lines of text in a picture u8[h, w, 3]."""
        small, scale = shrink(rgb, self._find_px)
        return find_lines(self._finder.run({self._pixels[0]: small[None]})[self._find][0, 0], scale)

    def read(self, rgb: U8, line: Line) -> tuple[Reading, float]:
        """Return what ``line`` says, and which share of the strip read it fills."""
        strip, filled = cut(rgb, line.corners, self._read_px)
        return decode(self._recogniser.run({self._pixels[1]: strip[None]})[self._read][0]), filled


def words(line: Line, reading: Reading, filled: float, frame_px: tuple[int, int]) -> tuple[Word, ...]:
    """Return the words of a line that was read; each lies where its characters were found."""
    out, start = [], 0
    half = 0.5 / max(1, len(reading.places))
    for text in reading.words:
        end = start + len(text)
        first, last = reading.places[start] / filled, reading.places[end - 1] / filled
        corners = line.part(max(0.0, first - half), min(1.0, last + half)) / frame_px
        out.append(Word(text, reading.confidence, corners))
        start = end
    return tuple(out)
