from __future__ import annotations

import numpy as np
import pytest

from prosthesis_sim.retina import WatsonRetina

RETINA = WatsonRetina()
ECCENTRICITY = np.linspace(0, 90, 361)


def test_a_degree_at_the_fovea_is_268_um_as_watson_fitted():
    u, v = RETINA.to_tissue(np.array([0.01, 0.0]), np.array([0.0, -0.01]))
    assert u[0] == pytest.approx(0.00268, rel=1e-4)
    assert v[1] == pytest.approx(-0.00268, rel=1e-4)
    assert RETINA.magnification(np.zeros(1), np.zeros(1))[0] == 0.268


def test_ten_degrees_are_as_far_as_the_polynomial_by_hand():
    u, _ = RETINA.to_tissue(np.array([10.0]), np.array([0.0]))
    assert u[0] == pytest.approx(2.68 + 0.03427 - 0.0083309, abs=1e-12)


@pytest.mark.parametrize("angle", [0.0, 1.0, 2.5, -2.0])
def test_places_come_back_to_a_billionth_of_a_degree(angle):
    x, y = ECCENTRICITY * np.cos(angle), ECCENTRICITY * np.sin(angle)
    u, v = RETINA.to_tissue(x, y)
    back_x, back_y = RETINA.to_field(u, v)
    assert np.hypot(back_x - x, back_y - y).max() < 1e-9
    assert RETINA.inside(u * (1 - 1e-12), v * (1 - 1e-12)).all()


def test_beyond_the_rim_is_outside():
    u, v = RETINA.to_tissue(np.array([91.0, 0.0]), np.array([0.0, -95.0]))
    assert not RETINA.inside(u, v).any()


def test_magnification_is_the_square_root_of_the_areas_ratio():
    r, h = np.linspace(1, 40, 40), 1e-5
    out, _ = RETINA.to_tissue(r + h, 0 * r)
    into, _ = RETINA.to_tissue(r - h, 0 * r)
    _, up = RETINA.to_tissue(r, 0 * r + h)
    area = (out - into) / (2 * h) * up / h
    assert RETINA.magnification(r, 0 * r) == pytest.approx(np.sqrt(area), rel=1e-6)


def test_up_in_the_field_is_up_in_v_in_both_eyes():
    for eye in ("left", "right"):
        u, v = RETINA.to_tissue(np.array([5.0]), np.array([3.0]), eye)
        assert (u[0], v[0]) > (0, 0)
