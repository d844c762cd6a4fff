import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prosthesis.calibration.table import ActivityCurve, Calibration, Provenance, TrainParameters
from prosthesis.config import CameraConfig, ViewConfig
from prosthesis.errors import ConfigError
from prosthesis.view import Field, View, cell_centres_deg, make_view, sample

ANY_FIELD = Field(-5.0, 5.0, -5.0, 5.0)


def calibrated(x_deg, y_deg, sigma_deg, enabled=None):
    n = len(x_deg)
    ramp = tuple((0.0, 1.0) for _ in range(n))
    return Calibration(
        made=Provenance(rig="test", date="2026-01-01", method="by hand", seed=None, trials=0, version="0"),
        train=TrainParameters(pulse_width_us=200, rate_hz=100.0, train_ms=200.0),
        x_deg=tuple(x_deg),
        y_deg=tuple(y_deg),
        rf_sigma_deg=(sigma_deg,) * n,
        threshold_ua=(10.0,) * n,
        max_ua=(90.0,) * n,
        impedance_kohm=(50.0,) * n,
        enabled=tuple(enabled or (True,) * n),
        curve=ActivityCurve(fraction=(0.0, 1.0), activity=ramp, brightness=ramp),
    )


def camera(field_deg, width=640, height=480):
    return CameraConfig(source="any", width=width, height=height, fps=30.0, field_deg=field_deg)


def square_pixels(half_width_deg, aspect=4 / 3):
    """The field of a pinhole camera with square pixels, whose image is ``aspect`` times wider than high."""
    half_height_deg = math.degrees(math.atan(math.tan(math.radians(half_width_deg)) / aspect))
    return 2 * half_width_deg, 2 * half_height_deg


def pixel_of(direction_deg, field_deg, width, height):
    right, up = np.tan(np.radians(direction_deg)) / np.tan(np.radians(field_deg) / 2) / 2
    return (0.5 + right) * width, (0.5 - up) * height


def dot_at(direction_deg, field_deg, width, height):
    """A frame, black but for one soft dot in the given direction, drawn from the pinhole equations."""
    x, y = pixel_of(direction_deg, field_deg, width, height)
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    dot = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 3.0**2))
    return np.repeat(dot.astype(np.uint8)[:, :, None], 3, axis=2)


def where_seen(rgb, view, size=128):
    seen = sample(rgb, view, size)[:, :, 0].astype(float)
    x_deg, y_deg = cell_centres_deg(view.field, seen.shape)
    return (x_deg * seen).sum() / seen.sum(), (y_deg * seen).sum() / seen.sum()


def test_cell_centres_have_the_largest_y_in_the_top_row():
    x_deg, y_deg = cell_centres_deg(Field(-2.0, 6.0, -1.0, 7.0), (2, 4))
    np.testing.assert_allclose(x_deg, [[-1, 1, 3, 5]] * 2)
    np.testing.assert_allclose(y_deg, [[5] * 4, [1] * 4])


def test_the_field_is_the_square_around_the_enabled_phosphenes_and_two_sigmas():
    calibration = calibrated((1.0, 5.0, 99.0), (-2.0, -1.0, 99.0), 0.5, (True, True, False))
    view = make_view(ViewConfig(mode="fit"), camera((60.0, 45.0)), calibration)
    assert view.field == Field(0.0, 6.0, -4.5, 1.5)


def test_fit_takes_the_largest_centred_square_of_the_image():
    view = make_view(ViewConfig(mode="fit"), camera(square_pixels(35.0)), calibrated((0.0,), (0.0,), 1.0))
    assert view.crop == pytest.approx((1 / 8, 0.0, 7 / 8, 1.0))


def test_fit_moves_that_square_to_centre_deg():
    config = ViewConfig(mode="fit", centre_deg=(6.0, 4.0))
    field_deg = square_pixels(35.0)
    view = make_view(config, camera(field_deg), calibrated((1.0,), (-2.0,), 1.0))
    left, top, right, bottom = view.crop
    assert (right - left, bottom - top) == pytest.approx((3 / 4, 1.0))
    assert where_seen(dot_at((6.0, 4.0), field_deg, 640, 480), view) == pytest.approx((1.0, -2.0), abs=0.05)


