from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prosthesis.calibration.curves import Curve


def test_a_curve_is_numpys_interpolation_through_the_origin():
    xs, ys = np.array([[0.2, 0.5, 1.0], [0.1, 0.4, 0.8]]), np.array([[0.1, 0.6, 0.9], [0.3, 0.3, 1.0]])
    curve = Curve(xs, ys)
    for x in np.linspace(0, 1.2, 61):
        expected = [np.interp(x, [0, *xs[i]], [0, *ys[i]]) for i in range(2)]
        assert curve(np.array([x, x])) == pytest.approx(expected)


def test_nan_stays_nan_and_a_jump_is_taken():
    curve = Curve(np.array([[0.5, 0.5, 1.0]] * 3), np.array([[0.2, 0.6, 1.0]] * 3))
    y = curve(np.array([np.nan, 0.4999999, 0.5]))
    assert np.isnan(y[0])
    assert y[1:] == pytest.approx([0.2, 0.6], abs=1e-6)


def test_nothing_asked_is_nothing_even_where_a_curve_rises_at_zero_itself():
    curve = Curve(np.array([[0.0, 0.5, 1.0]] * 3), np.array([[0.4, 0.6, 1.0]] * 3))
    assert curve(np.array([0.0, -0.1, 0.25])) == pytest.approx([0.0, 0.0, 0.5])


@given(st.integers(0, 2**32))
def test_inverting_a_rising_curve_gives_back_what_went_in(seed):
    random = np.random.default_rng(seed)
    xs = np.cumsum(random.uniform(0.05, 1, (20, 5)), axis=1)
    ys = np.cumsum(random.uniform(0.05, 1, (20, 5)), axis=1)
    x = random.uniform(0, 1, 20) * xs[:, -1]
    assert Curve(ys, xs)(Curve(xs, ys)(x)) == pytest.approx(x)


def test_the_desks_curve_is_the_devices_also_where_nothing_is_asked():
    torch = pytest.importorskip("torch")
    from prosthesis_train.observers.device import TorchCurve

    xs, ys = np.array([[0.0, 0.5, 1.0], [0.2, 0.4, 0.8]]), np.array([[0.4, 0.6, 1.0], [0.3, 0.3, 1.0]])
    for x in (-0.1, 0.0, 0.1, 0.3, 0.9, 1.1):
        here = TorchCurve(xs, ys)(torch.full((1, 2), x))[0].numpy()
        assert here == pytest.approx(Curve(xs, ys)(np.array([x, x])), abs=1e-6)
