from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from prosthesis_sim import realtime
from prosthesis_sim.tissue import Tissue, TissueState, step, threshold_current_ua

TISSUE = Tissue()


def start(activation=0.0, trace=0.0, n=1):
    return TissueState(np.full(n, activation), np.full(n, trace), np.zeros(n))


def live(state, amplitude, duty, seconds, steps=1):
    for _ in range(steps):
        state = step(TISSUE, state, np.array([amplitude]), np.array([duty]), seconds / steps)
    return state


@pytest.mark.parametrize(
    ("amplitude", "duty", "seconds", "activation", "trace"),
    [
        (60.0, 0.051, 0.166, 0.0, 0.0),
        (60.0, 0.051, 5.0, 0.2, 3.0),
        (30.0, 0.051, 600.0, 0.1, 7.0),  # habituation decays through the drive within the step
        (30.0, 0.051, 100.0, 0.1, 7.0),  # not yet
        (30.0, 1e-4, 600.0, 0.1, 7.0),  # and so weakly that the wait still shows at the end
        (20.0, 0.051, 1.0, 0.3, 2.0),  # below rheobase: both only decay
        (0.0, 0.0, 1.0, 0.3, 2.0),
        (60.0, 0.6449, 1.0, 0.0, 0.0),  # the two rates nearly equal
    ],
)
def test_a_step_is_the_solution_of_the_differential_equations(amplitude, duty, seconds, activation, trace):
    def law(t, z):
        drive = max(0.0, amplitude - TISSUE.rheobase_ua - z[1]) * duty
        return [-z[0] / TISSUE.tau_act_s + drive, -z[1] / TISSUE.tau_trace_s + TISSUE.kappa_hz * drive]

    truth = solve_ivp(law, (0, seconds), [activation, trace], rtol=1e-9, atol=1e-12, max_step=seconds / 200).y[:, -1]
    got = live(start(activation, trace), amplitude, duty, seconds)
    assert got.activation[0] == pytest.approx(truth[0], rel=1e-5, abs=1e-8)
    assert got.trace_ua[0] == pytest.approx(truth[1], rel=1e-5, abs=1e-8)


@given(
    st.floats(0, 120),
    st.floats(0, 0.3),
    st.floats(0.001, 20),
    st.floats(0, 1),
    st.floats(0, 60),
    st.integers(2, 40),
)
def test_one_step_is_any_number_of_smaller_ones(amplitude, duty, seconds, activation, trace, steps):
    once = live(start(activation, trace), amplitude, duty, seconds)
    often = live(start(activation, trace), amplitude, duty, seconds, steps)
    assert often.activation[0] == pytest.approx(once.activation[0], rel=1e-9, abs=1e-12)
    assert often.trace_ua[0] == pytest.approx(once.trace_ua[0], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("fps", [10, 60, 1000])
def test_the_frame_rate_does_not_change_a_train(fps):
    # Euler at these rates gives brightness 0.645 to 0.505 for this train
    steps = round(0.2 * fps)
    one = live(start(), 50.0, 0.051, 0.2)
    many = live(start(), 50.0, 0.051, 0.2, steps)
    assert many.activation[0] == pytest.approx(one.activation[0], rel=1e-12)


def test_activation_decays_with_its_time_constant_and_remembers_the_last_current():
    lit = live(start(), 60.0, 0.051, 0.166)
    dark = live(lit, 0.0, 0.0, 0.1)
    assert dark.activation[0] / lit.activation[0] == pytest.approx(np.exp(-0.9))
    assert dark.last_ua[0] == 60.0


def test_threshold_current_reaches_its_threshold_and_no_more():
    i = threshold_current_ua(
        Tissue(kappa_hz=1e-12), np.array([170.0]), np.array([300.0]), np.array([0.166]), np.array([0.0914189])
    )
    reached = step(Tissue(kappa_hz=1e-12), start(), i, np.array([0.051]), 0.166)
    assert reached.activation[0] == pytest.approx(0.0914189, rel=1e-9)


@given(st.integers(0, 2**32))
def test_the_compiled_law_is_the_reference(seed):
    random = np.random.default_rng(seed)
    n, dt_s = 50, float(random.uniform(0.0005, 2.0))
    amplitude = (random.uniform(0, 120, n) * (random.random(n) < 0.7)).astype(np.float32)
    width = random.uniform(50, 500, n).astype(np.float32)
    pulses = random.integers(0, 1 + int(300 * dt_s), n).astype(np.int32)
    law = Tissue(kappa_hz=float(random.choice([0.0, 13.95528162])))
    state = TissueState(random.uniform(0, 1, n), random.uniform(0, 80, n), random.uniform(0, 100, n))
    expected = step(law, state, amplitude.astype(float), pulses * width.astype(float) * 1e-6 / dt_s, dt_s)
    a, q, last = state.activation.copy(), state.trace_ua.copy(), state.last_ua.copy()
    realtime.live(
        a, q, last, amplitude, width, pulses, dt_s, law.rheobase_ua, law.tau_act_s, law.tau_trace_s, law.kappa_hz
    )
    assert a == pytest.approx(expected.activation, rel=1e-9, abs=1e-12)
    assert q == pytest.approx(expected.trace_ua, rel=1e-9, abs=1e-12)
    assert last == pytest.approx(expected.last_ua)
