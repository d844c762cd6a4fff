"""Letterforms, their maps, learned sets, and their box for patients with one plain trait each."""

import numpy as np
import pytest

from prosthesis.calibration.table import ActivityCurve, Calibration, Provenance, TrainParameters
from prosthesis.errors import ConfigError
from prosthesis.letters.drawing import Shape, draw
from prosthesis.letters.glyphset import Glyphs, drawable, load_letters
from prosthesis.letters.shaping import plain_shape, shape_letters
from prosthesis.letters.strokes import DRAWN, LETTERS, strokes
from prosthesis.view import Field

FIELD = Field(-8.0, 8.0, -8.0, 8.0)
SHAPE = Shape(1.0, 2.0, 6.0, 8.0, 1.0)


def patient(x, y, sigma=0.6, enabled=None, least=0.2):
    n, fraction = len(x), (0.0, 0.5, 1.0)
    return Calibration(
        made=Provenance(rig="made up", date="", method="made up", seed=None, trials=0, version=""),
        train=TrainParameters(pulse_width_us=170, rate_hz=300.0, train_ms=100.0),
        x_deg=tuple(x),
        y_deg=tuple(y),
        rf_sigma_deg=(sigma,) * n,
        threshold_ua=(10.0,) * n,
        max_ua=(100.0,) * n,
        impedance_kohm=(50.0,) * n,
        enabled=tuple(enabled) if enabled is not None else (True,) * n,
        curve=ActivityCurve(fraction=fraction, activity=((least, 0.6, 1.0),) * n, brightness=((least, 0.6, 1.0),) * n),
    )


def grid(side=10, span_deg=10.0, sigma=0.6):
    x, y = np.meshgrid(np.linspace(-span_deg / 2, span_deg / 2, side), np.linspace(-span_deg / 2, span_deg / 2, side))
    return patient(x.ravel(), y.ravel(), sigma)


@pytest.mark.parametrize("character", DRAWN)
def test_every_character_has_strokes_within_its_box(character):
    lines = strokes(character)
    assert lines
    points = np.concatenate(lines)
    assert points.min() > -0.1
    assert points.max() < 1.1
    assert np.ptp(points[:, 1]) > 0.9


def test_what_has_no_strokes_is_not_drawn():
    assert strokes("é") == strokes("-") == ()
    assert drawable("Café-24 a") == "CAF24A"


def test_a_letter_stands_in_its_box():
    side = 64
    drawn = draw("O", (SHAPE,), FIELD, side)
    rows, columns = np.nonzero(drawn > 0.5)
    x = FIELD.x0_deg + (columns + 0.5) * 16 / side
    y = FIELD.y1_deg - (rows + 0.5) * 16 / side
    assert (x.min(), x.max()) == pytest.approx((1 - 3.5, 1 + 3.5), abs=0.4)
    assert (y.min(), y.max()) == pytest.approx((2 - 4.5, 2 + 4.5), abs=0.4)
    middle = drawn[round((8 - 2) / 16 * side), round((8 + 1) / 16 * side)]
    assert middle == 0


def test_letters_are_upright_and_not_mirrored():
    drawn = draw("L", (SHAPE,), FIELD, 64)
    left, right = drawn[:, :36].sum(), drawn[:, 36:].sum()
    top, bottom = drawn[:24].sum(), drawn[24:].sum()
    assert left > 1.5 * right
    assert bottom > 1.5 * top


def test_letters_side_by_side_stay_in_the_box_and_apart():
    glyphs = Glyphs(SHAPE, FIELD, 64)
    columns = np.flatnonzero(glyphs.of("III").max(axis=0))
    assert len(np.flatnonzero(np.diff(columns) > 1)) == 2
    box = [(1 + sign * 3.8 + 8) / 16 * 64 for sign in (-1, 1)]
    assert box[0] <= columns.min()
    assert columns.max() <= box[1]


def test_looks_move_the_letter_to_the_four_corners_around_its_place():
    glyphs = Glyphs(SHAPE, FIELD, 64, looks=4)
    places = []
    for look in range(4):
        rows, columns = np.nonzero(glyphs.of("O", look) > 0.5)
        places.append((columns.mean(), rows.mean()))
    middle_x, middle_y = np.mean(places, axis=0)
    sides = [(x > middle_x, y < middle_y) for x, y in places]
    assert sides == [(True, True), (False, True), (True, False), (False, False)]
    plain_rows, plain_columns = np.nonzero(Glyphs(SHAPE, FIELD, 64).of("O") > 0.5)
    assert (middle_x, middle_y) == pytest.approx((plain_columns.mean(), plain_rows.mean()), abs=0.6)


