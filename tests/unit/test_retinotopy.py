from __future__ import annotations

import numpy as np
import pytest

from prosthesis_sim.retinotopy import LinearRetina, WedgeDipole

MONOPOLE = WedgeDipole(17.3, 0.75)
DIPOLE = WedgeDipole(17.3, 0.75, 120)
WEDGE = WedgeDipole(17.3, 0.75, 120, 0.95)
OBLIQUE = 5 / np.sqrt(2)


def at(mapping, x, y, hemisphere="left"):
    u, v = mapping.to_tissue(np.array([float(x)]), np.array([float(y)]), hemisphere)
    return float(u[0]), float(v[0])


@pytest.mark.parametrize(
    ("mapping", "place", "tissue"),
    [
        (MONOPOLE, (5, 0), (35.238, 0.0)),
        (DIPOLE, (5, 0), (34.532, 0.0)),
        (MONOPOLE, (OBLIQUE, OBLIQUE), (34.643, 11.933)),
        (DIPOLE, (OBLIQUE, OBLIQUE), (34.134, 11.438)),
        (WEDGE, (OBLIQUE, OBLIQUE), (34.172, 10.851)),
    ],
)
def test_places_agree_with_both_published_implementations(mapping, place, tissue):
    assert at(mapping, *place) == pytest.approx(tissue, abs=6e-4)


def test_magnification_is_the_published_column():
    r = np.array([0.5, 1, 2, 5, 10, 20, 30])
    expected = [13.70, 9.74, 6.15, 2.87, 1.476, 0.710, 0.447]
    assert DIPOLE.magnification(r, 0 * r) == pytest.approx(expected, rel=3e-3)


def test_magnification_is_the_derivative_along_the_horizontal_meridian():
    x, h = np.linspace(0.1, 60, 50), 1e-5
    u1, _ = DIPOLE.to_tissue(x + h, 0 * x)
    u0, _ = DIPOLE.to_tissue(x - h, 0 * x)
    assert DIPOLE.magnification(x, 0 * x) == pytest.approx((u1 - u0) / (2 * h), rel=1e-6)


def test_hemispheres_see_opposite_halves_and_agree_on_up():
    left, right = at(WEDGE, 5, 3, "left"), at(WEDGE, -5, 3, "right")
    assert left == pytest.approx(right)
    assert left[1] > 0
    x, y = WEDGE.to_field(np.array([left[0]]), np.array([left[1]]), "right")
    assert (float(x[0]), float(y[0])) == pytest.approx((-5, 3))


def test_tissue_beyond_the_vertical_meridian_is_outside():
    inside = WEDGE.inside(np.array([20.0, 20.0, 20.0, -5.0]), np.array([0.0, 60.0, -60.0, 0.0]))
    assert inside.tolist() == [True, False, False, False]


@pytest.mark.parametrize("alpha", [0.25, 0.5, 0.95, 1.0])
def test_only_places_that_some_point_of_the_field_maps_to_are_inside(alpha):
    mapping = WedgeDipole(17.3, 0.75, 120, alpha)
    u, v = (part.ravel() for part in np.meshgrid(np.linspace(-5, 60, 66), np.linspace(-53, 53, 107)))
    inside = mapping.inside(u, v)
    back = mapping.to_tissue(*mapping.to_field(u[inside], v[inside]))
    assert inside.any()
    assert np.hypot(back[0] - u[inside], back[1] - v[inside]).max() < 1e-9


def test_the_retina_is_a_flat_screen():
    assert at(LinearRetina(0.28), 10, -5) == pytest.approx((2.8, -1.4))
