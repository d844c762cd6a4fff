"""The guard's every rule by hand: exact values at, just below and just above each limit of both tiers.

``tests/mutants.py`` runs this file against every small change of ``prosthesis/safety.py``; all must be noticed.
"""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest

from prosthesis.config import Limit, load_rig
from prosthesis.limits import Cap, GuardLimits, Totals, guard_limits
from prosthesis.messages import StimulationPattern
from prosthesis.safety import BUCKET_S, Guard, GuardState, least_of, most_of

INF = math.inf
OPEN = GuardLimits((), Totals(), Totals(), np.ones(4, bool), 0.1, 2, 0.01, 0.1)


def cap(limit, tier="hard", unit="uA", rule="a rule", in_unit=1.0):
    return Cap(rule, tier, limit, unit, limit if unit == "uA" else INF, INF if unit == "uA" else limit, in_unit)


def pattern(amplitude, width=200.0, rate=100.0, slot=(0, 1, 1, 0)):
    def full(value):
        return np.broadcast_to(np.asarray(value, np.float32), 4)

    return StimulationPattern(7, 9, full(amplitude), full(width), full(rate), np.asarray(slot, np.uint8))


def allow(limits, wanted, state=None, dt_s=0.0):
    guard = Guard(limits)
    allowed, found, after = guard.allow(wanted, state or guard.initial(), dt_s)
    return allowed, [(i.rule, i.tier, i.electrodes, i.worst, i.limit, i.unit) for i in found], after


def ua(allowed):
    return allowed.amplitude_ua.astype(np.float64).round(4).tolist()


def test_nothing_is_said_or_changed_where_nothing_is_limited():
    wanted = pattern([1.5, 20.0, 0.1, 0.0])
    allowed, found, state = allow(OPEN, wanted)
    assert found == []
    assert (allowed.seq, allowed.t_ns) == (7, 9)
    for name in ("amplitude_ua", "pulse_width_us", "rate_hz", "slot"):
        assert np.array_equal(getattr(allowed, name), getattr(wanted, name))
        assert not getattr(allowed, name).flags.writeable or name == "slot"
    assert state.flow_nc_per_s == pytest.approx([30, 400, 2, 0])
    assert (state.session_uc, state.average_nc_per_s.tolist()) == (0.0, [0, 0, 0, 0])


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"amplitude": [np.nan, 2, 2, 2]}, "not finite"),
        ({"amplitude": [np.inf, 2, 2, 2]}, "not finite"),
        ({"amplitude": 2, "width": [np.nan, 200, 200, 200]}, "not finite"),
        ({"amplitude": 2, "rate": [np.inf, 100, 100, 100]}, "not finite"),
        ({"amplitude": [-1, 2, 2, 2]}, "not a pulse"),
        ({"amplitude": 2, "width": [0, 200, 200, 200]}, "not a pulse"),
        ({"amplitude": 2, "width": [-5, 200, 200, 200]}, "not a pulse"),
        ({"amplitude": 2, "rate": [-1, 100, 100, 100]}, "not a pulse"),
        ({"amplitude": 2, "slot": [2, 1, 1, 0]}, "not a pulse"),
    ],
)
def test_what_is_no_pulse_is_silence_and_its_neighbours_are_not(change, rule):
    allowed, found, state = allow(OPEN, pattern(**change))
    assert [(r, t, n) for r, t, n, *_ in found] == [(rule, "hard", 1)]
    assert math.isnan(found[0][3])
    assert found[0][4:] == (0.0, "")
    assert ua(allowed) == [0, 2, 2, 2]
    assert allowed.slot.tolist()[1:] == [1, 1, 0]
    assert np.isfinite(allowed.pulse_width_us).all()
    assert (allowed.pulse_width_us > 0).all()
    assert allowed.pulse_width_us[1:].tolist() == [200] * 3
    assert allowed.rate_hz[1:].tolist() == [100] * 3
    assert np.isfinite(allowed.rate_hz).all()
    assert (allowed.rate_hz >= 0).all()
    assert state.flow_nc_per_s.tolist() == pytest.approx([0, 40, 40, 40])


