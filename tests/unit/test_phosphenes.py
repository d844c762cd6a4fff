from __future__ import annotations

import math

import numpy as np
import pytest

from prosthesis_sim import rendering
from prosthesis_sim.phosphenes import (
    ChargeBrightness,
    PulseBrightness,
    erf,
    render_reference,
    saturating_radius_mm,
    spread_radius_mm,
    visible,
)
from prosthesis_sim.realtime import shine_charge, shine_pulse
from prosthesis_sim.rendering import render, render_tilted
from prosthesis_sim.tissue import TissueState

EDGES = np.linspace(-8, 8, 257)


def reference(x, y, sigma, bright):
    x, y, sigma, bright = (np.atleast_1d(np.asarray(v, float)) for v in (x, y, sigma, bright))
    return render_reference(EDGES, EDGES, x, y, sigma, bright)


def fast(x, y, sigma, bright, size=256):
    x, y, sigma, bright = (np.atleast_1d(np.asarray(v, float)) for v in (x, y, sigma, bright))
    image = np.full((size, size), np.nan, np.float32)
    per_deg = size / 16
    render(image, x * per_deg + size / 2, size / 2 - y * per_deg, sigma * per_deg, 1.0, bright)
    return image


def test_erf_is_right_to_two_in_ten_million():
    x = np.linspace(-6, 6, 2001)
    assert np.abs(erf(x) - [math.erf(v) for v in x]).max() < 2e-7


def lit(activation, trace=0.0):
    return TissueState(np.array([activation]), np.array([trace]), np.zeros(1))


def test_charge_brightness_is_half_at_half_and_steep_as_fitted():
    bright = ChargeBrightness()
    assert bright(lit(0.105763), np.ones(1))[0] == pytest.approx(0.5)
    assert bright(lit(0.105763 + 1 / 19.1526), np.ones(1))[0] == pytest.approx(1 / (1 + math.exp(-1)))


def test_pulse_brightness_is_half_at_half_and_divided_by_habituation():
    bright, one = PulseBrightness(1.5, 2.0, rheobase=0.5, root=0.5), np.ones(1)
    # a current of 1.5 thresholds activates ((1.5 - 0.5) / 0.5)^2 = 4 times
    assert bright(lit(4.0), one)[0] == pytest.approx(0.5)
    assert bright(lit(4.0, trace=3.0), one)[0] == pytest.approx(0.125)
    assert bright(lit(25.0), one)[0] == pytest.approx(0.8)  # three thresholds
    assert bright(TissueState(bright.reaching(0.9, one), np.zeros(1), np.zeros(1)), one)[0] == pytest.approx(0.9)


def test_the_compiled_brightness_is_the_reference():
    random = np.random.default_rng(0)
    state = TissueState(random.uniform(0, 3, 99), random.uniform(0, 3, 99), np.zeros(99))
    threshold = np.where(random.random(99) < 0.2, np.inf, 1.0)
    got, a, q = np.empty(99), state.activation, state.trace
    for bright, seen in (
        (ChargeBrightness(), lambda: shine_charge(a, threshold, 19.1526, 0.105763, got)),
        (PulseBrightness(1.13, 3.5, 0.5, 1.0), lambda: shine_pulse(a, q, threshold, 0.5, 1.0, 1.13, 3.5, got)),
        (PulseBrightness(1.5, 2.0, 0.0, 0.3), lambda: shine_pulse(a, q, threshold, 0.0, 0.3, 1.5, 2.0, got)),
    ):
        count = seen()
        expected = bright(state, threshold) * visible(state.activation, threshold)
        assert got == pytest.approx(expected, rel=1e-9, abs=1e-12)
        assert count == np.count_nonzero(expected)


def test_a_soft_threshold_has_its_middle_at_the_hard_one_and_never_lights_the_dead():
    threshold = np.array([2.0, np.inf])
    assert visible(np.array([2.001, 9e9]), threshold).tolist() == [1.0, 0.0]
    assert visible(np.array([1.999, 9e9]), threshold).tolist() == [0.0, 0.0]
    assert visible(np.array([2.0, 9e9]), threshold, softness=0.1) == pytest.approx([0.5, 1 / (1 + math.exp(10))])
    assert visible(np.array([2.2, 0.0]), threshold, softness=0.1)[0] == pytest.approx(1 / (1 + math.exp(-1)))


def test_bosking_sizes_grow_and_saturate_in_microampere():
    # the peer takes the current in ampere here, and every size from 10 to 500 uA is the same to five digits
    small, half, large = saturating_radius_mm(np.array([10.0, 40.0, 500.0]), 0.7, 40.0, 0.08)
    assert half == pytest.approx(0.175)
    assert large == pytest.approx(0.35, rel=1e-6)
    assert small < 0.1


@pytest.mark.parametrize("long_px", [0.4, 2.0, 8.0])
@pytest.mark.parametrize("ratio", [1.0, 2.0, 5.0])
def test_a_tilted_phosphene_is_its_gaussian_averaged_over_each_pixel(long_px, ratio):
    short_px, angle, size, fine = long_px / ratio, 0.6, 48, 24
    image = np.empty((size, size), np.float32)
    place = np.array([23.3]), np.array([25.8])
    render_tilted(image, *place, np.array([long_px]), np.array([short_px]), np.array([angle]), np.array([1.0]))
    at = (np.arange(size * fine) + 0.5) / fine
    x, up = at[None, :] - 23.3, -(at[:, None] - 25.8)
    along, across = math.cos(angle) * x + math.sin(angle) * up, -math.sin(angle) * x + math.cos(angle) * up
    truth = np.exp(-0.5 * ((along / long_px) ** 2 + (across / short_px) ** 2))
    assert np.abs(image - truth.reshape(size, fine, size, fine).mean(axis=(1, 3))).max() < 2e-3


