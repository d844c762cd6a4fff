"""Processor ``reading`` version 1: words in the camera picture, presented letter by letter through few phosphenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from prosthesis.background import Background
from prosthesis.bundles.bundle import MANIFEST, Bundle
from prosthesis.calibration.table import Calibration
from prosthesis.encoders.pointing import Pointed, Pointer, word
from prosthesis.engines import open_engine
from prosthesis.errors import ConfigError
from prosthesis.hops import TextEncoderConfig
from prosthesis.letters.glyphset import Glyphs, drawable, load_letters
from prosthesis.letters.shaping import plain_shape, shape_letters
from prosthesis.messages import F32, U8, Frame, MachineCode, readonly
from prosthesis.reading.characters import CHARACTERS
from prosthesis.reading.memory import Memory
from prosthesis.reading.order import Words, in_order
from prosthesis.reading.presentation import NS_PER_S, Pace, Turns, progress, shown
from prosthesis.reading.reader import Findings, Reader
from prosthesis.reading.window import window
from prosthesis.view import View

SIDE = 64
LOOK_S = 0.25  # reading four times a second is faster than letters are shown, and leaves a laptop's second core free


class Presenter:
    """Turns findings into maps, in time: what was read, what waits, and whose turn it is. Reads no clock."""

    def __init__(self, config: TextEncoderConfig, view: View, glyphs: Glyphs) -> None:
        at_once = config.letters_at_once if config.mode == "words" else 1
        self._config, self._view, self.glyphs = config, view, glyphs
        self._pace = Pace(config.letters_per_s, config.gap, config.word_pause_s, at_once, config.looks)
        self.forget()

    def forget(self) -> None:
        """Forget all words."""
        self._memory, self._turns, self._newest = Memory(), Turns(self._config.again_s), Findings(0, 0, ())
        self._said: list[str] = []
        self._pointer = Pointer("text")

    def take(self, findings: Findings, aspect: float) -> None:
        """Take in the words of one frame, of ``aspect`` width over height; ``said`` tells those that are new."""
        self._newest = findings
        sure = tuple(self._sure(line) for line in findings.lines)
        self._pointer.point(findings.seq, findings.t_ns, (word(one) for line in sure for one in line))
        self._said += self._memory.update(in_order(sure, self._view.crop, aspect))

    def said(self) -> tuple[str, ...]:
        """Return the words that were new since last asked."""
        said, self._said = tuple(self._said), []
        return said

    def found(self) -> Pointed:
        """Return the words of the newest frame that was read, if that is new since last asked."""
        return self._pointer.news()

    def paint(self, rgb: U8, now_ns: int) -> F32:
        """Return the map f32[SIDE, SIDE] to show at ``now_ns``; ``rgb`` u8[h, w, 3] is what the camera sees then."""
        if self._config.mode == "fixed":
            return window(rgb, self._newest.lines, self._view, self.glyphs.shape, SIDE)
        self._turns.next(self._memory.queue, self._memory.in_sight(), now_ns)
        turn = self._turns.current()
        if turn is None:
            return self.glyphs.of("")
        text, age_s = drawable(turn), self._turns.age_s(now_ns)
        painted = self._passing(text, age_s) if self._config.mode == "scroll" else self._piece(text, age_s)
        if painted is None:
            self._turns.over(now_ns)
            return self.glyphs.of("")
        return painted

    def _sure(self, line: Words) -> Words:
        return tuple(one for one in line if one.confidence >= self._config.confidence and drawable(one.text))

    def _piece(self, text: str, age_s: float) -> F32 | None:
        piece = shown(text, age_s, self._pace)
        return None if piece is None else self.glyphs.of(*piece)

    def _passing(self, text: str, age_s: float) -> F32 | None:
        place = progress(text, age_s, self._pace)
        if place is None:
            return None
        return self.glyphs.of("") if place == float("-inf") else self.glyphs.passing(text, place)


class TextEncoder:
    """Reads in the background, ``LOOK_S`` apart, and presents at the camera's pace; ``Speaking``."""

    def __init__(self, reader: Reader, presenter: Presenter) -> None:
        self.shape: tuple[int, ...] = (SIDE, SIDE)
        self._presenter = presenter
        self._background: Background[Frame, Findings] = Background(reader.find, "reading")
        self._done: Findings | None = None
        self._offered_ns = -(1 << 62)

    def encode(self, frame: Frame, now_ns: int) -> MachineCode:
        """Return the map f32[SIDE * SIDE] of what is presented at ``now_ns``."""
        if now_ns - self._offered_ns >= LOOK_S * NS_PER_S:
            self._background.offer(frame)
            self._offered_ns = now_ns
        findings = self._background.latest()
        if findings is not None and findings is not self._done:
            self._done = findings
            self._presenter.take(findings, frame.rgb.shape[1] / frame.rgb.shape[0])
        shown = self._presenter.paint(frame.rgb, now_ns)
        return MachineCode(frame.seq, frame.t_ns, readonly(shown, np.float32).reshape(-1), "map", self.shape)

    def said(self) -> tuple[str, ...]:
        """Return the words that were new since last asked, for whoever reads them out."""
        return self._presenter.said()

    def found(self) -> Pointed:
        """Return the words of the newest frame that was read, if that is new since last asked."""
        return self._presenter.found()

    def forget(self) -> None:
        """Forget all words; those of a frame that is being read now still come."""
        self._done = self._background.latest()
        self._presenter.forget()


def open_text_encoder(
    bundle: Bundle, config: TextEncoderConfig, view: View, calibration: Calibration | None
) -> TextEncoder:
    """Return the encoder with letters shaped for ``calibration``'s patient; ``ConfigError`` when a part is wrong."""
    return TextEncoder(open_reader(bundle, config), Presenter(config, view, open_glyphs(config, view, calibration)))


def open_reader(bundle: Bundle, config: TextEncoderConfig) -> Reader:
    """Return the networks of ``bundle``; ``ConfigError`` when it is no bundle of processor ``reading`` 1."""
    manifest = bundle.manifest
    as_described = (
        manifest.processor.name == "reading"
        and (manifest.colour_order, manifest.normalisation) == ("rgb", "in_graph")
        and len(manifest.graphs) == 2
        and manifest.graphs[1].outputs[0].shape[-1] == len(CHARACTERS) + 1
    )
    if not as_described:
        raise ConfigError(
            f"{bundle.folder / MANIFEST}: processor reading 1 runs a detector of lines and a recogniser of "
            f"{len(CHARACTERS)} characters; choose model 'reading'"
        )
    finder, recogniser = (open_engine(bundle, config.engine, config.provider, index) for index in (0, 1))
    return Reader(bundle, finder, recogniser)


def open_glyphs(config: TextEncoderConfig, view: View, calibration: Calibration | None) -> Glyphs:
    """Return this patient's letters; without a calibration they fill the field."""
    shape = plain_shape(view.field) if calibration is None else shape_letters(calibration)
    learned = None if config.glyphs == "ordinary" else load_letters(Path(config.glyphs), view.field, SIDE)
    return Glyphs(shape, view.field, SIDE, learned, config.looks)