def test_a_bad_electrode_gets_a_harmless_width_rate_and_slot():
    allowed, _, _ = allow(OPEN, pattern([5, 2, 2, 2], width=[np.nan, 200, 200, 200]))
    assert (allowed.pulse_width_us[0], allowed.rate_hz[0]) == (1.0, 0.0)


def test_bad_values_are_counted_once_each_and_zero_amplitude_or_rate_is_none():
    allowed, found, _ = allow(OPEN, pattern([np.nan, np.nan, -1, 3], rate=[100, 100, 100, 0]))
    assert [(r, n) for r, _, n, *_ in found] == [("not finite", 2), ("not a pulse", 1)]
    assert ua(allowed) == [0, 0, 0, 3]
    assert allow(OPEN, pattern(0, rate=0))[1] == []


def test_disabled_electrodes_are_silenced_and_counted_only_when_asked_to_pulse():
    limits = replace(OPEN, enabled=np.array([True, False, False, True]))
    allowed, found, _ = allow(limits, pattern([1, 2, 0, 3]))
    assert [(r, t, n) for r, t, n, *_ in found] == [("disabled electrode", "hard", 1)]
    assert ua(allowed) == [1, 0, 0, 3]
    assert allow(limits, pattern([1, 0, 0, 3]))[1] == []


@pytest.mark.parametrize(("unit", "per_ua"), [("uA", 1.0), ("nC", 0.2)])
@pytest.mark.parametrize("tier", ["hard", "advisory"])
def test_a_cap_on_single_pulses_clamps_or_tells(unit, per_ua, tier):
    limits = replace(OPEN, caps=(cap(10.0 * per_ua, tier, unit, in_unit=3.0),))
    assert allow(limits, pattern([10, 9.9, 0, 10]))[1] == []
    allowed, found, _ = allow(limits, pattern([10.1, 12, 0, 10]))
    assert [(r, t, n, u) for r, t, n, _, _, u in found] == [("a rule", tier, 2, unit)]
    assert found[0][3:5] == (pytest.approx(3 * 12 * per_ua), 10.0 * per_ua)
    assert ua(allowed) == ([10, 10, 0, 10] if tier == "hard" else [10.1, 12, 0, 10])


def test_the_least_of_several_caps_holds_and_each_speaks_for_itself():
    caps = (
        cap(10.0),
        cap(3.0, unit="nC", rule="b"),
        cap(np.array([8.0, INF, INF, INF]), rule="c"),
        cap(5.0, "advisory"),
    )
    allowed, found, _ = allow(replace(OPEN, caps=caps), pattern([9, 11, 14, 16]))
    assert [(r, t, n) for r, t, n, *_ in found] == [
        ("a rule", "hard", 3), ("b", "hard", 1), ("c", "hard", 1), ("a rule", "advisory", 4),
    ]  # fmt: skip
    assert ua(allowed) == [8, 10, 10, 10]


def test_a_current_cap_is_silent_about_charge_and_the_other_way_round():
    caps = (cap(10.0), cap(1.0, unit="nC", rule="b"))  # 5 uA x 200 us
    assert [r for r, *_ in allow(replace(OPEN, caps=caps), pattern(6))[1]] == ["b"]
    assert [r for r, *_ in allow(replace(OPEN, caps=caps), pattern(11, width=50))[1]] == ["a rule"]


def test_of_two_caps_only_the_one_that_is_exceeded_speaks():
    caps = (cap(10.0), cap(20.0, rule="b"), cap(np.array([INF, INF, INF, 14.0]), rule="c"))
    assert [r for r, *_ in allow(replace(OPEN, caps=caps), pattern([15, 0, 0, 14]))[1]] == ["a rule"]


