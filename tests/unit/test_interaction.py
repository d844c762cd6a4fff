from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prosthesis_sim.interaction import REACH_MM, add_currents, dense_shares, in_same_slot, neighbours


def summed(u, v, amplitude, pulses, slot, strength=1.0):
    near = in_same_slot(
        neighbours(np.asarray(u, float), np.asarray(v, float), strength, 6.75), np.asarray(slot, np.uint8)
    )
    out = np.empty(len(u))
    add_currents(
        near.start, near.electrode, near.share, np.asarray(amplitude, np.float32), np.asarray(pulses, np.int32), out,
    )  # fmt: skip
    return out


def test_neighbours_in_the_same_slot_add_and_others_do_not():
    at = ([0.0, 0.4, 0.8], [0.0, 0.0, 0.0])
    together = summed(*at, [10, 20, 0], [1, 1, 1], [0, 0, 0])
    share = 1 / (1 + 6.75 * 0.16)
    assert together == pytest.approx([10 + 20 * share, 20 + 10 * share, 0], rel=1e-6)
    assert summed(*at, [10, 20, 0], [1, 1, 1], [0, 1, 0]).tolist() == [10, 20, 0]
    assert summed(*at, [10, 20, 0], [1, 0, 1], [0, 0, 0]).tolist() == [10, 20, 0]  # the second is not pulsing


@pytest.mark.parametrize(
    ("apart_mm", "low", "high"), [(0.05, 0.95, 1.0), (0.4, 0.4, 0.55), (1.0, 0.1, 0.15), (3, 0, 0)]
)
def test_two_close_electrodes_add_almost_fully_and_beyond_a_millimetre_hardly(apart_mm, low, high):
    more = summed([0, apart_mm], [0, 0], [50, 50], [1, 1], [0, 0])[0] / 50 - 1
    assert low <= more <= high


def test_the_size_of_the_effect_is_a_parameter_and_zero_is_independence():
    half = summed([0, 0.4], [0, 0], [50, 50], [1, 1], [0, 0], 0.5)[0] - 50
    assert half == pytest.approx(0.5 * (summed([0, 0.4], [0, 0], [50, 50], [1, 1], [0, 0])[0] - 50))
    assert summed([0, 0.4], [0, 0], [50, 50], [1, 1], [0, 0], 0.0).tolist() == [50, 50]


@given(st.integers(0, 2**32))
def test_binning_finds_every_neighbour_within_reach(seed):
    u, v = np.random.default_rng(seed).uniform(-8, 8, (2, 60))
    d2 = (u[:, None] - u) ** 2 + (v[:, None] - v) ** 2
    expected = np.where((d2 < REACH_MM**2) & ~np.eye(60, dtype=bool), 0.7 / (1 + 6.75 * d2), 0.0)
    assert dense_shares(u, v, 0.7, 6.75) == pytest.approx(expected)
