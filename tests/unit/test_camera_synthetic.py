from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prosthesis.cameras import synthetic
from prosthesis.cameras.synthetic import SCENES, SyntheticCamera, bar, corridor, letters
from prosthesis.config import CameraConfig
from prosthesis.errors import CameraError
from prosthesis.timing import ManualClock

WIDTH, HEIGHT = 320, 240


def ink(rgb):
    """Coverage in 0..1 of the light ink, and pixel coordinates."""
    y, x = np.mgrid[: rgb.shape[0], : rgb.shape[1]]
    return (rgb[..., 0].astype(float) - synthetic.DARK) / (synthetic.LIGHT - synthetic.DARK), x, y


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_a_pure_function_of_time(name):
    first, truth = SCENES[name](3.21, WIDTH, HEIGHT)
    SCENES[name](9.0, 64, 48)
    again, truth_again = SCENES[name](3.21, WIDTH, HEIGHT)
    assert first.shape == (HEIGHT, WIDTH, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert truth == truth_again


@pytest.mark.parametrize(("name", "step_s"), [("bar", 0.0005), ("letters", 0.005), ("corridor", 0.0005)])
def test_a_tenth_of_a_pixel_of_motion_changes_edges_a_little(name, step_s):
    before, after = (SCENES[name](t_s, WIDTH, HEIGHT)[0].astype(int) for t_s in (1.1, 1.1 + step_s))
    change = np.abs(after - before)
    assert change.max() > 0
    assert change.max() < 60


@settings(max_examples=40, deadline=None)
@given(st.floats(0.0, 40.0))
def test_the_bar_is_where_its_truth_says(t_s):
    rgb, truth = bar(t_s, WIDTH, HEIGHT)
    covered, x, y = ink(rgb)
    angle = np.radians(truth.direction_deg)
    along = (x - (WIDTH - 1) / 2) * np.cos(angle) - (y - (HEIGHT - 1) / 2) * np.sin(angle)
    inside = np.abs(along - truth.offset_px) < truth.width_px / 2 - 0.51
    outside = np.abs(along - truth.offset_px) > truth.width_px / 2 + 0.51
    assert (covered[inside] > 0.99).all()
    assert (covered[outside] < 0.01).all()


def test_the_bar_moves_smoothly_and_keeps_its_width():
    for t_s in (0.8, 0.803, 1.0):
        covered, x, _ = ink(bar(t_s, WIDTH, HEIGHT)[0])
        truth = bar(t_s, WIDTH, HEIGHT)[1]
        assert covered[0].sum() == pytest.approx(truth.width_px, abs=0.02)
        centre = (covered * x).sum() / covered.sum() - (WIDTH - 1) / 2
        assert centre == pytest.approx(truth.offset_px, abs=0.01)


def test_the_bar_sweeps_eight_directions_and_starts_outside():
    seen = [bar(synthetic.SWEEP_S * sweep + 0.1, WIDTH, HEIGHT)[1].direction_deg for sweep in range(9)]
    assert seen == [0, 45, 90, 135, 180, 225, 270, 315, 0]
    assert ink(bar(0.0, WIDTH, HEIGHT)[0])[0].max() == 0


def test_letters_come_in_the_order_of_the_alphabet():
    assert "".join(letters(second + 0.5, 64, 48)[1].letter for second in range(28)) == synthetic.LETTERS + "AB"


@pytest.mark.parametrize("t_s", [0.3, 4.7, 7.5, 25.2])
def test_a_letters_ink_is_where_and_as_high_as_its_truth_says(t_s):
    rgb, truth = letters(t_s, WIDTH, HEIGHT)
    covered, x, y = ink(rgb)
    strong = covered > 0.5
    assert (x[strong].min() + x[strong].max()) / 2 == pytest.approx(truth.x_px, abs=1.5)
    assert (y[strong].min() + y[strong].max()) / 2 == pytest.approx(truth.y_px, abs=1.5)
    assert np.ptp(y[strong]) + 1 == pytest.approx(truth.height_px, abs=2)


def test_a_letter_moves_by_fractions_of_a_pixel():
    centres = []
    for t_s in (0.50, 0.502):
        covered, x, _ = ink(letters(t_s, WIDTH, HEIGHT)[0])
        centres.append((covered * x).sum() / covered.sum())
    truths = [letters(t_s, WIDTH, HEIGHT)[1].x_px for t_s in (0.50, 0.502)]
    assert 0.01 < truths[1] - truths[0] < 0.5
    assert centres[1] - centres[0] == pytest.approx(truths[1] - truths[0], abs=0.02)


def test_all_letters_look_different():
    shapes = {letters(second + 0.5, 64, 48)[0].tobytes() for second in range(26)}
    assert len(shapes) == 26


def test_obstacles_approach_at_walking_speed_nearest_first():
    first, later = corridor(0.0, WIDTH, HEIGHT)[1].obstacles, corridor(0.5, WIDTH, HEIGHT)[1].obstacles
    distances = [obstacle.distance_m for obstacle in first]
    assert distances == sorted(distances)
    assert distances[0] - later[0].distance_m == pytest.approx(0.5 * synthetic.WALK_M_PER_S)
    assert {obstacle.side for obstacle in first} == {"left", "right"}


def test_an_obstacles_front_is_seen_under_the_angle_of_a_pinhole_camera():
    obstacle = corridor(0.0, WIDTH, HEIGHT)[1].obstacles[0]
    left, top, right, bottom = obstacle.front_px
    focal_px = WIDTH / 2 / np.tan(np.radians(synthetic.FIELD_DEG / 2))
    assert right - left == pytest.approx(focal_px * (obstacle.x_m[1] - obstacle.x_m[0]) / obstacle.distance_m)
    assert bottom - top == pytest.approx(focal_px * obstacle.height_m / obstacle.distance_m)
    assert bottom - (HEIGHT - 1) / 2 == pytest.approx(focal_px * synthetic.EYE_M / obstacle.distance_m)


@pytest.mark.parametrize("t_s", [0.0, 1.3, 2.9])
def test_the_nearest_obstacle_is_painted_exactly_in_its_front(t_s):
    rgb, truth = corridor(t_s, 640, 480)
    obstacle = next(item for item in truth.obstacles if item.distance_m > 3)
    left, top, right, bottom = obstacle.front_px
    light = synthetic._fade(obstacle.distance_m)
    expected = np.round(np.array([250, 190, 90]) * light)
    rows = slice(int(np.ceil(top)) + 1, int(min(bottom, 479)) - 1)
    columns = slice(int(np.ceil(max(left, 0))) + 1, int(min(right, 639)) - 1)
    inside = rgb[rows, columns].astype(int)
    assert inside.size > 1000
    assert np.abs(inside - expected).max() <= 1
    above = rgb[int(top) - 3, columns].astype(int)
    assert np.abs(above - expected).max(axis=1).min() > 5


def test_an_obstacle_does_not_vanish_before_it_is_out_of_sight():
    steps = [
        corridor(t_s, 160, 120)[0].astype(int) for t_s in np.arange(4.6, 5.25, 0.005)
    ]  # a tall box on the right, at 4.75 s
    change = [np.abs(b - a).mean() for a, b in pairwise(steps)]
    assert max(change) < 4 * np.median(change)


def test_the_camera_shows_the_scene_of_its_frames_time():
    config = CameraConfig(source="synthetic:bar", width=64, height=48, fps=25, field_deg=(40, 30))
    camera = SyntheticCamera("bar", config, ManualClock())
    for _ in range(10):
        frame = camera.read(1)
    assert np.array_equal(frame.rgb, bar(9 / 25, 64, 48)[0])
    assert frame.t_ns == 9 * 40_000_000


def test_an_unknown_scene_names_those_there_are():
    config = CameraConfig(source="synthetic:x", width=64, height=48, fps=25, field_deg=(40, 30))
    with pytest.raises(CameraError, match="no scene named 'x'; there are: bar, letters, corridor"):
        SyntheticCamera("x", config, ManualClock())