def test_what_is_clamped_between_steps_is_rounded_down_and_what_was_asked_in_steps_stays():
    allowed, _, _ = allow(replace(OPEN, caps=(cap(10.07),)), pattern([20, 10, 9.96, 0.3]))
    assert ua(allowed) == [10.0, 10.0, 9.9, 0.3]
    just_below = replace(OPEN, caps=(cap(9.99995),))  # half a thousandth of a step
    assert ua(allow(just_below, pattern(20))[0]) == [9.9] * 4
    whole = replace(OPEN, caps=(cap(60.0 - 1e-9),))
    assert ua(allow(whole, pattern(70))[0]) == [60.0] * 4
    ten = np.float32(0.1) * np.arange(1, 1000, dtype=np.float32)
    for four in ten[:960].reshape(-1, 4)[::8]:
        out = allow(OPEN, pattern(four))[0].amplitude_ua
        assert (out <= four).all()
        assert np.allclose(out, four, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "rule", "unit", "wanted", "value", "concerned", "clamped"),
    [
        # 200 us x 100 Hz: 20 nC/s a uA; 1 % of it left over
        ("rate_hz", "rate", "Hz", {"amplitude": 5, "rate": [100, 50, 90, 100]}, 100, 2, [5, 5, 5, 5]),
        ("net_current_na", "balance", "nA", {"amplitude": [10, 5, 10, 0]}, 2.0, 2, [9, 5, 9, 0]),
        ("slot_current_ua", "slot current", "uA", {"amplitude": [4, 10, 10, 0]}, 20, 2, [4, 9, 9, 0]),
        ("total_current_ua", "total current", "uA", {"amplitude": [4, 8, 8, 0]}, 20, 3, [3.6, 7.2, 7.2, 0]),
        ("array_nc_per_s", "array charge", "nC/s", {"amplitude": [4, 8, 8, 0]}, 400 * -math.expm1(-0.01), 3, [0] * 4),
        ("average_nc_per_s", "average charge", "nC/s", {"amplitude": [8, 4, 8, 0]},
            160 * -math.expm1(-0.01), 2, [0, 4, 0, 0]),
        ("session_uc", "session charge", "uC", {"amplitude": [4, 8, 8, 0]}, 400 * 0.1e-3, 3, [0] * 4),
    ],
)  # fmt: skip
def test_each_total_is_allowed_at_its_limit_and_enforced_or_told_above_it(
    name, rule, unit, wanted, value, concerned, clamped
):
    asked = pattern(**wanted)
    for tier in ("hard", "advisory"):
        at = replace(OPEN, **{tier: replace(Totals(), **{name: value})})
        allowed, found, _ = allow(at, asked)
        assert found == []
        assert ua(allowed) == ua(asked)
        below = replace(OPEN, **{tier: replace(Totals(), **{name: 0.9 * value})})
        allowed, found, _ = allow(below, asked)
        assert [(r, t, n, u) for r, t, n, _, _, u in found] == [(rule, tier, concerned, unit)]
        assert found[0][3] == pytest.approx(value)
        assert found[0][4] == pytest.approx(0.9 * value)
        assert ua(allowed) == (clamped if tier == "hard" else ua(asked))
        assert allowed.rate_hz.tolist() == (
            [90, 50, 90, 90] if (name, tier) == ("rate_hz", "hard") else asked.rate_hz.tolist()
        )


@pytest.mark.parametrize(
    "name", ["net_current_na", "slot_current_ua", "total_current_ua", "average_nc_per_s", "session_uc"]
)
def test_a_hair_above_a_limit_is_acted_upon_and_within_rounding_is_not(name):
    asked = pattern([8, 0, 0, 0])
    value = {
        "net_current_na": 1.6, "slot_current_ua": 8, "total_current_ua": 8,
        "average_nc_per_s": 160 * -math.expm1(-0.01), "session_uc": 160 * 0.1e-3,
    }[name]  # fmt: skip
    for factor, changed in ((1 - 5e-7, False), (1 - 2e-6, True)):
        allowed, found, _ = allow(replace(OPEN, hard=replace(Totals(), **{name: value * factor})), asked)
        assert bool(found) == changed
        assert (ua(allowed) != [8, 0, 0, 0]) == changed


