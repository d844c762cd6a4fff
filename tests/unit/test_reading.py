"""Lines, characters, order and memory against closed forms, and the real graphs on words rendered here."""

import importlib.util

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prosthesis.bundles.bundle import load_bundle
from prosthesis.engines import open_engine
from prosthesis.messages import Frame
from prosthesis.reading.characters import CHARACTERS, decode
from prosthesis.reading.lines import Line, cut, find_lines, shrink
from prosthesis.reading.memory import CONFIRM, FORGET, QUEUE, Memory
from prosthesis.reading.order import in_order
from prosthesis.reading.reader import Reader, Word

WHOLE = (0.0, 0.0, 1.0, 1.0)
SPACE = CHARACTERS.index(" ") + 1


def steps(path, spaces=()):
    """A recogniser's output that says ``path``, '_' for the blank; ``spaces`` are {step: probability of a space}."""
    out = np.full((len(path), len(CHARACTERS) + 1), 1e-4, np.float32)
    for step, character in enumerate(path):
        out[step, 0 if character == "_" else CHARACTERS.index(character) + 1] = 0.9
    for step, probability in dict(spaces).items():
        out[step, SPACE] = probability
    return out


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("_H_I__", ("HI",)),
        ("HHHIII", ("HI",)),
        ("_L_L_", ("LL",)),
        ("_LL_", ("L",)),
        ("AT ALL", ("AT", "AL")),
        ("AT AL_L", ("AT", "ALL")),
        ("  A  ", ("A",)),
        ("____", ()),
    ],
)
def test_the_likeliest_path_is_collapsed_as_ctc_says(path, words):
    assert decode(steps(path)).words == words


def test_a_faint_space_in_a_blank_parts_words_and_a_fainter_one_does_not():
    assert decode(steps("_A_T_A_L_", {4: 0.1})).words == ("AT", "AL")
    assert decode(steps("_A_T_A_L_", {4: 0.01})).words == ("ATAL",)


def test_confidence_is_the_characters_mean_and_places_are_where_they_were_found():
    reading = decode(steps("_A__B_"))
    assert reading.confidence == pytest.approx(0.9)
    assert reading.places == pytest.approx((1.5 / 6, 4.5 / 6))


@given(st.text(alphabet="ABC 19", max_size=12))
def test_any_text_spelled_with_blanks_between_is_read_back(text):
    reading = decode(steps("_" + "".join(character + "_" for character in text)))
    assert reading.words == tuple(text.split())
    assert len(reading.places) == sum(map(len, reading.words))


@pytest.mark.parametrize("tilt_deg", [0, 12, -20, 35])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_core_is_found_and_grown_as_the_paper_says(tilt_deg, scale):
    core = cv2.boxPoints(((100.0, 60.0), (80.0, 16.0), float(tilt_deg)))
    text = np.zeros((120, 200), np.float32)
    cv2.fillPoly(text, [np.rint(core).astype(np.int32)], 0.9)
    (line,) = find_lines(text, scale)
    grow = 80 * 16 * 1.6 / (2 * (80 + 16))  # area * 1.6 / perimeter, on each side
    assert line.size_px == pytest.approx(
        ((80 + 2 * grow) / scale, (16 + 2 * grow) / scale), abs=6.0 / scale
    )  # dilated by a pixel, on a raster
    np.testing.assert_allclose(line.corners.mean(axis=0), np.array([100.5, 60.5]) / scale, atol=1.5 / scale)
    along = line.corners[1] - line.corners[0]
    assert np.rad2deg(np.arctan2(along[1], along[0])) == pytest.approx(tilt_deg, abs=3.0)


def test_faint_and_tiny_cores_are_no_lines():
    text = np.zeros((60, 60), np.float32)
    text[10:20, 10:40] = 0.4  # a core, but less sure than a line must be
    text[40:42, 40:42] = 1.0
    assert find_lines(text, 1.0) == []


def test_shrinking_keeps_shape_and_leaves_black():
    small, scale = shrink(np.full((100, 300, 3), 200, np.uint8), (150, 90))
    assert scale == 0.5
    assert (small[:50] == 200).all()
    assert not small[50:].any()


def test_a_tilted_line_is_cut_upright():
    upright = np.zeros((40, 120, 3), np.uint8)
    upright[:, :60], upright[:20, 60:] = 255, (255, 0, 0)
    turn = cv2.getRotationMatrix2D((60, 20), 25, 1.0)
    turn[:, 2] += (60, 80)
    tilted = cv2.warpAffine(upright, turn, (240, 200))
    edges = np.array([[0, 0], [120, 0], [120, 40], [0, 40]], np.float64)
    corners = edges @ turn[:, :2].T + turn[:, 2]
    strip, filled = cut(tilted, corners, (160, 48))
    assert filled == pytest.approx(144 / 160)  # 120:40 at a height of 48
    np.testing.assert_allclose(strip[24, 40], 255, atol=3)
    np.testing.assert_allclose(strip[10, 110], (255, 0, 0), atol=3)
    np.testing.assert_allclose(strip[38, 110], 0, atol=3)
    assert (strip[:, 145:] == 127).all()


def word(text, x=0.5, y=0.5, width=0.1, height=0.04, confidence=0.9):
    half = np.array([width, height]) / 2
    corners = np.array([x, y]) + half * [[-1, -1], [1, -1], [1, 1], [-1, 1]]
    return Word(text, confidence, corners)


