from __future__ import annotations

import math

import numpy as np
import pytest

from prosthesis_sim.fading import fade, fade_twice

ONE = np.ones(1)


def test_brightness_rises_to_63_percent_in_one_time_constant_and_falls_by_as_much():
    risen = fade(0 * ONE, ONE, 0.1)
    assert risen[0] == pytest.approx(1 - 1 / math.e)
    assert fade(risen, 0 * ONE, 0.1)[0] == pytest.approx(risen[0] / math.e)


def test_two_stages_answer_a_step_and_an_impulse_as_in_closed_form():
    _, risen = fade_twice(0 * ONE, 0 * ONE, ONE, 0.15)
    assert risen[0] == pytest.approx(1 - 2.5 * math.exp(-1.5))
    within, bright = fade_twice(0 * ONE, 0 * ONE, 1e6 * ONE, 1e-7)
    peak = [fade_twice(within, bright, 0 * ONE, t)[1][0] for t in (0.09, 0.1, 0.11)]
    assert peak[1] > max(peak[0], peak[2])
    assert peak[1] == pytest.approx(0.1 / 0.1 * math.exp(-1), rel=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 7, 1000])
def test_one_step_equals_any_subdivision_of_it(steps):
    random = np.random.default_rng(1)
    within, bright, drive = random.uniform(0, 1, (3, 20))
    whole = (fade(bright, drive, 0.3), *fade_twice(within, bright, drive, 0.3))
    single = bright
    for _ in range(steps):
        single = fade(single, drive, 0.3 / steps)
        within, bright = fade_twice(within, bright, drive, 0.3 / steps)
    for part, once in zip((single, within, bright), whole, strict=True):
        assert part == pytest.approx(once, abs=1e-12)