def test_a_rate_of_minus_zero_beside_an_electrode_out_of_balance_is_none():
    limits = replace(OPEN, hard=Totals(net_current_na=1.0))
    allowed, _, state = allow(limits, pattern([10, 10, 0, 0], rate=[100, -0.0, 100, 0]))
    assert ua(allowed) == [5, 10, 0, 0]
    assert np.isfinite(state.flow_nc_per_s).all()


def test_too_many_at_once_keep_the_strongest_and_ties_go_to_the_lower_index():
    limits = replace(OPEN, hard=Totals(simultaneous=2.0))
    allowed, found, _ = allow(limits, pattern([20, 30, 30, 30], slot=[0, 0, 0, 0]))
    assert ua(allowed) == [0, 30, 30, 0]
    assert found == [("simultaneous", "hard", 4, 4.0, 2.0, "electrodes")]
    assert ua(allow(limits, pattern([20, 30, 10, 30], slot=[1, 0, 1, 0]))[0]) == [20, 30, 10, 30]
    assert ua(allow(limits, pattern([20, 30, 10, 30], slot=[1, 0, 1, 1]))[0]) == [20, 30, 0, 30]
    told = replace(OPEN, advisory=Totals(simultaneous=1.0))
    allowed, found, _ = allow(told, pattern([1, 1, 0, 0]))
    assert found == []
    allowed, found, _ = allow(told, pattern([1, 1, 1, 0]))
    assert found == [("simultaneous", "advisory", 2, 2.0, 1.0, "electrodes")]
    assert ua(allowed) == [1, 1, 1, 0]


def test_both_slot_and_total_scale_by_whichever_is_tighter():
    hard = Totals(slot_current_ua=10.0, total_current_ua=18.0)
    allowed, found, _ = allow(replace(OPEN, hard=hard), pattern([8, 10, 10, 0]))
    assert ua(allowed) == [5.1, 5, 5, 0]  # 18/28 of 8 is 5.142, 10/20 of 10 is 5
    assert [(r, n, w) for r, _, n, w, *_ in found] == [("slot current", 2, 20.0), ("total current", 3, 28.0)]


def test_what_is_booked_is_what_was_driven_and_then_leaks():
    guard = Guard(replace(OPEN, hold_s=0.25))
    _, _, state = guard.allow(pattern([10, 0, 5, 0]), guard.initial(), 0.0)  # 200 and 100 nC/s
    _, _, after = guard.allow(pattern(0), state, 0.1)
    assert after.session_uc == pytest.approx(300 * 0.1e-3)
    assert after.average_nc_per_s == pytest.approx(np.array([200, 0, 100, 0]) * -math.expm1(-0.01))
    _, _, after = guard.allow(pattern(0), state, 2.0)
    assert after.session_uc == pytest.approx(300 * 0.25e-3)
    assert after.average_nc_per_s == pytest.approx(np.array([200, 0, 100, 0]) * -math.expm1(-0.025) * math.exp(-0.175))
    _, _, same = guard.allow(pattern(0), state, -1.0)
    assert same.session_uc == 0.0
    assert same.average_nc_per_s.tolist() == [0, 0, 0, 0]
    assert same.flow_nc_per_s.tolist() == [0, 0, 0, 0]


