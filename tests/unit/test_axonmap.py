from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prosthesis_sim.axonmap import CUT_RHOS, REACH_LAMBDAS, AxonMap, axon_map_reference
from prosthesis_sim.axons import Axons, axons
from prosthesis_sim.retina import WatsonRetina

RHO, LAMBDA = 300.0, 500.0
DROPPED = math.exp(-(CUT_RHOS**2) / 2)
SCREEN = np.linspace(-10, 10, 41)
X, Y = np.meshgrid(SCREEN, SCREEN[::-1])
AXONS = axons(WatsonRetina(), "right", X, Y, REACH_LAMBDAS * 700)


def columns(*values):
    return tuple(np.atleast_1d(np.asarray(v, float)) for v in values)


def reference(where, x, y, bright, rho=RHO, decay=LAMBDA):
    x, y, bright = columns(x, y, bright)
    return axon_map_reference(where, x, y, bright, rho + 0 * x, decay + 0 * x)


def fast(where, x, y, bright, rho=RHO, decay=LAMBDA):
    x, y, bright = columns(x, y, bright)
    image = np.full(where.first.shape, np.nan, np.float32)
    AxonMap(where, x, y).draw(image, bright, rho + 0 * x, decay + 0 * x)
    return image


def straight(step_um=2.0, length_um=8000.0, reach_um=REACH_LAMBDAS * LAMBDA):
    """One axon along u from a disc at 0, a pixel on each of its points."""
    x = np.arange(0, length_um, step_um, dtype=np.float32)
    last = np.arange(len(x), dtype=np.int32)[None, :]
    first = np.maximum(last - int(reach_um / step_um), 0).astype(np.int32)
    return Axons(x, 0 * x, x, first, last, np.zeros(last.shape, np.float32))


@pytest.mark.parametrize("draw", [reference, fast])
def test_one_electrode_on_a_straight_axon_is_a_gaussian_of_rho_toward_the_disc_and_of_both_away(draw):
    """max over s <= p of exp(-(s - e)^2 / 2 rho^2 - (p - s)^2 / 2 lambda^2): at s = p before e, else in between."""
    along = np.arange(0, 8000, 2) - 4000.0
    spread = np.where(along < 0, RHO**2, RHO**2 + LAMBDA**2)
    expected = 0.8 * np.exp(-(along**2) / (2 * spread))
    assert draw(straight(), 4000, 0, 0.8)[0] == pytest.approx(expected, abs=4e-4)


@pytest.mark.parametrize("draw", [reference, fast])
def test_an_electrode_beside_the_axon_lights_it_by_its_distance(draw):
    assert draw(straight(), 4000, 450, 0.8).max() == pytest.approx(0.8 * math.exp(-(450**2) / (2 * RHO**2)), abs=4e-4)


@pytest.mark.parametrize("draw", [reference, fast])
def test_a_pixel_beside_its_axon_is_dimmer_by_the_way_to_it(draw):
    where = straight()
    beside = Axons(where.x_um, where.y_um, where.arc_um, where.first, where.last, where.away_um + np.float32(200))
    lit = draw(beside, 4000, 0, 0.8)[0, 2000]
    # the best point is not the nearest any more, but the nearest is the best that remains here: s <= p = e
    assert lit == pytest.approx(0.8 * math.exp(-(200**2) / (2 * LAMBDA**2)), abs=4e-4)


def test_electrodes_add_before_the_strongest_point_is_taken():
    where = straight()
    x = np.array([3900.0, 4100.0])
    both = fast(where, x, 0 * x, [0.3, 0.3])[0]
    middle = 0.6 * math.exp(-(100**2) / (2 * RHO**2))
    assert both[2000] == pytest.approx(middle, abs=1e-3)
    assert both[2000] > max(fast(where, v, 0, 0.3)[0, 2000] for v in x)


