from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from prosthesis_sim import realtime
from prosthesis_sim.phosphenes import ChargeBrightness, PulseBrightness
from prosthesis_sim.tissue import ChargeLaw, PulseLaw, TissueState, Train

TISSUE = ChargeLaw()
PULSE = PulseLaw(kappa_hz=0.075)
WEISS = PulseLaw(0.0, 650.0, 4.5, 0.0, 0.1, kappa_hz=0.075, reference=Train(450.0, 20.0, 0.25))


def start(activation=0.0, trace=0.0, n=1):
    return TissueState(np.full(n, activation), np.full(n, trace), np.zeros(n))


def live(state, amplitude, duty, seconds, steps=1, law=TISSUE):
    scale_ua = 1.0 if law is TISSUE else 30.0
    for _ in range(steps):
        rate_hz = np.array([duty / 170e-6])
        state = law.step(state, np.array([amplitude]), np.array([170.0]), rate_hz, seconds / steps, scale_ua)
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
    assert got.trace[0] == pytest.approx(truth[1], rel=1e-5, abs=1e-8)


@given(
    st.floats(0, 120),
    st.floats(0, 0.3),
    st.floats(0.001, 20),
    st.floats(0, 1),
    st.floats(0, 60),
    st.integers(2, 40),
    st.sampled_from([TISSUE, PULSE, WEISS]),
)
@example(52.0, 0.25, 0.00390625, 0.0, 0.0, 6, WEISS)  # 1 - exp of a short step lost nine digits here
def test_one_step_is_any_number_of_smaller_ones(amplitude, duty, seconds, activation, trace, steps, law):
    once = live(start(activation, trace), amplitude, duty, seconds, law=law)
    often = live(start(activation, trace), amplitude, duty, seconds, steps, law=law)
    assert often.activation[0] == pytest.approx(once.activation[0], rel=1e-9, abs=1e-12)
    assert often.trace[0] == pytest.approx(once.trace[0], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("fps", [10, 60, 1000])
@pytest.mark.parametrize("law", [TISSUE, PULSE])
def test_the_frame_rate_does_not_change_a_train(fps, law):
    # 166 ms at 50 uA; Euler at these rates gives brightness 0.645 to 0.505 for it
    threshold, bright = np.ones(1), PulseBrightness(1.13, 3.52) if law is PULSE else ChargeBrightness()
    one, many, left = live(start(), 50.0, 0.051, 0.166, law=law), start(), 0.166
    while left > 1e-12:
        many = live(many, 50.0, 0.051, min(1 / fps, left), law=law)
        left -= 1 / fps
    assert many.activation[0] == pytest.approx(one.activation[0], rel=1e-12)
    assert abs(bright(many, threshold)[0] - bright(one, threshold)[0]) < 1e-6


@pytest.mark.parametrize("law", [TISSUE, PULSE])
@pytest.mark.parametrize("rate_hz", [50.0, 300.0])
def test_single_pulses_sum_to_the_mean_rate_within_half_a_pulse_of_decay(law, rate_hz):
    """Just after N pulses the sum of exp(-k d), d = 1 / (rate tau), against (1 - exp(-N d)) / d: more by d / 2."""
    n, mean, single, scale_ua = 50, start(), start(), 1.0 if law is TISSUE else 30.0
    mean = law.step(mean, np.array([50.0]), np.array([170.0]), np.array([rate_hz]), n / rate_hz, scale_ua)
    for k in range(n):
        if k:
            single = law.step(single, np.zeros(1), np.zeros(1), np.zeros(1), 1 / rate_hz - 1e-9)
        single = law.step(single, np.array([50.0]), np.array([170.0]), np.array([1e9]), 1e-9, scale_ua)
    d = 1 / (rate_hz * law.tau_act_s)
    excess = single.activation[0] / mean.activation[0] - 1
    assert 0.4 * d < excess < 0.5 * d + d * d / 12 + 2e-3  # the charge law habituates a little on the way


@pytest.mark.parametrize("pulse_law", [PULSE, WEISS])
def test_the_pulse_law_is_the_solution_of_its_differential_equations(pulse_law):
    ref, p = pulse_law.reference, pulse_law

    def effect(times_threshold, width):
        above = times_threshold / (1 + p.chronaxie_us / width) - p.rheobase
        return width**p.width_power * max(0.0, above) ** p.exponent

    d = 1 / (ref.rate_hz * p.tau_act_s)
    count = sum(np.exp(-k * d) for k in range(round(ref.rate_hz * ref.train_s)))
    drive = 300 * effect(50 / 30, 170.0) / effect(1.0, ref.pulse_width_us) / count

    def law(t, z):
        return [-z[0] / p.tau_act_s + drive, -z[1] / p.tau_trace_s + p.kappa_hz * z[0]]

    truth = solve_ivp(law, (0, 3.0), [5.0, 2.0], rtol=1e-10, atol=1e-9).y[:, -1]
    got = live(start(5.0, 2.0), 50.0, 0.051, 3.0, law=p)
    assert (got.activation[0], got.trace[0]) == pytest.approx(truth, rel=1e-7)


@pytest.mark.parametrize("law", [PULSE, WEISS])
def test_the_reference_train_at_threshold_just_reaches_one(law):
    ref, state = law.reference, start()
    for k in range(round(ref.rate_hz * ref.train_s)):
        if k:
            state = law.step(state, np.zeros(1), np.zeros(1), np.zeros(1), 1 / ref.rate_hz - 1e-9, 40.0)
        state = law.step(state, np.array([40.0]), np.array([ref.pulse_width_us]), np.array([1e9]), 1e-9, 40.0)
    assert state.activation[0] == pytest.approx(1.0, rel=1e-6)
    here = (np.array([v]) for v in (ref.pulse_width_us, ref.rate_hz, ref.train_s))
    assert law.threshold(*here)[0] == pytest.approx(1.0)


def test_thresholds_fall_with_width_and_count_as_each_law_states():
    one = np.ones(1)
    wide = PULSE.threshold(1e9 * one, 300 * one, 0.166 * one)
    assert wide[0] == pytest.approx(PULSE.rheobase, rel=1e-5)
    rheobase = WEISS.threshold(1e9 * one, 20 * one, 0.25 * one)
    assert WEISS.threshold(650 * one, 20 * one, 0.25 * one)[0] == pytest.approx(2 * rheobase[0], rel=1e-5)
    single, train = WEISS.threshold(450 * one, 20 * one, 0 * one), WEISS.threshold(450 * one, 20 * one, 0.25 * one)
    count = sum(np.exp(-k / 2) for k in range(5))  # 20 Hz and 0.1 s of memory
    assert single[0] / train[0] == pytest.approx(count ** (1 / 4.5))


def test_activation_decays_with_its_time_constant_and_remembers_the_last_current():
    lit = live(start(), 60.0, 0.051, 0.166)
    dark = live(lit, 0.0, 0.0, 0.1)
    assert dark.activation[0] / lit.activation[0] == pytest.approx(np.exp(-0.9))
    assert dark.last_ua[0] == 60.0


def test_threshold_current_reaches_its_threshold_and_no_more():
    law, one = ChargeLaw(kappa_hz=1e-12), np.ones(1)
    i = law.threshold_ua(170 * one, 300 * one, 0.166 * one, 0.0914189 * one)
    reached = law.step(start(), i, 170 * one, 300 * one, 0.166)
    assert reached.activation[0] == pytest.approx(0.0914189, rel=1e-9)


@given(st.integers(0, 2**32))
def test_the_compiled_laws_are_the_reference(seed):
    random = np.random.default_rng(seed)
    n, dt_s = 50, float(random.uniform(0.0005, 2.0))
    amplitude = random.uniform(0, 120, n) * (random.random(n) < 0.7)
    width = random.uniform(50, 500, n).astype(np.float32)
    pulses = random.integers(0, 1 + int(300 * dt_s), n).astype(np.int32)
    charge = ChargeLaw(kappa_hz=float(random.choice([0.0, 13.95528162])))
    for law in (charge, PULSE, WEISS):
        # so that with either law some electrodes are driven and others are not
        scale_ua = random.uniform(0.5, 2, n) if law is charge else random.uniform(10, 100, n)
        state = TissueState(random.uniform(0, 1, n), random.uniform(0, 80, n), random.uniform(0, 100, n))
        expected = law.step(state, amplitude, width.astype(float), pulses / dt_s, dt_s, scale_ua)
        a, q, last = state.activation.copy(), state.trace.copy(), state.last_ua.copy()
        if law is charge:
            constants = (law.rheobase_ua, law.tau_act_s, law.tau_trace_s, law.kappa_hz)
            realtime.live_charge(a, q, last, amplitude, width, pulses, dt_s, scale_ua, *constants)
        else:
            shape = (law.rheobase, law.chronaxie_us, law.exponent, law.width_power, law.per_pulse)
            times = (law.tau_act_s, law.tau_trace_s, law.kappa_hz)
            realtime.live_pulse(a, q, last, amplitude, width, pulses, dt_s, scale_ua, *shape, *times)
        assert a == pytest.approx(expected.activation, rel=1e-9, abs=1e-12)
        assert q == pytest.approx(expected.trace, rel=1e-9, abs=1e-12)
        assert last == pytest.approx(expected.last_ua)