def test_doses_look_ahead_to_the_end_of_what_the_implant_would_obey():
    state = GuardState(np.array([50.0, 90.0, 0, 0]), np.zeros(4), 1.0)
    flow, gain = 200.0, -math.expm1(-0.01)
    ahead = 50 * (1 - gain) + flow * gain
    limits = replace(OPEN, hard=Totals(average_nc_per_s=ahead * (1 + 1e-9)))
    assert ua(allow(limits, pattern([10, 0, 0, 0]), state)[0]) == [10, 0, 0, 0]
    tight = replace(OPEN, hard=Totals(average_nc_per_s=ahead * (1 - 1e-5)))
    allowed, found, _ = allow(tight, pattern([10, 0, 0, 0]), state)
    assert ua(allowed) == [0, 0, 0, 0]
    assert found[0][:3] == ("average charge", "hard", 1), "the electrode at 90 nC/s is not asked to pulse"
    assert found[0][3] == pytest.approx(ahead)
    everything = 140 * (1 - gain) + flow * gain
    array = replace(OPEN, advisory=Totals(array_nc_per_s=everything * (1 - 1e-5)))
    assert allow(array, pattern([10, 0, 0, 0]), state)[1][0][3] == pytest.approx(everything)
    session = replace(OPEN, hard=Totals(session_uc=1.0))
    allowed, found, _ = allow(session, pattern([10, 0, 0, 0]), state)
    assert (found[0][0], found[0][3]) == ("session charge", pytest.approx(1.0 + flow * 0.1e-3))
    assert ua(allowed) == [0, 0, 0, 0]
    assert allow(session, pattern(0), state)[1] == [], "silence is always within any dose"
    over = GuardState(np.zeros(4), np.zeros(4), 2.0)
    assert allow(session, pattern(0), over)[1] == [], "also once the dose is spent"
    assert allow(session, pattern(5, rate=0), state)[1] == []


def test_either_dose_of_the_whole_array_silences_it():
    for name in ("array_nc_per_s", "session_uc"):
        limits = replace(OPEN, hard=replace(Totals(average_nc_per_s=1e9), **{name: 1e-6}))
        assert ua(allow(limits, pattern(3))[0]) == [0, 0, 0, 0]
    both = replace(OPEN, hard=Totals(session_uc=1e-6, average_nc_per_s=1e-6))
    assert [r for r, *_ in allow(both, pattern(3))[1]] == ["session charge", "average charge"]


def test_the_bucket_is_ten_seconds():
    assert BUCKET_S == 10.0


# what a rig says becomes what the guard enforces


def test_every_field_of_a_tier_reaches_the_guard(hand_rig):
    names = {
        "rate_hz": "rate_hz", "net_current_na": "net_current_na", "slot_current_ua": "slot_current_ua",
        "simultaneous": "simultaneous", "total_current_ua": "total_current_ua",
        "average_nc_per_s": "average_charge_nc_per_s", "array_nc_per_s": "array_charge_nc_per_s",
        "session_uc": "session_charge_uc",
    }  # fmt: skip
    assert set(names) == {field.name for field in fields(Totals)}
    for tier in ("hard", "advisory"):
        for field, key in names.items():
            limits = guard_limits(with_limit(hand_rig, tier, key, 0.5))
            assert getattr(getattr(limits, tier), field) == 0.5


def with_limit(rig, tier, key, value):
    part = getattr(rig.array.limits, tier).model_copy(update={key: Limit(value=value, source="made up")})
    return replace(rig, array=rig.array.model_copy(update={"limits": rig.array.limits.model_copy(update={tier: part})}))


@pytest.mark.parametrize(("tier", "share", "most"), [("hard", 0.5, 500), ("hard", 0.95, 900), ("advisory", 0.5, 500)])
def test_compliance_is_a_share_of_the_voltage_over_each_electrodes_impedance(hand_rig, tier, share, most):
    limits = guard_limits(with_limit(hand_rig, tier, "compliance_share", share))
    caps = [c for c in limits.caps if c.rule == "compliance voltage"]
    assert {c.tier for c in caps} == {"hard", tier}
    assert np.allclose(next(c.current_ua for c in caps if c.tier == tier), most)  # 10 V through 10 kohm


def test_shannon_is_for_macro_contacts_only():
    for name, there in (("utah96", False), ("argus60", True)):
        rig = with_limit(load_rig(name, uncalibrated=True), "hard", "shannon_k", 1.85)
        assert any(c.rule == "Shannon" for c in guard_limits(rig).caps) == there


def test_balance_never_undoes_a_clamp():
    limits = replace(OPEN, caps=(cap(10.0),), hard=Totals(net_current_na=1.0))
    assert ua(allow(limits, pattern([12, 10, 0, 0], rate=[10, 100, 100, 100]))[0]) == [10, 5, 0, 0]