def test_fit_lays_crop_deg_around_centre_deg_onto_the_field():
    config = ViewConfig(mode="fit", crop_deg=(20.0, 20.0), centre_deg=(5.0, -3.0))
    field_deg = (60.0, 50.0)
    view = make_view(config, camera(field_deg), calibrated((4.0,), (2.0,), 1.0))
    left, top = pixel_of((-5.0, 7.0), field_deg, 1, 1)
    right, bottom = pixel_of((15.0, -13.0), field_deg, 1, 1)
    # in tangents it is a little wider than high, so its height grows by that much
    assert view.crop[1::2] == pytest.approx((top, bottom), abs=2e-3)
    assert view.crop[0::2] == pytest.approx((left, right), abs=2e-3)
    assert where_seen(dot_at((5.0, -3.0), field_deg, 640, 480), view) == pytest.approx((4.0, 2.0), abs=0.05)


def test_fit_extends_the_shorter_side_of_an_oblong_crop():
    config = ViewConfig(mode="fit", crop_deg=(40.0, 10.0))
    view = make_view(config, camera(square_pixels(35.0)), calibrated((0.0,), (0.0,), 1.0))
    left, top, right, bottom = view.crop
    # to the nearest whole pixel of 640 x 480
    assert 0.5 - left == pytest.approx(math.tan(math.radians(20)) / math.tan(math.radians(35)) / 2, abs=0.5 / 640)
    assert (right - left) * 4 == pytest.approx((bottom - top) * 3, abs=4 / 480)


@given(x=st.floats(-4, 8), y=st.floats(-7, 3), size=st.sampled_from([(640, 480), (321, 243)]))
def test_true_scale_shows_a_dot_in_the_direction_it_lies(x, y, size):
    field_deg = (50.0, 40.0)
    view = make_view(ViewConfig(mode="true_scale"), camera(field_deg), calibrated((-4.0, 8.0), (-7.0, 3.0), 1.0))
    assert where_seen(dot_at((x, y), field_deg, *size), view) == pytest.approx((x, y), abs=0.12)


def test_true_scale_keeps_its_place_where_the_field_is_wider_than_the_camera():
    field_deg = (16.0, 12.0)
    view = make_view(ViewConfig(mode="true_scale"), camera(field_deg), calibrated((-9.0, 9.0), (0.0, 0.0), 0.5))
    assert view.crop[0] < 0 < 1 < view.crop[2]
    assert where_seen(dot_at((-3.0, 4.0), field_deg, 640, 480), view) == pytest.approx((-3.0, 4.0), abs=0.12)
    seen = sample(np.full((480, 640, 3), 255, np.uint8), view, 100)
    x_deg, y_deg = cell_centres_deg(view.field, (100, 100))
    inside = (abs(x_deg) < 8 - 0.15) & (abs(y_deg) < 6 - 0.15)
    outside = (abs(x_deg) > 8 + 0.15) | (abs(y_deg) > 6 + 0.15)
    assert (seen[inside] == 255).all()
    assert (seen[outside] == 0).all()


@pytest.mark.parametrize(
    ("config", "x_deg", "words"),
    [
        (ViewConfig(mode="true_scale"), 60.0, "sees 60 x 45 deg, and nothing of the true_scale crop"),
        (ViewConfig(mode="fit", crop_deg=(5.0, 5.0), centre_deg=(0.0, -50.0)), 0.0, "nothing of the fit crop"),
        (ViewConfig(mode="true_scale", crop_deg=(5.0, 5.0)), 0.0, "remove 'crop_deg' and 'centre_deg'"),
        (ViewConfig(mode="true_scale", centre_deg=(1.0, 0.0)), 0.0, "remove 'crop_deg' and 'centre_deg'"),
        (ViewConfig(mode="fit", crop_deg=(200.0, 5.0)), 0.0, "reaches -100 deg"),
        (ViewConfig(mode="true_scale"), 89.0, "reaches 91 deg"),
    ],
)
def test_a_view_the_camera_cannot_give_is_refused(config, x_deg, words):
    with pytest.raises(ConfigError, match=words):
        make_view(config, camera((60.0, 45.0)), calibrated((x_deg,), (0.0,), 1.0))


