from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from prosthesis.limits import GuardLimits, guard_limits
from prosthesis.messages import StimulationPattern
from prosthesis.safety import BUCKET_S, Guard

N = 4
ANY = st.floats(width=32, allow_nan=True, allow_infinity=True)
# dense at the limits: 60 calibrated maximum, 100 amplitude, 75 x 2 the slot total, 0.1 the DAC step
EDGES = st.sampled_from([0.0, 0.05, 0.1, 19.9, 59.9, 60.0, 60.1, 74.9, 75.0, 75.1, 100.0, 1e6, -1.0, np.nan, np.inf])
VALUES = st.one_of(ANY, EDGES.map(np.float32))


def pattern(amplitude, width=None, rate=None, slot=None):
    return StimulationPattern(
        1, 1,
        np.asarray(amplitude, np.float32),
        np.asarray([200] * N if width is None else width, np.float32),
        np.asarray([100] * N if rate is None else rate, np.float32),
        np.asarray([0, 1, 1, 0] if slot is None else slot, np.uint8),
    )  # fmt: skip


def with_hard(limits, **values):
    return replace(limits, hard=replace(limits.hard, **values))


def column(values=VALUES):
    return arrays(np.float32, N, elements=values)


@settings(max_examples=400)
@given(
    amplitude=column(),
    width=column(st.one_of(VALUES, st.just(200.0))),
    rate=column(),
    slot=arrays(np.uint8, N, elements=st.integers(0, 3)),
)
def test_nothing_ever_leaves_that_breaks_a_limit(guard, amplitude, width, rate, slot):
    wanted = pattern(amplitude, width, rate, slot)
    allowed, _, _ = guard.allow(wanted, guard.initial(), 0.03)
    a, w, r = (x.astype(np.float64) for x in (allowed.amplitude_ua, allowed.pulse_width_us, allowed.rate_hz))
    assert np.isfinite(a).all()
    assert np.isfinite(w).all()
    assert (a >= 0).all()
    assert (a <= 60.0 * (1 + 1e-6)).all()
    assert (a * w * 1e-3 <= 40 * (1 + 1e-6)).all()
    assert (a * w * 1e-3 * 1e5 / 10000 <= 1000 * (1 + 1e-6)).all()
    assert (r <= 1e6 / (2 * 500) * (1 + 1e-6)).all()
    totals = np.bincount(np.where(slot < 2, slot, 0), a, 2)
    assert (totals <= 150 * (1 + 1e-6)).all()
    assert np.allclose(a / 0.1, np.round(a / 0.1), atol=2e-3) or (a <= np.nan_to_num(amplitude)).all()
    sane = np.isfinite(amplitude) & (amplitude > 0)
    assert (a[sane] <= amplitude[sane]).all(), "the guard raised a charge"
    assert not a[~sane].any(), "not a number is silence"


@given(amplitude=column(EDGES.map(np.float32)), slot=arrays(np.uint8, N, elements=st.integers(0, 1)))
def test_instantaneous_limits_are_idempotent(guard, amplitude, slot):
    once, _, _ = guard.allow(pattern(amplitude, slot=slot), guard.initial(), 0.0)
    twice, found, _ = guard.allow(once, guard.initial(), 0.0)
    assert np.array_equal(once.amplitude_ua, twice.amplitude_ua)
    assert [i for i in found if i.tier == "hard"] == [] or not np.isfinite(amplitude).all() or (amplitude < 0).any()


@pytest.fixture(scope="module")
def guard():
    from pathlib import Path

    from prosthesis.config import load_rig

    rig = load_rig(str(Path(__file__).parents[1] / "rigs" / "hand2x2" / "rig.yaml"))
    return Guard(guard_limits(rig))


@pytest.fixture(scope="module")
def limits(guard) -> GuardLimits:
    return guard._limits


def rules(found):
    return {(i.rule, i.tier) for i in found}


def test_every_rule_reports_itself(guard):
    def found(*args, **kwargs):
        return rules(guard.allow(pattern(*args, **kwargs), guard.initial(), 0.0)[1])

    assert found([10, 10, 10, 10]) == set()
    assert ("charge per phase", "advisory") in found([30, 0, 0, 0])
    assert ("charge per phase", "hard") in found([60, 0, 0, 0], width=[700] * 4)
    assert ("calibrated maximum", "hard") in found([61, 0, 0, 0])
    assert ("amplitude", "hard") in found([101, 0, 0, 0])
    assert ("full scale", "hard") not in found([102.3, 0, 0, 0])
    assert ("full scale", "hard") in found([102.4, 0, 0, 0])
    assert ("not finite", "hard") in found([np.nan, 0, 0, 0])
    assert ("not a pulse", "hard") in found([-1, 0, 0, 0])
    assert ("rate", "hard") in found([1, 0, 0, 0], rate=[1001] * 4)
    assert ("slot current", "hard") not in found([60, 0, 0, 60])
    assert ("simultaneous", "hard") in found([10, 10, 10, 0], slot=[0, 0, 0, 1])


def test_the_strongest_keep_their_slot_and_ties_go_to_the_lower_index(guard):
    allowed, _, _ = guard.allow(pattern([20, 30, 30, 30], slot=[0, 0, 0, 0]), guard.initial(), 0.0)
    assert allowed.amplitude_ua.tolist() == [0, 30, 30, 0]


