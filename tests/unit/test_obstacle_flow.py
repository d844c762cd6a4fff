"""Flow and growth against pictures whose motion is known in closed form."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from prosthesis.obstacles.expansion import expansion
from prosthesis.obstacles.flow import Flow, FlowMeter, rotation, rotation_basis, small_gray, without_rotation

FIELD_DEG = (60.0, math.degrees(2 * math.atan(math.tan(math.radians(30)) * 9 / 16)))
HALF = tuple(math.tan(math.radians(degrees / 2)) for degrees in FIELD_DEG)
FOCAL_PX = 160 / HALF[0]
FRAME_NS = 40_000_000  # three frames are the meter's gap


def photo():
    return cv2.resize(data.astronaut(), (640, 640), interpolation=cv2.INTER_AREA)


def view(matrix, source=None):
    """Return the picture that a 3 x 3 matrix of picture coordinates from the middle cuts out of a photograph."""
    source = photo() if source is None else source
    out = np.array([[1, 0, 159.5], [0, 1, 89.5], [0, 0, 1]])
    into = np.array([[1, 0, 319.5], [0, 1, 319.5], [0, 0, 1]])
    return cv2.warpPerspective(source, out @ matrix @ np.linalg.inv(into), (320, 180), flags=cv2.INTER_AREA)


def zoom(factor):
    return np.diag([factor, factor, 1.0])


def turned(radians, axis=1):
    """Return how the picture moves when the camera turns: by the infinite homography."""
    vector = np.zeros(3)
    vector[axis] = radians
    camera = np.diag([FOCAL_PX, FOCAL_PX, 1.0])
    return camera @ cv2.Rodrigues(vector)[0] @ np.linalg.inv(camera)


def flow_between(before, now):
    meter = FlowMeter(FIELD_DEG)
    assert meter.measure(before, 0) is None
    flow = meter.measure(now, 3 * FRAME_NS)
    assert flow is not None
    return flow


@pytest.mark.parametrize("time_s", [1.0, 2.0, 4.0])
def test_an_approaching_wall_is_reached_when_its_growth_says(time_s):
    dt_s = 3 * FRAME_NS / 1e9
    flow = flow_between(view(zoom(1.0)), view(zoom(1 + dt_s / time_s)))
    found = expansion(flow)
    sure = found.sigma_per_s < 0.1
    assert sure.mean() > 0.5
    assert 1 / np.median(found.rate_per_s[sure]) == pytest.approx(time_s, rel=0.07)


def test_what_recedes_grows_by_less_than_nothing():
    found = expansion(flow_between(view(zoom(1.06)), view(zoom(1.0))))
    assert np.median(found.rate_per_s[found.sigma_per_s < 0.1]) < -0.3


def test_flow_of_a_shift_is_the_shift():
    shift = np.array([[1, 0, 5.0], [0, 1, -3.0], [0, 0, 1]])
    flow = flow_between(view(np.eye(3)), view(shift))
    sure = flow.weight > 0.5
    # backwards: what moved right was left before
    assert np.median(flow.dx[sure]) * FOCAL_PX == pytest.approx(-5.0, abs=0.1)
    assert np.median(flow.dy[sure]) * FOCAL_PX == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_turning_the_head_leaves_no_growth(axis):
    flow = without_rotation(flow_between(view(np.eye(3)), view(turned(0.08, axis))))
    found = expansion(flow)
    sure = found.sigma_per_s < 0.1
    assert np.quantile(found.rate_per_s[sure], 0.95) < 0.15
    assert np.median(np.hypot(flow.dx, flow.dy)[flow.weight > 0.5]) * FOCAL_PX < 0.5


def test_turning_would_look_like_growth_without_compensation():
    # at the edge of a wide picture a turn stretches: this is what there is to take out
    found = expansion(flow_between(view(np.eye(3)), view(turned(0.1))))
    sure = found.sigma_per_s < 0.2
    assert np.abs(found.rate_per_s[sure]).max() > 0.2


def test_a_patch_moving_by_itself_does_not_turn_the_camera():
    x, y = grid()
    dx, dy = rotation_basis(x, y)
    flow = 0.05 * dx[1], 0.05 * dy[1]
    flow[0][5:15, 10:20] += 0.04
    found = rotation(Flow(x, y, *flow, np.ones_like(x), 0.12, HALF))
    np.testing.assert_allclose(found, [0, 0.05, 0], atol=5e-4)


def test_after_a_cut_or_a_pause_nothing_is_seen():
    other = cv2.resize(data.coffee(), (640, 640), interpolation=cv2.INTER_AREA)
    before, now = view(np.eye(3)), view(np.eye(3), other)
    meter = FlowMeter(FIELD_DEG)
    meter.measure(before, 0)
    assert meter.measure(now, 3 * FRAME_NS) is None
    meter = FlowMeter(FIELD_DEG)
    meter.measure(now, 0)
    assert meter.measure(now, 0) is None
    assert meter.measure(now, 10_000_000_000) is None


@pytest.mark.parametrize("shape", [(16, 16, 3), (241, 319, 3), (720, 1280, 3)])
def test_pictures_of_any_size_become_whole_cells(shape):
    gray = small_gray(np.zeros(shape, np.uint8))
    assert gray.shape[1] == 320
    assert gray.shape[0] % 4 == 0


def grid():
    x, y = np.meshgrid(np.linspace(-HALF[0], HALF[0], 40), np.linspace(-HALF[1], HALF[1], 22))
    return x.astype(np.float32), y.astype(np.float32)


@settings(max_examples=25)
@given(
    rate=st.floats(-1.0, 2.0),
    shift=st.tuples(st.floats(-0.05, 0.05), st.floats(-0.05, 0.05)),
    roll=st.floats(-0.1, 0.1),
)
def test_growth_is_exact_whatever_shift_and_roll(rate, shift, roll):
    x, y = grid()
    dt_s = 0.12
    k = 1 / (1 + rate * dt_s)  # backwards
    flow = Flow(x, y, (k - 1) * x - roll * y + shift[0], (k - 1) * y + roll * x + shift[1], np.ones_like(x), dt_s, HALF)
    found = expansion(flow)
    np.testing.assert_allclose(found.rate_per_s, rate, atol=2e-3)


@given(st.floats(0.0, 2 * math.pi), st.floats(0.005, 0.05), st.floats(0.0, 2 * math.pi))
@settings(max_examples=25)
def test_the_border_of_something_that_passes_by_does_not_grow(direction, jump, normal):
    x, y = grid()
    beyond = (x * math.cos(normal) + y * math.sin(normal) > 0).astype(np.float32)
    flow = Flow(
        x, y, jump * math.cos(direction) * beyond, jump * math.sin(direction) * beyond, np.ones_like(x), 0.12, HALF
    )
    found = expansion(flow)
    # what is left is what noise could be
    assert (found.rate_per_s <= 1.01 * found.sigma_per_s + 0.02).all()
