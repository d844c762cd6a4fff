"""From growth to obstacles, alarms and maps; closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prosthesis.obstacles.alarm import HOLD_S, Alarm
from prosthesis.obstacles.boxes import KINDS, Box, decode, letterbox
from prosthesis.obstacles.expansion import Expansion
from prosthesis.obstacles.finder import Findings
from prosthesis.obstacles.paint import FLASH_S, PRESENT, paint
from prosthesis.obstacles.stereo import Stereo, approach, split, with_distance
from prosthesis.obstacles.tracks import Tracks
from prosthesis.obstacles.urgency import (
    BESIDE,
    WALK_M_PER_S,
    Obstacle,
    Patches,
    Smoother,
    brightness,
    in_the_way,
    obstacles,
    urgency,
)
from prosthesis.view import Field, View

ROWS, COLUMNS = 11, 20
WHOLE = View((0.0, 0.0, 1.0, 1.0), Field(-5, 5, -5, 5))


def patches(rate=0.0, right=0.0, down=0.0, at=None, sigma=0.01):
    out = [np.zeros((ROWS, COLUMNS), np.float32) for _ in range(3)]
    for values, value in zip(out, (rate, right, down), strict=True):
        values[at if at is not None else ...] = value
    flat = np.full((ROWS, COLUMNS), sigma, np.float32)
    return Patches(out[0], flat, out[1], out[2], np.full_like(flat, np.nan))


BLOCK = (slice(3, 7), slice(2, 6))


def test_a_block_that_grows_is_one_obstacle_on_its_side():
    (found,) = obstacles(patches(rate=0.5, at=BLOCK))
    assert found.ahead
    assert found.side == "left"
    assert found.time_s == pytest.approx(2.0, abs=0.15)
    assert (found.left, found.right) == pytest.approx((2 / 20, 6 / 20), abs=0.02)
    assert (found.top, found.bottom) == pytest.approx((3 / 11, 7 / 11), abs=0.03)


@pytest.mark.parametrize(("right_m", "ahead"), [(0.0, True), (0.45, True), (-0.55, False), (2.0, False)])
def test_what_passes_beside_is_not_in_the_way(right_m, ahead):
    # reached in 2 s, hence 2.4 m away; it will be right_m beside: tangents a second = right_m / (2.4 m x 2 s)
    found = obstacles(patches(rate=0.5, right=right_m / (WALK_M_PER_S * 2.0 * 2.0), at=BLOCK))
    assert [thing.ahead for thing in found] == [ahead]


def test_the_floor_is_dark_and_what_passes_is_dim():
    below = patches(rate=0.5, down=1.5 / (WALK_M_PER_S * 4), at=BLOCK)
    assert not obstacles(below)
    assert not urgency(below).any()
    ahead, beside = (urgency(patches(rate=0.8, right=right, at=BLOCK, sigma=0.0)) for right in (0.0, 1.0))
    assert ahead.max() == pytest.approx(float(brightness(1 / 0.8)))
    assert beside.max() == pytest.approx(BESIDE * ahead.max())
    assert not ahead[:, 6:].any()


def test_doubtful_growth_is_no_obstacle():
    assert not obstacles(patches(rate=0.5, sigma=0.4))
    assert not obstacles(patches(rate=0.5, sigma=math.inf))


@given(st.floats(0.05, 20), st.floats(0.05, 20))
def test_sooner_is_never_darker(a, b):
    near, far = min(a, b), max(a, b)
    assert brightness(near) >= brightness(far)


def test_a_wide_thing_beside_is_still_hit():
    assert in_the_way(0.4, 0.0, 2.0, 0.5, 0.1)
    assert not in_the_way(1.0, 0.0, 2.0, 0.1, 0.1)
    assert not in_the_way(0.0, -0.9, 2.0, 0.1, 0.1)  # over the head


def growing(rate, sigma=0.02):
    flat = np.zeros((ROWS, COLUMNS), np.float32)
    return Expansion(flat, flat, flat + np.float32(rate), flat + np.float32(sigma), flat, flat, 0.12)


def test_smoothing_ends_at_the_truth_and_forgets():
    smoother = Smoother()
    for k in range(30):
        found = smoother.add(growing(0.5), k * 33_000_000)
    np.testing.assert_allclose(found.rate_per_s, 0.5, rtol=1e-5)
    np.testing.assert_allclose(found.sigma_per_s, math.hypot(0.02, 0.04), rtol=1e-4)
    assert smoother.add(None, 29 * 33_000_000 + 1_000_000_000) is None
    assert smoother.add(growing(0.5), 29 * 33_000_000 + 1_033_000_000) is None  # one is not enough


def test_one_wild_estimate_weighs_little():
    smoother = Smoother()
    for k in range(30):
        found = smoother.add(growing(9.0, sigma=2.0) if k == 25 else growing(0.1), k * 33_000_000)
    assert found.rate_per_s.max() < 0.2


NEAR = Obstacle(0.4, 0.3, 0.6, 0.9, 1.2, True, "person")


def alarm_after(times_s, things):
    alarm, begun = Alarm(2.0), None
    for t_s, thing in zip(times_s, things, strict=True):
        if alarm.watch([thing] if thing else [], round(t_s * 1e9)) and begun is None:
            begun = t_s
    return begun, alarm


def test_an_alarm_needs_its_time_and_is_said_once():
    times = np.arange(0, 1, 0.033)
    begun, alarm = alarm_after(times, [NEAR] * len(times))
    assert begun == pytest.approx(HOLD_S, abs=0.034)
    assert alarm.said() == ("Stop: person ahead, 1.2 seconds",)
    assert alarm.said() == ()


def test_a_short_or_distant_or_passing_thing_gives_no_alarm():
    times = np.arange(0, 1, 0.033)
    for things in (
        [NEAR if k in (5, 6) else None for k in range(len(times))],
        [Obstacle(0.4, 0.3, 0.6, 0.9, 2.5, True)] * len(times),
        [Obstacle(0.4, 0.3, 0.6, 0.9, 1.0, False)] * len(times),
    ):
        begun, alarm = alarm_after(times, things)
        assert begun is None
        assert alarm.said() == ()


def test_an_alarm_ends():
    times = np.arange(0, 2, 0.033)
    _, alarm = alarm_after(times, [NEAR if t < 0.5 else None for t in times])
    assert alarm.since_ns is None


def finding(things=(), light=None, alarm_ns=None):
    light = np.zeros((ROWS, COLUMNS), np.float32) if light is None else light
    return Findings(light, light, tuple(things), None, alarm_ns)


def test_an_empty_path_is_dark():
    assert not paint(finding(), WHOLE, (32, 32), 0).any()


@pytest.mark.parametrize("x", [0.1, 0.5, 0.9])
def test_an_object_is_painted_where_it_is(x):
    box = Obstacle(x - 0.1, 0.2, x + 0.1, 0.6, 1.0, True, "chair")
    task_map = paint(finding([box]), WHOLE, (32, 32), 0)
    rows, columns = np.nonzero(task_map > 0.9)
    assert columns.mean() / 31 == pytest.approx(x, abs=0.05)
    assert rows.mean() / 31 == pytest.approx(0.4, abs=0.04)
    assert task_map[:, (np.abs(np.arange(32) / 31 - x) > 0.16)].max() == 0


def test_an_object_that_stays_away_is_faint_and_a_tiny_one_not_lost():
    tiny = Obstacle(0.5, 0.5, 0.51, 0.51, math.inf, False, "person")
    task_map = paint(finding([tiny]), WHOLE, (32, 32), 0)
    assert task_map.max() == pytest.approx(PRESENT)
    assert (task_map > 0.9 * PRESENT).sum() >= 4


def test_patches_keep_their_place_and_the_view_cuts():
    light = np.zeros((ROWS, COLUMNS), np.float32)
    light[4:7, 15:18] = 1.0
    whole = paint(finding(light=light), WHOLE, (32, 32), 0)
    x = np.average(np.arange(32), weights=whole.sum(axis=0)) / 31
    assert x == pytest.approx(16.25 / 20, abs=0.02)
    left = View((0.0, 0.0, 0.5, 1.0), WHOLE.field)
    assert not paint(finding(light=light), left, (32, 32), 0).any()
    beyond = View((0.9, 0.0, 1.9, 1.0), WHOLE.field)
    assert not paint(finding(light=np.ones_like(light)), beyond, (32, 32), 0)[:, 4:].any()


def test_an_alarm_flashes_a_frame_around_the_picture():
    on, off = (paint(finding(alarm_ns=0), WHOLE, (32, 32), t) for t in (0, round(FLASH_S * 0.6e9)))
    assert on[0].min() == on[:, 0].min() == on[-1].min() == 1.0
    assert not on[8:24, 8:24].any()
    assert not off.any()
    assert 1 / FLASH_S < 3


def test_boxes_that_overlap_become_the_surest_one():
    scores = np.zeros((4, 80), np.float32)
    scores[0, 0], scores[1, 0], scores[2, 2], scores[3, 60] = 0.9, 0.8, 0.6, 0.2
    boxes = np.array([[0, 0, 50, 90], [2, 0, 52, 90], [60, 10, 90, 50], [0, 0, 10, 10]], np.float32)
    found = decode(scores, boxes, (100, 100))
    assert [(box.kind, round(box.score, 1)) for box in found] == [("person", 0.9), ("car", 0.6)]
    assert found[1].left == pytest.approx(0.6)
    scores[:] = 0
    scores[0, 79] = 1.0  # a toothbrush is nobody's obstacle
    assert 79 not in KINDS
    assert decode(scores, boxes, (100, 100)) == []


@pytest.mark.parametrize("shape", [(180, 320), (480, 640), (50, 500), (500, 50)])
def test_a_picture_of_any_shape_fits_the_network(shape):
    picture, scale = letterbox(np.full((*shape, 3), 255, np.uint8), (320, 192))
    assert picture.shape == (192, 320, 3)
    inner = (picture == 255).all(axis=2)
    assert inner.any(axis=1).sum() == pytest.approx(shape[0] * scale, abs=1)
    assert inner.any(axis=0).sum() == pytest.approx(shape[1] * scale, abs=1)


def test_a_track_is_believed_at_its_second_box_and_forgotten():
    tracks = Tracks()
    box = Box(0.4, 0.4, 0.6, 0.8, "person", 0.9)
    tracks.found([box], 0)
    assert tracks.obstacles((0.577, 0.306)) == []
    tracks.found([Box(0.41, 0.4, 0.61, 0.8, "person", 0.9)], 200_000_000)
    (thing,) = tracks.obstacles((0.577, 0.306))
    assert (thing.kind, thing.time_s) == ("person", math.inf)
    tracks.move(None, 2_000_000_000)
    assert tracks.obstacles((0.577, 0.306)) == []


def test_a_box_that_grows_is_reached_in_its_time():
    tracks = Tracks()
    for k in range(8):
        t_s = 0.15 * k
        half = 0.15 * 1.6 / (1.6 - t_s)  # reached at 1.6 s
        tracks.found([Box(0.5 - half, 0.5 - half, 0.5 + half, 0.5 + half, "car", 0.9)], round(t_s * 1e9))
    (thing,) = tracks.obstacles((0.577, 0.306))
    assert 0.5 < thing.time_s < 2.5
    assert thing.ahead


def test_distances_of_a_shifted_picture():
    random = np.random.default_rng(0)
    wide = random.integers(0, 256, (180, 400), dtype=np.uint8)
    wide = np.repeat(wide[..., None], 3, axis=2)
    pair = np.concatenate([wide[:, 0:320], wide[:, 10:330]], axis=1)  # 10 px of disparity
    left, right = split(pair)
    stereo = Stereo(0.1, math.tan(math.radians(30)))
    disparity = stereo.disparity(left, right)
    assert np.nanmedian(disparity) == pytest.approx(10.0, abs=0.1)
    focal_px = 160 / math.tan(math.radians(30))
    distance = stereo.over_patches_m(disparity, (ROWS, COLUMNS))
    assert np.nanmedian(distance) == pytest.approx(focal_px * 0.1 / 10, rel=0.02)


def test_time_to_contact_by_disparity():
    before, now = np.float32([[3.0, np.nan]]), np.float32([[2.7, 1.0]])
    rate, sigma = approach(before, now, 0.2, 27.7)
    assert 1 / rate[0, 0] == pytest.approx(2.7 / 1.5, rel=1e-4)  # 0.3 m in 0.2 s
    assert math.isinf(sigma[0, 1])


def test_a_thing_that_stands_is_shown_by_its_distance():
    flat = np.zeros((ROWS, COLUMNS), np.float32)
    distance = np.full_like(flat, np.nan)
    distance[BLOCK] = 1.2
    known = with_distance(patches(), flat, flat, distance, flat, np.full_like(flat, np.inf))
    (found,) = obstacles(known)
    assert found.ahead
    assert found.time_s == pytest.approx(1.2 / WALK_M_PER_S, abs=0.2)
    floor = with_distance(patches(), flat, flat + np.float32(1.25), distance, flat, np.full_like(flat, np.inf))
    assert not obstacles(floor)  # 1.5 m below the eyes