def test_a_passing_word_moves_left_and_its_letters_come_to_the_box_in_turn():
    glyphs = Glyphs(SHAPE, FIELD, 64)
    np.testing.assert_array_equal(glyphs.passing("OIL", 0.0)[:, 22:50], draw("O", (SHAPE,), FIELD, 64)[:, 22:50])
    middle = [np.average(np.arange(64), weights=glyphs.passing("I", p).sum(axis=0)) for p in (-0.5, 0.0, 0.5)]
    assert middle == sorted(middle, reverse=True)


def save(path, **changes):
    content = {"letters": np.array(list(LETTERS)), "maps": np.zeros((26, 16, 16), np.float32), "field_deg": 16.0}
    np.savez(path, **(content | changes))
    return path


def test_a_learned_set_takes_the_letters_place_and_leaves_digits(tmp_path):
    maps = np.zeros((26, 16, 16), np.float32)
    maps[3, :8] = 1.0  # D is the upper half
    learned = load_letters(save(tmp_path / "set.npz", maps=maps), FIELD, 64)
    glyphs = Glyphs(SHAPE, FIELD, 64, learned)
    assert glyphs.of("D")[:28].min() == 1.0
    assert not glyphs.of("D")[36:].any()
    np.testing.assert_array_equal(glyphs.of("7"), draw("7", (SHAPE,), FIELD, 64))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"letters": np.array(list("AACDEFGHIJKLMNOPQRSTUVWXYZ"))}, "A to Z"),
        ({"maps": np.zeros((25, 16, 16))}, "A to Z"),
        ({"maps": np.full((26, 16, 16), 1.5)}, "within 0..1"),
        ({"maps": np.full((26, 16, 16), np.nan)}, "within 0..1"),
        ({"field_deg": 2.0}, "field of 2 deg"),
        ({"field_deg": np.array(["wide"])}, "no set of letters"),
    ],
)
def test_a_wrong_set_is_refused_in_words(tmp_path, changes, told):
    with pytest.raises(ConfigError, match=told):
        load_letters(save(tmp_path / "set.npz", **changes), FIELD, 64)


def test_a_set_that_is_no_set_is_refused(tmp_path):
    (tmp_path / "text.npz").write_text("not a set")
    for name in ("text.npz", "missing.npz"):
        with pytest.raises(ConfigError, match="no set of letters"):
            load_letters(tmp_path / name, FIELD, 64)


def test_letters_fill_the_phosphenes_that_are_there_and_no_straggler_moves_them():
    shape = shape_letters(grid(10, 10.0))
    assert (shape.x_deg, shape.y_deg) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert shape.height_deg == pytest.approx(10.0)  # a tenth of the phosphenes lie on either edge
    assert (shape.width_deg / shape.height_deg, shape.stroke_deg / shape.height_deg) == pytest.approx((0.75, 0.16))
    with_straggler = grid(10, 10.0)
    further = with_straggler.model_copy(update={"x_deg": (60.0, *with_straggler.x_deg[1:])})
    assert shape_letters(further).x_deg == pytest.approx(0.0, abs=1e-9)


def test_letters_are_where_the_enabled_phosphenes_are():
    whole = grid(10, 10.0)
    right = whole.model_copy(update={"enabled": tuple(x > 0 for x in whole.x_deg)})
    assert shape_letters(right).x_deg == pytest.approx(2.8, abs=0.1)


def test_a_narrow_column_of_phosphenes_gets_letters_it_can_hold():
    x, y = np.meshgrid([-0.5, 0.5], np.linspace(-8, 8, 20))
    shape = shape_letters(patient(x.ravel(), y.ravel()))
    assert shape.height_deg == pytest.approx(2.0)


def test_one_phosphene_is_no_division_by_zero_and_none_is_an_error():
    assert shape_letters(patient([1.0], [2.0])).height_deg == pytest.approx(1.2)
    with pytest.raises(ConfigError, match="no electrode is enabled"):
        shape_letters(patient([1.0], [2.0], enabled=[False]))


def test_without_a_calibration_letters_fill_the_middle_of_the_field():
    shape = plain_shape(FIELD)
    assert (shape.x_deg, shape.y_deg, shape.height_deg) == (0.0, 0.0, 8.0)
