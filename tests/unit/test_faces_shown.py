"""What is shown of a person: patterns that this patient can tell apart, side, nearness and approach."""

import numpy as np
import pytest

from prosthesis.config import load_rig
from prosthesis.errors import ConfigError
from prosthesis.faces.detect import Face
from prosthesis.faces.layout import SHAPE, lay_out
from prosthesis.faces.patterns import PEOPLE, SHAPES, bank, choose, correlations, load_code, save_code, seen
from prosthesis.faces.present import BAR_STANDING, paint_face, paint_pattern
from prosthesis.faces.tracks import STRANGER, Track
from prosthesis.view import Field, View, make_view

RIGS = ("argus60", "utah96", "icvp400", "nhp1024")
WHOLE = View((0.0, 0.0, 1.0, 1.0), Field(-5.0, 5.0, -5.0, 5.0))
FRAME = (320, 180)
DRAWING = np.linspace(0, 1, 28 * 28, dtype=np.float32).reshape(28, 28)


def seen_by(name):
    rig = load_rig(name)
    view = make_view(rig.config.view, rig.config.camera, rig.calibration)
    return view, rig.calibration, lay_out(view, rig.calibration)


def track(x=160.0, width=40.0, votes=("ann",) * 5, growth=0.0):
    face = Face(0.9, (x - width / 2, 70.0, x + width / 2, 70.0 + width), np.zeros((6, 2)))
    return Track(face, DRAWING, 0, votes, growth)


@pytest.fixture(scope="module")
def utah():
    view, calibration, layout = seen_by("utah96")
    return view, layout, choose(view, calibration, layout)


def shown(utah, **options):
    view, layout, code = utah
    return paint_pattern(track(**options), FRAME, view, layout, code, {"ann": 1, "bob": 2})


@pytest.mark.parametrize("name", RIGS)
def test_the_layout_holds_the_phosphenes_and_the_bar_about_a_fifth_of_them(name):
    view, calibration, layout = seen_by(name)
    enabled = np.asarray(calibration.enabled)
    y = (view.field.y1_deg - calibration.column("y_deg")[enabled]) / (view.field.y1_deg - view.field.y0_deg) * SHAPE[0]
    assert layout.picture.bottom <= layout.bar.top
    assert np.mean(y >= layout.bar.top) == pytest.approx(0.2, abs=0.06)
    assert layout.picture.top <= y.min()
    assert layout.bar.bottom >= y.max()


def test_without_a_calibration_the_whole_field_is_used():
    layout = lay_out(WHOLE, None)
    assert (layout.picture.top, layout.bar.bottom, layout.picture.right) == (0, 64, 64)


@pytest.mark.parametrize("name", RIGS)
def test_patterns_are_told_apart_through_the_phosphenes_better_than_a_blind_choice(name):
    view, calibration, layout = seen_by(name)
    code = choose(view, calibration, layout)
    assert len(set(code.names)) == PEOPLE + 1
    alike = correlations(seen(code.maps, view, calibration)) - np.eye(PEOPLE + 1)
    assert code.distinctness == pytest.approx(1 - alike.max(), abs=1e-6)
    everything = 1 - correlations(seen(bank(layout), view, calibration))
    rng = np.random.default_rng(0)
    blind = []
    for _ in range(200):
        some = rng.choice(len(SHAPES), PEOPLE + 1, replace=False)
        blind.append((everything[np.ix_(some, some)] + 3 * np.eye(PEOPLE + 1)).min())
    assert code.distinctness > np.quantile(blind, 0.99)


def test_patterns_differ_from_patient_to_patient_and_not_from_time_to_time():
    first, other = (choose(*seen_by(name)) for name in ("utah96", "argus60"))
    assert first.names != other.names
    assert choose(*seen_by("utah96")).names == first.names


def test_patterns_stay_clear_of_the_bar():
    _, _, layout = seen_by("utah96")
    assert not bank(layout)[:, layout.bar.top :].any()


def test_each_person_has_their_pattern_and_every_stranger_the_first(utah):
    _, layout, code = utah
    above = slice(0, layout.bar.top)
    np.testing.assert_array_equal(shown(utah)[above], code.maps[1][above])
    np.testing.assert_array_equal(shown(utah, votes=("bob",) * 5)[above], code.maps[2][above])
    np.testing.assert_array_equal(shown(utah, votes=(STRANGER,) * 5)[above], code.maps[0][above])


