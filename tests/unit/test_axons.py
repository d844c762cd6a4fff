from __future__ import annotations

import numpy as np
import pytest

from prosthesis.errors import ConfigError
from prosthesis_sim.axons import Jansonius, axons, nearest
from prosthesis_sim.retina import WatsonRetina
from prosthesis_sim.retinotopy import LinearRetina

REACH_UM = 1858.0


def grid(half, size):
    e = np.linspace(-half, half, size)
    return np.meshgrid(e, e[::-1])


def course(phi0, r, disc=(15.5, 1.5)):
    """One bundle by the published equations, without the truncation: places from the fovea."""
    if phi0 > 0:
        b = np.exp(-1.9 + 3.9 * np.tanh(-(phi0 - 121) / 14))
        c = 1.9 + 1.4 * np.tanh((phi0 - 121) / 14)
    else:
        b = -np.exp(0.5 + 1.5 * np.tanh(-(-phi0 - 90) / 25))
        c = 1 + 0.5 * np.tanh((-phi0 - 90) / 25)
    phi = np.deg2rad(phi0 + b * (r - 4) ** c)
    x, y = disc[0] + r * np.cos(phi), r * np.sin(phi)
    return x, y + (disc[1] * (x / disc[0]) ** 2 if x > 0 else 0)


@pytest.mark.parametrize(("phi0", "phi14"), [(121.0, 121 + np.exp(-1.9) * 10**1.9), (-90.0, -90 - np.exp(0.5) * 10)])
def test_two_bundles_turn_as_computed_by_hand(phi0, phi14):
    """At phi0 121 and -90 the hyperbolic tangents are 0; 14 degrees from the disc is 10 past its rim."""
    one = Jansonius(disc_deg=(15.5, 0.0), reach_deg=14.0, bundles=361, points=11)
    nasal, superior, counts = one.trace()
    row = round(phi0) + 180
    assert counts[row].all()
    assert np.rad2deg(np.arctan2(superior[row, -1], nasal[row, -1] - 15.5)) % 360 == pytest.approx(phi14 % 360)
    assert np.hypot(nasal[row, 0] - 15.5, superior[row, 0]) == pytest.approx(4)


def test_bundles_stay_in_their_half_and_end_at_the_raphe():
    nasal, superior, counts = Jansonius().trace()
    phi0 = np.linspace(-180, 180, 1000)
    line = np.where(nasal > 0, 1.5 * (nasal / 15.5) ** 2, 0.0)
    half = np.where(phi0 > 0, 1, -1)[:, None]
    assert (half * (superior - line) >= -1e-9)[counts].all()
    ended = counts.any(axis=1) & ~counts.all(axis=1)
    last = counts.sum(axis=1)[ended] - 1
    at = (np.flatnonzero(ended), last)
    temporal = nasal[at] < -2
    assert temporal.sum() > 100
    assert np.abs(superior[at][temporal]).max() < 0.35  # a step is 0.09 degrees, and some meet the raphe head on


def test_every_traced_point_obeys_the_equation():
    nasal, superior, counts = Jansonius(bundles=25, points=40).trace()
    phi0, r = np.linspace(-180, 180, 25), np.linspace(4, 50, 40)
    for i, j in zip(*np.nonzero(counts), strict=True):
        assert course(phi0[i], r[j]) == pytest.approx((nasal[i, j], superior[i, j]), abs=1e-9)


def test_nearest_is_what_comparing_all_finds():
    random = np.random.default_rng(3)
    x, y = random.uniform(-1000, 1500, (2, 400))
    at_x, at_y = random.uniform(-3000, 3000, (2, 300))
    index, distance = nearest(x, y, at_x, at_y)
    away = np.hypot(x - at_x[:, None], y - at_y[:, None])
    assert np.array_equal(index, away.argmin(axis=1))
    assert distance == pytest.approx(away.min(axis=1))


def test_an_axon_ends_near_its_pixel_and_reaches_as_far_as_asked():
    x, y = grid(10, 21)
    a = axons(LinearRetina(0.28), "right", x, y, REACH_UM)
    u, v = x * 280, y * 280
    assert np.hypot(a.x_um[a.last] - u, a.y_um[a.last] - v) == pytest.approx(a.away_um, abs=0.01)
    assert np.median(a.away_um) < 20
    way = a.away_um + a.arc_um[a.last] - a.arc_um[a.first]
    assert way.max() <= REACH_UM
    assert np.median(way) > REACH_UM - 60
    # the run really is one bundle: steps of the published spacing, not jumps
    for row, column in ((3, 4), (10, 10), (17, 2)):
        run = slice(a.first[row, column], a.last[row, column] + 1)
        step = np.hypot(np.diff(a.x_um[run]), np.diff(a.y_um[run]))
        assert step == pytest.approx(np.diff(a.arc_um[run]), abs=0.01)
        assert step.max() < 100


def test_axons_run_toward_the_disc_of_the_eye_which_is_temporal_and_below_the_horizon():
    x, y = grid(9, 19)
    for eye, side in (("right", 1), ("left", -1)):
        a = axons(WatsonRetina(), eye, x, y, REACH_UM)
        disc_u, disc_v = (part * 1e3 for part in WatsonRetina().to_tissue(np.array(side * 15.5), np.array(-1.5)))
        far = np.hypot(a.x_um[a.first] - disc_u, a.y_um[a.first] - disc_v)
        near = np.hypot(a.x_um[a.last] - disc_u, a.y_um[a.last] - disc_v)
        assert (far < near - 500).mean() > 0.95


def test_left_and_right_eyes_mirror_each_other():
    x, y = grid(9, 16)
    left, right = (axons(WatsonRetina(), eye, x, y, REACH_UM) for eye in ("left", "right"))
    assert np.sort(left.x_um) == pytest.approx(np.sort(-right.x_um), abs=0.01)
    assert left.away_um == pytest.approx(right.away_um[:, ::-1], abs=0.01)


def test_pixels_either_side_of_the_raphe_take_axons_of_different_halves():
    x, y = np.full((2, 1), -8.0), np.array([[0.6], [-0.6]])
    a = axons(WatsonRetina(), "right", x, y, 2500.0)
    assert a.y_um[a.first[0, 0]] > 300
    assert a.y_um[a.first[1, 0]] < -300


def test_the_geometry_of_a_256_pixel_image_takes_less_than_three_megabytes():
    x, y = grid(15, 256)
    a = axons(WatsonRetina(), "right", x, y, REACH_UM)
    assert sum(getattr(a, name).nbytes for name in a.__slots__) < 3e6


def test_a_screen_where_no_fibre_runs_is_refused():
    x, y = grid(1, 4)
    with pytest.raises(ConfigError, match=r"screen\.part"):
        axons(WatsonRetina(), "right", x - 80, y, REACH_UM)
