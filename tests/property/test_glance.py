"""The quick guard against the plain one: the same answers, reports and states, exactly (but for the sign of zero)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from prosthesis.glance import QuickGuard
from prosthesis.limits import Cap, GuardLimits, Totals
from prosthesis.messages import StimulationPattern
from prosthesis.safety import Guard, GuardState

N = 4
SLOTS = 2
# dense about the limits below, and about whole steps of 0.1 uA
AMPLITUDES = st.one_of(
    st.sampled_from([0.0, -0.0, 0.05, 0.1, 5.0, 7.5, 9.9995, 10.0, 10.0001, 12.5, 20.0, 40.0, -1.0, np.nan, np.inf,
                     3e38, 1e-45]),
    st.floats(0, 50, width=32),
)  # fmt: skip
WIDTHS = st.sampled_from([200.0, 100.0, 1.0, 3e38, 0.0, -1.0, np.nan, np.inf])
RATES = st.sampled_from([100.0, 300.0, 3e38, 0.0, -0.0, -1.0, np.nan, np.inf])
LIMIT = st.one_of(st.just(math.inf), st.floats(0.1, 3.0))


def column(values, alike=True):
    one = values.map(lambda value: np.full(N, value, np.float32))
    return one if alike else st.one_of(one, arrays(np.float32, N, elements=values.map(np.float32)))


def caps():
    limits = st.one_of(st.sampled_from([2.0, 5.0, 10.0]), arrays(np.float64, N, elements=st.sampled_from([2.0, 10.0])))
    units = st.sampled_from([1.0, 2.5])
    tiers = st.sampled_from(["hard", "advisory"])

    def cap(limit, tier, current, in_unit):
        amount = (limit, math.inf, in_unit) if current else (math.inf, limit, in_unit)
        return Cap("a rule", tier, float(np.min(limit)), "uA" if current else "nC", *amount)

    return st.lists(st.builds(cap, limits, tiers, st.booleans(), units), max_size=4)


@st.composite
def totals(draw):
    """Limits of the order of what 10 uA of 200 us at 100 Hz on each electrode comes to."""
    sizes = {
        "rate_hz": 100.0, "net_current_na": 2.0, "slot_current_ua": 20.0, "simultaneous": 2.0,
        "total_current_ua": 40.0, "average_nc_per_s": 2.0, "array_nc_per_s": 8.0, "session_uc": 0.08,
    }  # fmt: skip
    return Totals(**{name: size * draw(st.one_of(st.just(1.0), LIMIT)) for name, size in sizes.items()})


@st.composite
def guards(draw):
    some = st.one_of(st.just(Totals()), totals())
    enabled = np.array(draw(st.sampled_from([[1, 1, 1, 1], [1, 0, 1, 1]])), bool)
    return GuardLimits(tuple(draw(caps())), draw(some), draw(some), enabled, 0.1, SLOTS, 0.01, 0.1)


@st.composite
def patterns(draw):
    alike = draw(st.booleans())
    amplitude = draw(arrays(np.float32, N, elements=AMPLITUDES.map(np.float32)))
    slot = np.array(draw(st.sampled_from([[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1], [0, 1, 2, 0]])), np.uint8)
    return StimulationPattern(3, 5, amplitude, draw(column(WIDTHS, alike)), draw(column(RATES, alike)), slot)


def plainly(found):
    return [(i.rule, i.tier, i.electrodes, repr(float(i.worst)), i.limit, i.unit) for i in found]


def assert_same(quick, plain):
    allowed, found, state = quick
    wanted, told, after = plain
    assert plainly(found) == plainly(told)
    assert (allowed.seq, allowed.t_ns) == (wanted.seq, wanted.t_ns)
    for name in ("amplitude_ua", "pulse_width_us", "rate_hz", "slot"):
        assert np.array_equal(getattr(allowed, name), getattr(wanted, name)), name
        assert getattr(allowed, name).dtype == getattr(wanted, name).dtype
    assert state.session_uc == after.session_uc
    assert np.array_equal(state.average_nc_per_s, after.average_nc_per_s)
    assert np.array_equal(state.flow_nc_per_s, after.flow_nc_per_s)


@settings(max_examples=400, deadline=None)
@given(limits=guards(), frames=st.lists(st.tuples(patterns(), st.sampled_from([0.0, 0.03, 0.2, -1.0])), max_size=4))
def test_a_glance_answers_as_a_close_look_does(limits, frames):
    quick, plain = QuickGuard(limits), Guard(limits)
    state = plain.initial()
    for wanted, dt_s in frames:
        told = plain.allow(wanted, state, dt_s)
        assert_same(quick.allow(wanted, state, dt_s), told)
        state = told[2]


OPEN = GuardLimits((), Totals(), Totals(), np.ones(N, bool), 0.1, SLOTS, 0.01, 0.1)


def pattern(amplitude=10.0, width=200.0, rate=100.0, slot=(0, 1, 1, 0)):
    full = [np.broadcast_to(np.asarray(value, np.float32), N) for value in (amplitude, width, rate)]
    return StimulationPattern(3, 5, *full, np.asarray(slot, np.uint8))


def test_a_glance_is_enough_at_every_limit_and_not_above(monkeypatch):
    looked = []
    monkeypatch.setattr(QuickGuard, "look", lambda self, *_: looked.append(1))
    at = {"rate_hz": 100.0, "net_current_na": 2.0, "slot_current_ua": 20.0, "simultaneous": 2.0,
          "total_current_ua": 40.0, "array_nc_per_s": 4 * 200 * -math.expm1(-0.01), "session_uc": 0.08}  # fmt: skip
    for tier in ("hard", "advisory"):
        for name, value in at.items():
            for factor, closely in ((1 + 1e-9, 0), (1 - 1e-6, 1)):
                looked.clear()
                guard = QuickGuard(replace(OPEN, **{tier: replace(Totals(), **{name: value * factor})}))
                guard.allow(pattern(), guard.initial(), 0.0)
                assert len(looked) == closely, (tier, name, factor)
    for amount, closely in ((10.0, 0), (9.999, 1)):
        looked.clear()
        guard = QuickGuard(replace(OPEN, caps=(Cap("a", "hard", amount, "uA", amount, math.inf, 1.0),)))
        guard.allow(pattern(), guard.initial(), 0.0)
        assert len(looked) == closely
    for charge, closely in ((2.0 * (1 + 1e-8), 0), (1.9999, 1)):  # 10 uA of 200 us
        looked.clear()
        guard = QuickGuard(replace(OPEN, caps=(Cap("a", "hard", charge, "nC", math.inf, charge, 1.0),)))
        guard.allow(pattern(), guard.initial(), 0.0)
        assert len(looked) == closely
    senseless = (pattern([1, np.nan, 1, 1]), pattern(-1), pattern(width=0), pattern(rate=-1))
    for wanted in (*senseless, pattern(width=[1, 2, 1, 1]), pattern(slot=[0, 1, 1, 2])):
        looked.clear()
        guard = QuickGuard(OPEN)
        guard.allow(wanted, guard.initial(), 0.0)
        assert looked == [1]


@pytest.mark.parametrize(("width_us", "charge_nc"), [(200, 0.5), (2000, 5.0)])  # longer than a millisecond, too
def test_advice_on_charges_is_told_at_a_glance(monkeypatch, width_us, charge_nc):
    some, more = charge_nc, 10 * charge_nc
    caps = (
        Cap("a", "advisory", some, "nC", math.inf, some, 1.0),
        Cap("b", "advisory", more, "nC", math.inf, more, 1.0),
    )
    limits = replace(OPEN, caps=caps)
    plain = Guard(limits)
    wanted = pattern([2.0, 5.0, 2.5, 10.0], width_us)
    told = plain.allow(wanted, plain.initial(), 0.0)
    monkeypatch.setattr(QuickGuard, "look", lambda self, *_: None)
    assert_same(QuickGuard(limits).allow(wanted, plain.initial(), 0.0), told)
    assert plainly(told[1]) == [("a", "advisory", 2, repr(10.0 * width_us * 1e-3), some, "nC")]


def test_a_disabled_electrode_gets_nothing_not_even_one_step():
    enabled = np.array([1, 0, 1, 1], bool)
    guard, plain = QuickGuard(replace(OPEN, enabled=enabled)), Guard(replace(OPEN, enabled=enabled))
    wanted = pattern(0.1)
    allowed = guard.allow(wanted, guard.initial(), 0.0)
    assert_same(allowed, plain.allow(wanted, plain.initial(), 0.0))
    assert np.flatnonzero(allowed[0].amplitude_ua).tolist() == [0, 2, 3]


def test_the_columns_are_looked_at_again_when_they_change():
    guard, plain = QuickGuard(OPEN), Guard(OPEN)
    state = guard.initial()
    for width, rate, slot in (
        (200, 100, (0, 1, 1, 0)),
        (100, 100, (0, 1, 1, 0)),
        (100, 50, (0, 1, 1, 0)),
        (100, 50, (1,) * 4),
    ):
        wanted = pattern(5, width, rate, slot)
        assert_same(guard.allow(wanted, state, 0.03), plain.allow(wanted, state, 0.03))


def test_what_it_allows_cannot_be_changed_through_what_was_asked():
    guard = QuickGuard(OPEN)
    width = np.full(N, 200, np.float32)
    wanted = replace(pattern(), pulse_width_us=width)
    allowed, _, _ = guard.allow(wanted, guard.initial(), 0.0)
    width[:] = 1e6
    assert allowed.pulse_width_us.tolist() == [200.0] * N
    assert not allowed.pulse_width_us.flags.writeable


def test_rounding_in_the_largest_charge_hides_no_clamp():
    # 0.30000000000000004 nC is asked of an electrode that may have 0.3: the close look clamps it, and so must a glance
    for amplitude, width in ((0.99995, 100.0), (3.0, 100.0), (0.7, 300.0), (1.1, 700.0), (4.35, 100.0), (2.3, 170.0)):
        charge = float(np.float32(amplitude)) * (width * 1e-3)
        for most in (
            charge,
            charge * (1 - 5e-10),
            math.nextafter(charge, 0),
            math.nextafter(charge, 9),
            amplitude * width * 1e-3,
        ):
            limits = replace(OPEN, caps=(Cap("a", "hard", most, "nC", math.inf, most, 1.0),))
            guard, plain = QuickGuard(limits), Guard(limits)
            wanted = pattern(amplitude, width)
            assert_same(guard.allow(wanted, guard.initial(), 0.0), plain.allow(wanted, plain.initial(), 0.0))


@pytest.mark.parametrize("charges_nc", [(1.0, 9.0), (np.array([1.0, 9.0, 9.0, 9.0]),)])
def test_of_several_hard_charges_the_lowest_is_looked_at(charges_nc):
    caps = tuple(Cap("a", "hard", float(np.min(most)), "nC", math.inf, most, 1.0) for most in charges_nc)
    quick, plain = (kind(replace(OPEN, caps=caps)) for kind in (QuickGuard, Guard))
    assert_same(*(guard.allow(pattern(), guard.initial(), 0.0) for guard in (quick, plain)))


def test_averages_are_told_of_those_that_pulse_however_little():
    limits = replace(OPEN, advisory=Totals(average_nc_per_s=100.0))
    wanted, state = pattern([0.1, 0, 0, 0], rate=40.0), GuardState(np.full(N, 900.0), np.zeros(N), 0.0)  # 0.8 nC/s
    quick, plain = (kind(limits).allow(wanted, state, 0.0) for kind in (QuickGuard, Guard))
    assert_same(quick, plain)
    assert [(i.rule, i.electrodes) for i in quick[1]] == [("average charge", 1)]


def test_averages_are_told_of_those_that_pulse_and_a_hard_one_is_looked_at():
    # 200 nC/s each for 100 ms ahead of 150 nC/s that have leaked little; the second rests and is not spoken of
    state = GuardState(np.array([150.0, 900.0, 0.0, 0.0]), np.zeros(N), 0.0)
    for tier in ("hard", "advisory"):
        guards = [kind(replace(OPEN, **{tier: Totals(average_nc_per_s=100.0)})) for kind in (QuickGuard, Guard)]
        quick, plain = (guard.allow(pattern([10, 0, 10, 0]), state, 0.0) for guard in guards)
        assert_same(quick, plain)
        assert [(i.rule, i.tier, i.electrodes) for i in quick[1]] == [("average charge", tier, 1)]
        assert quick[0].amplitude_ua.tolist() == ([0, 0, 10, 0] if tier == "hard" else [10, 0, 10, 0])