def test_undecided_shows_that_somebody_is_there_but_not_who(utah):
    _, layout, _ = utah
    picture = shown(utah, votes=("ann", "ann"))
    assert not picture[: layout.bar.top].any()
    assert picture[layout.bar.top :].any()


def bar_of(picture, layout):
    rows, columns = layout.bar.slices
    lit = np.flatnonzero(picture[rows, columns][0])
    return lit.mean() / (layout.bar.right - layout.bar.left), len(lit), picture[rows, columns].max()


def test_the_bar_is_on_the_persons_side(utah):
    view, layout, _ = utah
    left, _, right, _ = view.crop
    places = [
        bar_of(shown(utah, x=320 * (left + (right - left) * share)), layout)[0] for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    assert places == sorted(places)
    assert places[0] < 0.2
    assert places[2] == pytest.approx(0.5, abs=0.06)
    assert places[4] > 0.8
    assert bar_of(shown(utah, x=5), layout)[0] == places[0]  # beyond the view: at its edge


def test_the_bar_grows_with_nearness_and_brightens_with_approach(utah):
    _, layout, _ = utah
    widths = [bar_of(shown(utah, width=width), layout)[1] for width in (10, 40, 80, 160)]
    assert widths == sorted(set(widths))
    lights = [bar_of(shown(utah, growth=growth), layout)[2] for growth in (-1, 0, 0.2, 0.4, 3)]
    assert lights == pytest.approx([BAR_STANDING, BAR_STANDING, (1 + BAR_STANDING) / 2, 1, 1])


def test_a_face_fills_the_window_and_leaves_the_bar(utah):
    view, layout, _ = utah
    picture = paint_face(track(), FRAME, view, layout)
    rows, columns = layout.picture.slices
    inside = picture[rows, columns]
    assert inside[-1, -1] > 0.9  # the drawing is a ramp from its upper left to its lower right
    assert inside[0, 0] < 0.1
    picture[rows, columns] = 0
    assert not picture[: layout.bar.top].any()
    assert picture[layout.bar.top :].any()


def test_a_code_comes_from_a_file_and_goes_into_one(tmp_path, utah):
    view, _, code = utah
    save_code(code, tmp_path / "code.npz")
    back = load_code(tmp_path / "code.npz", view, load_rig("utah96").calibration)
    assert back.names == code.names
    np.testing.assert_array_equal(back.maps, code.maps)
    assert back.distinctness == pytest.approx(code.distinctness)


def test_a_files_maps_may_have_any_size_and_never_reach_the_bar(tmp_path, utah):
    view, layout, _ = utah
    np.savez(tmp_path / "code.npz", maps=np.stack([np.zeros((16, 16)), np.ones((16, 16))]))
    code = load_code(tmp_path / "code.npz", view, None)
    assert code.names == ("pattern 0", "pattern 1")
    picture = paint_pattern(track(), FRAME, view, layout, code, {"ann": 1})
    assert picture[: layout.bar.top].min() == 1
    assert (picture[layout.bar.top :] == 0).any()


@pytest.mark.parametrize(
    "content",
    [
        {"other": np.zeros((2, 4, 4))},
        {"maps": np.zeros((1, 4, 4))},
        {"maps": np.zeros((4, 4))},
        {"maps": np.full((2, 4, 4), 1.5)},
        {"maps": np.full((2, 4, 4), np.nan)},
        {"maps": np.zeros((2, 4, 4)), "names": ["one"]},
    ],
)
def test_what_is_no_code_is_refused(tmp_path, content):
    np.savez(tmp_path / "code.npz", **content)
    with pytest.raises(ConfigError, match=r"code\.npz: "):
        load_code(tmp_path / "code.npz", WHOLE, None)


def test_no_file_and_no_archive_are_refused(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    for name in ("gone.npz", "text.npz"):
        with pytest.raises(ConfigError, match=r"no code of patterns .*; give an .npz"):
            load_code(tmp_path / name, WHOLE, None)