def test_a_calibration_without_an_enabled_electrode_is_refused():
    with pytest.raises(ConfigError, match="no electrode is enabled"):
        make_view(ViewConfig(mode="fit"), camera((60.0, 45.0)), calibrated((0.0,), (0.0,), 1.0, (False,)))


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, -1), (-1, 0), (-1, -1)])
def test_a_marked_corner_stays_in_its_corner(row, column):
    rgb = np.zeros((480, 480, 3), np.uint8)
    rgb[slice(0, 8) if row == 0 else slice(-8, None), slice(0, 8) if column == 0 else slice(-8, None)] = (10, 100, 200)
    seen = sample(rgb, View((0.0, 0.0, 1.0, 1.0), ANY_FIELD), 60)
    assert tuple(seen[row, column]) == (10, 100, 200)
    seen[row, column] = 0
    assert not seen.any()


@given(
    shape=st.tuples(st.integers(33, 500), st.integers(33, 500)),
    corner=st.tuples(st.floats(-0.4, 0.6), st.floats(-0.4, 0.6)),
    span=st.tuples(st.floats(0.05, 1.5), st.floats(0.05, 1.5)),
    size=st.integers(8, 96),
)
def test_a_ramp_is_sampled_at_the_exact_place_and_black_beyond_the_frame(shape, corner, span, size):
    """Averages and interpolations of a ramp are the ramp itself, so the value tells the place."""
    height, width = shape
    u_frame, v_frame = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    rgb = np.stack([20 + 200 * u_frame, 20 + 200 * v_frame, np.full(shape, 99.0)], axis=2).round().astype(np.uint8)
    crop = (corner[0], corner[1], corner[0] + span[0], corner[1] + span[1])
    seen = sample(rgb, View(crop, ANY_FIELD), size).astype(float)
    steps = (np.arange(size) + 0.5) / size
    u, v = np.meshgrid(corner[0] + span[0] * steps, corner[1] + span[1] * steps)
    inside = (abs(u - 0.5) < 0.5 - 1e-6) & (abs(v - 0.5) < 0.5 - 1e-6)
    outside = (abs(u - 0.5) > 0.5 + 1e-6) | (abs(v - 0.5) > 0.5 + 1e-6)
    # an average over a block at the frame's rim lacks the part beyond the rim
    rim = np.maximum(span[0] / size, span[1] / size) + 1 / min(shape)
    deep = (abs(u - 0.5) < 0.5 - rim) & (abs(v - 0.5) < 0.5 - rim)
    assert (seen[outside] == 0).all()
    assert (abs(seen[inside][:, 2] - 99) <= 1).all()
    halvings = max(0.0, math.log2(min(span[0] * width, span[1] * height) / size))
    rounding = 1.1 + 0.5 * halvings
    assert abs(seen[deep][:, 0] - (20 + 200 * u[deep])).max(initial=0) < rounding
    assert abs(seen[deep][:, 1] - (20 + 200 * v[deep])).max(initial=0) < rounding


def test_detail_finer_than_a_sample_is_averaged_and_not_aliased():
    rgb = np.zeros((480, 480, 3), np.uint8)
    rgb[::2, ::2] = rgb[1::2, 1::2] = 255
    seen = sample(rgb, View((0.0, 0.0, 1.0, 1.0), ANY_FIELD), 128)
    assert abs(seen.astype(int) - 127).max() <= 1


def test_a_smooth_picture_agrees_with_opencv_area_resize():
    noise = np.random.default_rng(7).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    rgb = cv2.GaussianBlur(noise, (0, 0), 6.0)
    seen = sample(rgb, View((0.125, 0.0, 0.875, 1.0), ANY_FIELD), 128)
    wanted = cv2.resize(rgb[:, 80:560], (128, 128), interpolation=cv2.INTER_AREA)
    assert abs(seen.astype(int) - wanted).max() <= 2


def test_a_crop_beside_the_frame_is_black():
    rgb = np.full((40, 40, 3), 255, np.uint8)
    for crop in ((2.0, 0.0, 3.0, 1.0), (0.0, -3.0, 1.0, -2.0)):
        seen = sample(rgb, View(crop, ANY_FIELD), 16)
        assert seen.shape == (16, 16, 3)
        assert not seen.any()