def test_words_of_a_block_come_as_one_reads_and_the_prominent_block_first():
    lines = (
        (word("SMALL", 0.1, 0.9, height=0.03),),
        (word("SECOND", 0.5, 0.56, height=0.05),),
        (word("RIGHT", 0.62, 0.5, height=0.05),),
        (word("FIRST", 0.45, 0.5, height=0.05), word("NEXT", 0.53, 0.505, height=0.05)),
        (word("FAR", 0.95, 0.1, height=0.05),),
    )
    texts = [found.text for found in in_order(lines, WHOLE, 1.0)]
    assert texts == ["FIRST", "NEXT", "RIGHT", "SECOND", "FAR", "SMALL"]


def test_the_views_own_centre_counts():
    lines = ((word("LEFT", 0.2),), (word("RIGHT", 0.8),))
    assert in_order(lines, (0.0, 0.0, 0.4, 1.0), 16 / 9)[0].text == "LEFT"
    assert in_order(lines, (0.6, 0.0, 1.0, 1.0), 16 / 9)[0].text == "RIGHT"


def test_a_word_counts_when_read_twice_and_is_told_once():
    memory = Memory()
    told = [memory.update((word("EXIT"),)) for _ in range(5)]
    assert told == [[], ["EXIT"], [], [], []]
    assert memory.queue == ["EXIT"]
    assert memory.in_sight() == ["EXIT"]


def test_a_reading_that_flickers_is_one_word_with_its_best_reading():
    memory = Memory()
    for text, confidence in (("PARKING", 0.9), ("PARKLNG", 0.75), ("PARKING", 0.95), ("PARXING", 0.7)):
        memory.update((word(text, confidence=confidence),))
    assert memory.in_sight() == ["PARKING"]
    assert memory.queue == ["PARKING"]


def test_words_nearly_alike_in_two_places_are_two():
    memory = Memory()
    for _ in range(CONFIRM):
        memory.update((word("LEFT", 0.2), word("LIFT", 0.8)))
    assert memory.queue == ["LEFT", "LIFT"]


def test_the_same_word_twice_in_a_picture_is_two_words():
    memory = Memory()
    for _ in range(CONFIRM):
        memory.update((word("NO", 0.2), word("NO", 0.8)))
    assert memory.queue == ["NO", "NO"]


def test_a_word_missed_for_a_moment_is_not_new_again_but_one_that_left_is():
    memory = Memory()
    for seen, new in ((2, ["BUS"]), (2, [])):
        told = [text for _ in range(seen) for text in memory.update((word("BUS"),))]
        assert told == new
        for _ in range(FORGET - 1):
            memory.update(())
    for _ in range(2):
        memory.update(())
    assert memory.in_sight() == []
    assert [text for _ in range(2) for text in memory.update((word("BUS"),))] == ["BUS"]


def test_a_page_does_not_fill_the_queue_for_minutes():
    memory = Memory()
    many = tuple(word(f"WORD{k}", 0.01 * k, 0.5, 0.005) for k in range(40))
    for _ in range(CONFIRM):
        memory.update(many)
    assert len(memory.queue) == QUEUE


@pytest.fixture(scope="module")
def reader():
    if importlib.util.find_spec("onnxruntime") is None:
        pytest.skip("needs onnxruntime")
    bundle = load_bundle("reading")
    return Reader(bundle, open_engine(bundle, "onnx", index=0), open_engine(bundle, "onnx", index=1))


def sign(lines, tilt_deg=0.0, light=True):
    ground, ink = ((40, 60, 90), (240, 240, 230)) if light else ((225, 220, 210), (20, 20, 60))
    rgb = np.full((360, 640, 3), ground, np.uint8)
    for row, text in enumerate(lines):
        cv2.putText(rgb, text, (120, 130 + 75 * row), cv2.FONT_HERSHEY_DUPLEX, 1.8, ink, 3, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((320, 180), tilt_deg, 1.0)
    return cv2.warpAffine(rgb, turn, (640, 360), borderMode=cv2.BORDER_REPLICATE)


def texts(findings):
    return {found.text for line in findings.lines for found in line}


@pytest.mark.parametrize(("tilt_deg", "light"), [(0, True), (0, False), (12, True), (-15, False)])
def test_the_real_graphs_read_words_rendered_here(reader, tilt_deg, light):
    findings = reader.find(Frame(7, 99, sign(("EXIT 24", "Platform"), tilt_deg, light)))
    assert (findings.seq, findings.t_ns) == (7, 99)
    assert texts(findings) == {"EXIT", "24", "Platform"}
    assert all(found.confidence > 0.8 for line in findings.lines for found in line)


def test_words_are_where_they_were_written(reader):
    (line,) = reader.find(Frame(1, 0, sign(("EXIT 24",)))).lines
    first, second = (found.corners * [640, 360] for found in line)
    (exit_px, _), _ = cv2.getTextSize("EXIT", cv2.FONT_HERSHEY_DUPLEX, 1.8, 3)
    assert first[:, 0].min() == pytest.approx(120, abs=15)
    assert first[:, 0].max() == pytest.approx(120 + exit_px, abs=15)
    assert second[:, 0].min() > first[:, 0].max()
    assert 75 < first[:, 1].mean() < 130


def test_nothing_is_read_where_nothing_is_written(reader):
    assert reader.find(Frame(1, 0, sign(()))).lines == ()
    assert Line(np.zeros((4, 2)), 1.0).size_px == (0.0, 0.0)