def test_a_slot_over_its_total_is_scaled_down_to_whole_steps(limits):
    guard = Guard(with_hard(limits, slot_current_ua=50.0))
    allowed, found, _ = guard.allow(pattern([60, 0, 0, 30]), guard.initial(), 0.0)
    # 50/90 of 60 and 30 is 33.33 and 16.66: rounded down to 0.1 uA
    assert np.allclose(allowed.amplitude_ua, [33.3, 0, 0, 16.6])
    assert ("slot current", "hard") in rules(found)


def test_an_electrode_that_has_spent_its_average_charge_rests_until_it_has_leaked_away(limits):
    guard = Guard(with_hard(limits, average_nc_per_s=600.0))
    asked = pattern([40, 0, 0, 0])  # 40 uA x 200 us x 100 Hz = 800 nC/s
    state = guard.initial()
    seconds = 0.0
    while True:
        allowed, found, state = guard.allow(asked, state, 0.1)
        if not allowed.amplitude_ua[0]:
            break
        seconds += 0.1
    # 800 (1 - exp(-t / 10 s)) = 600 at t = 10 ln 4
    assert seconds == pytest.approx(BUCKET_S * np.log(4), abs=0.11)
    assert ("average charge", "hard") in rules(found)
    assert state.session_uc == pytest.approx(800e-3 * seconds, rel=1e-6)


# milliseconds from each frame to the next, and whether the frame is bright: jitter, freezes, lost links
TIMES = st.lists(st.tuples(st.one_of(st.integers(1, 120), st.integers(1, 30_000)), st.booleans()), max_size=60)


def played(guard, frames):
    """Yield the guard's state at each frame, what it allowed of 40 uA, and how long the electrode was driven by it."""
    state, dt_s = guard.initial(), 0.0
    for dt_ms, bright in frames:
        allowed, _, state = guard.allow(pattern([40.0 * bright, 0, 0, 0]), state, dt_s)
        dt_s = dt_ms / 1000
        yield state, float(allowed.amplitude_ua[0]), dt_s


@given(frames=TIMES)
def test_what_is_booked_is_what_the_electrode_got_however_the_frames_come(guard, frames):
    average = charge_uc = 0.0
    for state, amplitude, dt_s in played(guard, frames):
        assert state.average_nc_per_s[0] == pytest.approx(average, rel=1e-9, abs=1e-9)
        assert state.session_uc == pytest.approx(charge_uc, rel=1e-9)
        # an implant drives a pattern until the next, for its time to live of 100 ms at most; then the average leaks
        driven_s, flow = min(dt_s, 0.1), amplitude * 200 * 100 * 1e-3
        average = flow + (average - flow) * np.exp(-driven_s / BUCKET_S)
        average *= np.exp(-(dt_s - driven_s) / BUCKET_S)
        charge_uc += flow * driven_s * 1e-3


@given(frames=TIMES)
def test_no_timing_of_frames_brings_an_average_over_its_limit(limits, frames):
    guard = Guard(with_hard(limits, average_nc_per_s=20.0))
    for state, _, _ in played(guard, frames):
        assert state.average_nc_per_s[0] <= 20.0 * (1 + 1e-6)


def test_bright_frames_cannot_hide_behind_short_dark_ones(limits):
    guard = Guard(with_hard(limits, average_nc_per_s=300.0))
    driven_nc = sum(amplitude * 20 * dt_s for _, amplitude, dt_s in played(guard, [(80, True), (5, False)] * 700))
    # 800 nC/s asked of 80 in 85 ms for 59.5 s; once the bucket of 300 nC/s x 10 s is full, 300 nC/s leak out of it
    assert 0.95 * 300 * 59.5 < driven_nc <= 300 * (59.5 + BUCKET_S)


def test_after_a_lost_link_the_dark_time_is_not_charged(limits):
    guard = Guard(with_hard(limits, average_nc_per_s=300.0))
    frames = [(33, True)] * 60 + [(58_000, True)] + [(33, True)] * 30
    *_, (state, amplitude, _) = played(guard, frames)
    assert amplitude == 40.0
    assert state.session_uc == pytest.approx(0.8 * (89 * 0.033 + 0.1), rel=1e-6)


def test_patterns_with_a_long_time_to_live_are_booked_for_a_quarter_of_a_second(hand_rig):
    rig = replace(hand_rig, link=hand_rig.link.model_copy(update={"ttl_ms": 1000}))
    assert guard_limits(rig).hold_s == 0.25


def test_a_disabled_electrode_is_silent_and_said_so(limits):
    guard = Guard(replace(limits, enabled=np.array([True, False, True, True])))
    allowed, found, _ = guard.allow(pattern([10, 10, 10, 10]), guard.initial(), 0.0)
    assert allowed.amplitude_ua.tolist() == [10, 0, 10, 10]
    assert ("disabled electrode", "hard") in rules(found)


def test_an_advisory_average_is_reported_and_changes_nothing(limits):
    guard = Guard(replace(limits, advisory=replace(limits.advisory, average_nc_per_s=100.0)))
    asked = pattern([40, 0, 0, 0])
    state = guard.initial()
    for _ in range(50):
        allowed, found, state = guard.allow(asked, state, 0.1)
    assert allowed.amplitude_ua[0] == 40
    assert ("average charge", "advisory") in rules(found)
