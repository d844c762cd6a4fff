"""What is presented when, in made-up time; and the encoder's seams."""

import math
import threading
import time

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prosthesis.bundles.bundle import load_bundle
from prosthesis.encoders import open_encoder
from prosthesis.encoders.text import LOOK_S, SIDE, Presenter, TextEncoder, open_reader
from prosthesis.errors import ConfigError
from prosthesis.hops import TextEncoderConfig
from prosthesis.letters.drawing import Shape, draw
from prosthesis.letters.glyphset import Glyphs
from prosthesis.messages import Frame
from prosthesis.protocols import Encoder, Speaking
from prosthesis.reading.presentation import Pace, pieces, progress, shown
from prosthesis.reading.reader import Findings, Word
from prosthesis.view import Field, View

FIELD = Field(-8.0, 8.0, -8.0, 8.0)
VIEW = View((0.0, 0.0, 1.0, 1.0), FIELD)
SHAPE = Shape(0.0, 0.0, 6.0, 8.0, 1.0)
PACE = Pace(letters_per_s=2.0, gap=0.25, word_pause_s=1.0)
BLACK = np.zeros((90, 160, 3), np.uint8)
S = 1_000_000_000


@given(st.text(alphabet="ABC", max_size=20), st.integers(1, 8))
def test_pieces_are_the_word_in_even_parts(word, at_once):
    parts = pieces(word, at_once)
    assert "".join(parts) == word
    assert all(1 <= len(part) <= at_once for part in parts)
    assert len({len(part) for part in parts}) <= 2
    assert len(parts) == -(-len(word) // at_once)


def test_letters_come_at_the_users_rate_with_gaps_and_a_pause():
    seen = [shown("LL", age_s, PACE) for age_s in (0.0, 0.37, 0.38, 0.5, 0.87, 0.88, 1.0, 1.99, 2.0)]
    pieces_seen = [piece[0] if piece else None for piece in seen]
    assert pieces_seen == ["L", "L", "", "L", "L", "", "", "", None]


def test_the_looks_at_a_letter_share_its_time_evenly():
    pace = Pace(letters_per_s=0.4, gap=0.2, word_pause_s=1.0, looks=4)
    assert [shown("L", age_s, pace) for age_s in (0.0, 0.49, 0.51, 1.01, 1.51, 1.99)] == [
        ("L", look) for look in (0, 0, 1, 2, 3, 3)
    ]
    assert shown("L", 2.01, pace) == ("", 0)


def test_short_words_are_shown_whole_for_as_long_as_their_letters_take():
    pace = Pace(2.0, 0.0, 0.0, at_once=3)
    seen = [shown("EXIT", age_s, pace) for age_s in (0.0, 0.99, 1.0, 1.99, 2.0)]
    assert seen == [("EX", 0), ("EX", 0), ("IT", 0), ("IT", 0), None]


def test_a_scrolling_word_enters_and_leaves_at_the_same_rate():
    assert [progress("BUS", age_s, PACE) for age_s in (0.0, 0.5, 1.0, 1.99)] == pytest.approx([-1.0, 0.0, 1.0, 2.98])
    assert progress("BUS", 2.5, PACE) == float("-inf")
    assert progress("BUS", 3.0, PACE) is None


def presenter(**changes):
    config = TextEncoderConfig(type="text", letters_per_s=2, gap=0.25, word_pause_s=1, **changes)
    return Presenter(config, VIEW, Glyphs(SHAPE, FIELD, SIDE))


def findings(*texts, confidence=0.9, y=0.5):
    half = np.array([[-0.05, -0.05], [0.05, -0.05], [0.05, 0.05], [-0.05, 0.05]])
    words = tuple(Word(text, confidence, half + np.array([0.2 + 0.15 * k, y])) for k, text in enumerate(texts))
    return Findings(1, 0, (words,))


def see(shower, *texts, times=2, **more):
    for _ in range(times):
        shower.take(findings(*texts, **more), 16 / 9)


def read_map(task_map):
    """Which letter a map is: the drawn one it equals."""
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        if np.array_equal(task_map, draw(letter, (SHAPE,), FIELD, SIDE)):
            return letter
    return "" if not task_map.any() else "?"


def test_words_are_spelled_one_after_another():
    shower = presenter(again_s=None)
    see(shower, "on", "24h,")
    seen = [read_map(shower.paint(BLACK, k * S // 10)) for k in range(60)]
    changes = [b for a, b in zip(["", *seen], seen, strict=False) if b and b != a]
    assert changes == ["O", "N", "?", "?", "H"]
    assert not any(seen[50:])
    assert shower.said() == ("on", "24h,")
    assert shower.said() == ()


def test_what_is_unsure_or_cannot_be_drawn_is_left_out():
    shower = presenter()
    see(shower, "MAYBE", confidence=0.5)
    see(shower, "!!")
    assert not shower.paint(BLACK, S).any()
    assert shower.said() == ()


def test_words_still_in_sight_come_again_after_a_silence():
    shower = presenter(again_s=2.0)
    see(shower, "I")
    seen = [read_map(shower.paint(BLACK, k * S // 10)) for k in range(80)]
    begins = [k for k in range(1, 80) if seen[k] == "I" and seen[k - 1] != "I"]
    # a letter of half a second, a pause of one, a silence of two, and the frame on which a word ends
    assert (seen[0], begins) == ("I", [35, 70])


def test_words_mode_shows_letters_side_by_side():
    shower = presenter(mode="words", letters_at_once=2)
    see(shower, "IIII")
    assert len(np.flatnonzero(np.diff(np.flatnonzero(shower.paint(BLACK, 0).max(axis=0))) > 1)) == 1


def test_scrolling_moves_and_ends():
    shower = presenter(mode="scroll", again_s=None)
    see(shower, "I")
    middles = []
    for k in range(30):
        shown_map = shower.paint(BLACK, k * S // 20)
        if shown_map.any():
            middles.append(np.average(np.arange(SIDE), weights=shown_map.sum(axis=0)))
    assert len(middles) > 10
    assert middles == sorted(middles, reverse=True)
    assert not shower.paint(BLACK, 5 * S).any()


@pytest.mark.parametrize("light", [True, False])
def test_the_fixed_window_shows_ink_at_the_views_centre_upright_and_bright(light):
    ground, ink = (20, 230) if light else (230, 20)
    rgb = np.full((90, 160, 3), ground, np.uint8)
    rgb[40:50, 20:140] = ground
    rgb[40:50, 78:82] = ink  # one upright stroke, at the view's centre
    line = np.array([[20, 40], [140, 40], [140, 50], [20, 50]]) / [160, 90]
    shower = presenter(mode="fixed")
    shower.take(Findings(1, 0, ((Word("I", 0.9, line),),)), 16 / 9)
    shown_map = shower.paint(rgb, 0)
    columns = np.flatnonzero(shown_map.max(axis=0) > 0.5)
    assert columns.mean() == pytest.approx(31.5, abs=2)
    # a line as high as letters with their strokes: 9 of 16 deg; the stroke is four tenths of that wide
    assert np.count_nonzero(shown_map.max(axis=1) > 0.5) == pytest.approx(36, abs=2)
    assert len(columns) == pytest.approx(14, abs=3)
    assert not presenter(mode="fixed").paint(rgb, 0).any()


def test_forgetting_starts_anew():
    shower = presenter()
    see(shower, "GATE")
    shower.forget()
    assert shower.said() == ()
    assert not shower.paint(BLACK, 0).any()


class Waiting:
    """A reader that finds one word, as often as it is let."""

    def __init__(self):
        self.frames, self.go = [], threading.Semaphore(0)

    def find(self, frame):
        assert self.go.acquire(timeout=5)
        self.frames.append(frame.seq)
        return findings("GO")


def test_the_path_never_waits_for_the_reading():
    reader = Waiting()
    encoder = TextEncoder(reader, presenter())
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, Speaking)
    code = encoder.encode(Frame(5, 77, BLACK), 0)
    assert (code.seq, code.t_ns, code.kind, code.shape) == (5, 77, "map", (SIDE, SIDE))
    assert not code.values.any()
    reader.go.release(3)
    said, now, end = (), 0, time.monotonic() + 5
    while not said and time.monotonic() < end:
        now += round(LOOK_S * S)
        encoder.encode(Frame(6, 78, BLACK), now)
        said = encoder.said()
        time.sleep(0.01)
    assert said == ("GO",)
    assert read_map(encoder.encode(Frame(7, 79, BLACK), now + 1).values.reshape(SIDE, SIDE)) == "G"
    reader.go.release(100)


def test_looks_are_apart():
    reader = Waiting()
    reader.go.release(100)
    encoder = TextEncoder(reader, presenter())
    for k in range(20):
        encoder.encode(Frame(k, k, BLACK), k * S // 40)
        time.sleep(0.005)
    assert len(reader.frames) <= 3


def test_a_bundle_of_another_processor_is_refused():
    with pytest.raises(ConfigError, match="choose model 'reading'"):
        open_reader(load_bundle("edges-32"), TextEncoderConfig(type="text", engine="null"))


def test_it_opens_from_its_config_without_a_calibration_and_reads():
    encoder = open_encoder(TextEncoderConfig(type="text"), VIEW)
    rgb = np.full((360, 640, 3), 30, np.uint8)
    cv2.putText(rgb, "EXIT", (200, 200), cv2.FONT_HERSHEY_DUPLEX, 2.0, (250, 250, 250), 4, cv2.LINE_AA)
    said, found, end, k = (), (), time.monotonic() + 20, 0
    while not said and time.monotonic() < end:
        encoder.encode(Frame(k, 10 * k, rgb), round(k * LOOK_S * S))
        said, found, k = encoder.said(), encoder.found(), k + 1
        time.sleep(0.02)
    assert said == ("EXIT",)
    ((word,),) = (one.items for one in found)
    assert (found[0].task, found[0].t_ns) == ("text", 10 * found[0].seq)
    assert (word.kind, word.label, word.time_s) == ("word", "EXIT", math.inf)
    assert word.confidence > 0.6
    drawn = np.argwhere(rgb.max(axis=2) > 128)  # the box is around the strokes, and not much larger
    (top, left), (bottom, right) = drawn.min(axis=0), drawn.max(axis=0)
    assert word.x * 640 == pytest.approx(left, abs=20)
    assert (word.x + word.width) * 640 == pytest.approx(right, abs=20)
    assert word.y * 360 == pytest.approx(top, abs=20)
    assert (word.y + word.height) * 360 == pytest.approx(bottom, abs=20)
    assert encoder.found() == ()