def test_forty_microampere_activate_a_quarter_of_a_millimetre():
    assert spread_radius_mm(np.array([40.0]), 675)[0] == pytest.approx(math.sqrt(40 / 675))


def test_the_fast_renderer_draws_what_the_reference_draws():
    random = np.random.default_rng(1)
    n = 300
    x, y = random.uniform(-9, 9, (2, n))
    sigma, bright = random.uniform(0.005, 0.4, n), random.uniform(0, 0.3, n)
    bright[::7] = 0
    assert np.abs(fast(x, y, sigma, bright) - reference(x, y, sigma, bright)).max() < 2e-4


@pytest.mark.parametrize("width", [3, 8, 13, 16, 31])
def test_pictures_of_any_width_are_drawn_to_both_edges(width):
    """The renderer works on eight pixels at a time; those that do not fill up a row are none of its business."""
    high = 9
    random = np.random.default_rng(width)
    n = 40
    column, row = random.uniform(-3, width + 3, n), random.uniform(-3, high + 3, n)
    sigma, bright = random.uniform(0.05, 4, n), random.uniform(0, 0.2, n)
    guarded = np.full((high + 2, width), 7, np.float32)
    render(guarded[1:-1], column, row, sigma, 1.0, bright)
    assert (guarded[[0, -1]] == 7).all()
    across, up = np.arange(width + 1.0), np.arange(high + 1.0)
    truth = render_reference(across, up, column, high - row, sigma, bright)
    assert np.abs(guarded[1:-1] - truth).max() < 5e-4


@pytest.mark.parametrize("sigma", [0.05, 0.4, 1.0, 7.0])
def test_the_fast_profile_is_the_integral_of_the_normal_distribution(sigma):
    weights = np.zeros(64, np.float32)
    rendering._fill(weights, -31.3, 64, 1 / sigma, 1.0)
    edges = np.array([math.erf(v / sigma / math.sqrt(2)) / 2 for v in np.arange(65) - 31.3])
    # of the whole integral: 3.4e-6 lie beyond 4.5 sigmas on either side, 1.4e-6 is the fit's
    assert np.abs(weights - np.diff(edges)).max() < 8.5e-6


def test_a_phosphene_without_size_is_not_drawn():
    assert fast(0.0, 0.0, 0.0, 1.0).max() == 0


def test_a_large_phosphene_has_its_peak_where_and_as_bright_as_asked():
    image = fast(2.0, 3.0, 0.5, 0.8)
    row, column = np.unravel_index(image.argmax(), image.shape)
    assert EDGES[column] == pytest.approx(2.0, abs=0.07)
    assert -EDGES[row] == pytest.approx(3.0, abs=0.07)
    assert image.max() == pytest.approx(0.8, rel=1e-2)


def test_light_stays_the_same_as_a_tiny_phosphene_moves_within_a_pixel():
    # point sampling changes it 137-fold at this size
    pixel = 16 / 256
    totals = [fast(s * pixel, s * pixel / 2, 0.2 * pixel, 0.5).sum() for s in np.linspace(0, 1, 21)]
    assert max(totals) / min(totals) < 1.001


def test_total_light_is_the_gaussian_integral():
    pixel = 16 / 256
    total = fast(0.3, -0.2, 0.3, 0.5).sum() * pixel**2
    assert total == pytest.approx(0.5 * 2 * math.pi * 0.3**2, rel=1e-3)


def test_light_adds_and_stops_at_white():
    assert fast([0, 0], [0, 0], [1, 1], [0.3, 0.4]).max() == pytest.approx(0.7, rel=1e-2)
    assert fast([0, 0], [0, 0], [1, 1], [0.9, 0.9]).max() == 1.0


def test_phosphenes_beyond_the_screen_and_dark_ones_draw_nothing():
    assert not fast([50, 0], [0, 0], [0.1, 0.1], [1, 0]).any()


def test_pixels_need_not_be_square():
    wide = np.linspace(-8, 8, 65)
    x, y, sigma, bright = (np.array([v]) for v in (1.3, -2.1, 0.5, 0.8))
    image = np.empty((256, 64), np.float32)
    render(image, x * 4 + 32, 128 - y * 16, sigma * 4, 4.0, bright)
    assert np.abs(image - render_reference(wide, EDGES, x, y, sigma, bright)).max() < 1 / 1024


@pytest.mark.parametrize("sigma_px", [0.2, 1.0, 3.0, 30.0, 300.0])
def test_one_phosphene_is_drawn_to_a_thousandth_of_its_peak(sigma_px):
    """Against ``math.erf``, at eleven places within a pixel."""

    def profile(centre):
        integral = np.array([math.erf((edge - centre) / (math.sqrt(2) * sigma_px)) for edge in range(129)])
        return np.diff(integral) * sigma_px * math.sqrt(math.pi / 2)

    image = np.empty((128, 128), np.float32)
    for place in 64 + np.linspace(0, 1, 11):
        render(image, np.array([place]), np.array([place + 0.3]), np.array([sigma_px]), 1.0, np.array([1.0]))
        assert np.abs(image - np.outer(profile(place + 0.3), profile(place))).max() < 1 / 1024


def test_a_phosphene_without_a_size_spoils_nothing():
    image = reference([0.0, 2.0], [0.0, 1.0], [0.0, 0.5], [0.0, 0.8])  # the first on a pixel's edge, never driven
    assert np.array_equal(image, reference(2.0, 1.0, 0.5, 0.8))