def test_with_a_vanishing_lambda_pixels_on_their_axon_show_the_scoreboard():
    u, v = (part * 1e3 for part in WatsonRetina().to_tissue(X, Y))
    scoreboard = np.exp(-((u + 500) ** 2 + (v - 300) ** 2) / (2 * RHO**2))
    on = AXONS.away_um < 7
    assert (scoreboard[on] > 0.3).sum() > 5
    assert reference(AXONS, -500, 300, 1.0, decay=30.0)[on] == pytest.approx(scoreboard[on], abs=0.03)


def test_a_streak_lies_along_the_way_to_the_optic_disc_and_beyond_the_electrode():
    """Between fovea and disc bundles run almost straight; cells further out send their axons past the electrode."""
    x0, y0 = 6.0, -1.0
    u, v = (float(part) * 1e3 for part in WatsonRetina().to_tissue(np.array(x0), np.array(y0)))
    image = reference(AXONS, u, v, 1.0)
    weight = np.where(image > 0.05, image, 0)
    weight /= weight.sum()
    cx, cy = (weight * X).sum(), (weight * Y).sum()
    (xx, xy), (_, yy) = np.cov(X.ravel(), Y.ravel(), aweights=weight.ravel())
    axis = math.degrees(0.5 * math.atan2(2 * xy, xx - yy))
    to_disc = math.degrees(math.atan2(-1.5 - y0, 15.5 - x0))
    assert axis == pytest.approx(to_disc, abs=8)
    assert xx > 1.5 * yy
    assert (cx - x0) * (15.5 - x0) + (cy - y0) * (-1.5 - y0) < 0


def test_longer_lambda_makes_a_longer_streak_of_the_same_peak():
    lit = [(reference(AXONS, -500, 600, 1.0, decay=decay) > 0.3).sum() for decay in (100.0, 400.0, 700.0)]
    assert lit[0] < lit[1] < lit[2]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 3))
def test_the_fast_map_is_the_reference_but_for_the_tails_it_drops(seed, n, lambdas):
    random = np.random.default_rng(seed)
    x, y = random.uniform(-3500, 3500, (2, n))
    bright = random.uniform(0, 1 / n, n) * (random.random(n) < 0.8)
    rho = random.uniform(20, 400, n)
    decay = random.choice(random.uniform(50, 700, lambdas), n)
    difference = fast(AXONS, x, y, bright, rho, decay) - reference(AXONS, x, y, bright, rho, decay)
    assert np.abs(difference).max() <= DROPPED * bright.sum() + 2e-5


def test_beyond_the_cuts_there_is_no_light_at_all():
    u, v = (part * 1e3 for part in WatsonRetina().to_tissue(X, Y))
    image = fast(AXONS, -1500, 900, 1.0, rho=100.0, decay=200.0)
    far = np.hypot(u + 1500, v - 900) > CUT_RHOS * 100 + REACH_LAMBDAS * 200
    assert far.any()
    assert not image[far].any()
    assert image.max() > 0.9


def test_light_stops_at_white_and_dark_electrodes_leave_the_screen_black():
    assert fast(AXONS, [0, 0], [500, 500], [0.9, 0.9]).max() == 1.0
    assert not fast(AXONS, [0, 0], [500, 500], [0, 0]).any()
    assert not fast(AXONS, 0, 60_000, 1.0).any()


def test_pixels_that_no_fibre_reaches_stay_black():
    x, y = np.meshgrid(np.linspace(25, 60, 36), np.linspace(5, -5, 11))
    where = axons(WatsonRetina(), "right", x, y, REACH_LAMBDAS * LAMBDA)
    bare = where.first > where.last
    assert 0 < bare.sum() < bare.size
    u, v = (float(part) * 1e3 for part in WatsonRetina().to_tissue(np.array(27.0), np.array(0.0)))
    for image in (fast(where, u, v, 1.0), reference(where, u, v, 1.0)):
        assert image.max() > 0.5
        assert not image[bare].any()