def test_a_disabled_electrode_is_silent_however_little_is_asked():
    limits = replace(OPEN, enabled=np.array([False, True, True, True]))
    assert ua(allow(limits, pattern([0.5, 0.5, 0, 0]))[0]) == [0, 0.5, 0, 0]


def test_a_tiny_average_speaks_only_of_those_that_pulse():
    found = allow(replace(OPEN, hard=Totals(average_nc_per_s=0.5)), pattern([10, 0, 0, 0]))[1]
    assert [(r, n) for r, _, n, *_ in found] == [("average charge", 1)]


def test_an_average_speaks_of_the_weakest_pulses_too():
    tiny = replace(OPEN, hard=Totals(average_nc_per_s=1e-4))  # 0.1 uA at 10 Hz: 0.2 nC/s
    allowed, found, _ = allow(tiny, pattern([0.1, 0, 0, 0], rate=10))
    assert [(r, n) for r, _, n, *_ in found] == [("average charge", 1)]
    assert ua(allowed) == [0, 0, 0, 0]


def test_time_that_runs_backwards_changes_no_average():
    guard = Guard(OPEN)
    state = GuardState(np.array([50.0, 0, 0, 0]), np.zeros(4), 1.0)
    _, _, after = guard.allow(pattern(0), state, -1.0)
    assert after.average_nc_per_s.tolist() == [50, 0, 0, 0]


def test_a_disabled_electrode_asked_for_less_than_a_microampere_is_told():
    limits = replace(OPEN, enabled=np.array([False, True, True, True]))
    assert [(r, n) for r, _, n, *_ in allow(limits, pattern([0.5, 0, 0, 0]))[1]] == [("disabled electrode", 1)]


def test_a_density_is_told_of_each_electrodes_own_area():
    most_nc, per_nc = np.array([1.0, 2.0, 4.0, 4.0]), np.array([10.0, 5.0, 2.5, 2.5])
    for tier in ("hard", "advisory"):
        limits = replace(OPEN, caps=(Cap("density", tier, 10.0, "uC/cm2", INF, most_nc, per_nc),))
        assert allow(limits, pattern([5, 10, 20, 20]))[1] == []  # 1, 2, 4 and 4 nC
        allowed, found, _ = allow(limits, pattern([6, 11, 19, 20]))
        assert [(r, t, n, u) for r, t, n, _, _, u in found] == [("density", tier, 2, "uC/cm2")]
        assert found[0][3] == pytest.approx(12.0)
        assert ua(allowed) == ([5, 10, 19, 20] if tier == "hard" else [6, 11, 19, 20])


def test_least_and_most_are_those_of_numpy_and_not_a_number_if_there_is_one():
    values = np.array([3.0, -1.0, 7.0])
    assert (least_of(values), most_of(values)) == (-1.0, 7.0)
    assert math.isnan(least_of(np.array([3.0, np.nan])))


def test_an_electrode_at_its_average_goes_on_when_another_is_above_it():
    at = 200 * (1 - math.exp(-0.01))  # nC/s: 10 uA of 200 us at 100 Hz, for a tenth of a second
    allowed, found, _ = allow(replace(OPEN, hard=Totals(average_nc_per_s=at)), pattern([10, 20, 0, 0]))
    assert ua(allowed) == [10, 0, 0, 0]
    assert [(r, n) for r, _, n, *_ in found] == [("average charge", 1)]


def test_currents_far_below_one_are_limited_like_others():
    assert ua(allow(replace(OPEN, hard=Totals(slot_current_ua=0.2)), pattern([0.5, 0, 0, 0]))[0]) == [0.2, 0, 0, 0]
    # a hundredth of 40 nA remains
    assert ua(allow(replace(OPEN, hard=Totals(net_current_na=0.2)), pattern([2, 0, 0, 0]))[0]) == [1, 0, 0, 0]


def test_a_microsecond_twice_a_minute_is_a_pulse():
    assert allow(OPEN, pattern(2, width=1.0, rate=1 / 30))[1] == []
