from __future__ import annotations

import numpy as np
import pytest

from prosthesis.config import ArrayPlacement, ImplantChoice, load_rig
from prosthesis_sim.coverage import coverage, covered_share
from prosthesis_sim.electrodes import ElectrodeArray, place
from prosthesis_sim.retinotopy import LinearRetina, WedgeDipole

RETINA = LinearRetina(0.28)


def at(u_mm, v_mm, hemisphere="left"):
    u = np.asarray(u_mm, float)
    return ElectrodeArray(u, np.asarray(v_mm, float), np.zeros(len(u), int), hemisphere, np.zeros(len(u)))


def test_one_phosphene_of_half_the_discs_radius_covers_a_quarter_of_it():
    found = coverage(at([0.0], [0.0]), RETINA, within_deg=10, spread_mm=5 * 0.28)
    assert found.radius_deg == pytest.approx([5])
    assert found.share == pytest.approx(0.25, abs=0.003)


def test_phosphenes_that_overlap_are_not_counted_twice_and_those_beyond_not_at_all():
    one = np.array([2.0]), np.array([-1.0]), np.array([1.5])
    same = tuple(np.repeat(c, 2) for c in one)
    assert covered_share(*same, 5) == covered_share(*one, 5) == pytest.approx((1.5 / 5) ** 2, abs=0.003)
    assert covered_share(np.array([20.0]), np.zeros(1), np.ones(1), 5) == 0
    # half of a phosphene on the rim of a far larger disc
    assert covered_share(np.array([100.0]), np.zeros(1), np.array([5.0]), 100) == pytest.approx(0.5 * 0.05**2, rel=0.1)


def test_a_whole_disc_covered_is_a_share_of_one_and_none_is_zero():
    assert covered_share(np.zeros(1), np.zeros(1), np.array([9.0]), 5) == 1
    assert covered_share(np.zeros(0), np.zeros(0), np.zeros(0), 5) == 0


def test_electrodes_outside_the_map_keep_their_index():
    found = coverage(at([-0.5, 3.0, 40.0], [0.0, 0.0, 60.0]), WedgeDipole(17.3, 0.75, 120.0), 10, 0.2)
    assert found.inside.tolist() == [False, True, False]
    assert np.isfinite(found.x_deg).tolist() == [False, True, False]
    assert found.electrodes_inside == 1
    assert found.extent_deg[0] == found.extent_deg[1] == pytest.approx(found.eccentricity_deg[0])


def test_an_array_all_outside_the_map_covers_nothing():
    found = coverage(at([-1.0], [0.0]), WedgeDipole(17.3, 0.75, 120.0), 10, 0.2)
    assert (found.electrodes_inside, found.share) == (0, 0)
    assert np.isnan([*found.extent_deg, *found.eccentricity_deg]).all()


def test_argus_ii_covers_its_published_eighteen_by_eleven_degrees():
    rig = load_rig("argus60", uncalibrated=True)
    found = coverage(place(rig.config.implant, rig.array), RETINA, within_deg=20, spread_mm=0.1)
    left, right, low, high = found.extent_deg
    assert (right - left, high - low) == pytest.approx((18.5, 10.3), abs=0.1)  # 18 x 11: Barry & Dagnelie 2016
    assert found.electrodes_inside == 60


def test_the_right_hemisphere_covers_the_left_half_field_as_the_left_does_the_right():
    rig = load_rig("utah96", uncalibrated=True)
    where = (ArrayPlacement(x_mm=30.0, y_mm=2.0),)
    both = [
        coverage(place(ImplantChoice(array="a", hemisphere=side, placements=where), rig.array), V1, 10, 0.3)
        for side in ("left", "right")
    ]
    assert both[0].x_deg == pytest.approx(-both[1].x_deg)
    assert both[0].x_deg.min() > 0
    assert both[0].share == pytest.approx(both[1].share, rel=0.02)


V1 = WedgeDipole(17.3, 0.75, 120.0)
