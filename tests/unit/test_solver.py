"""The modulator that allows for neighbours, against linear algebra and against the one that does not."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prosthesis.calibration.table import Crosstalk
from prosthesis.config import load_rig
from prosthesis.errors import ConfigError
from prosthesis.limits import guard_limits
from prosthesis.messages import BrainCode, readonly
from prosthesis.modulator import PulseModulator
from prosthesis.safety import Guard
from prosthesis.solver import Coupling, CrosstalkModulator, open_modulator, solve

UTAH = load_rig("utah96")
NONE = Crosstalk(distance_mm=(), share=(), trials=0)
SOME = Crosstalk(distance_mm=(0.8, 1.5, 3.0), share=(0.08, 0.03, 0.0), trials=12)
STRONG = Crosstalk(distance_mm=(0.8, 3.0), share=(0.3, 0.1), trials=12)


def with_crosstalk(rig, crosstalk):
    modulator = rig.config.modulator.model_copy(update={"solve": "crosstalk"})
    calibration = rig.calibration.model_copy(update={"crosstalk": crosstalk})
    return replace(rig, config=rig.config.model_copy(update={"modulator": modulator}), calibration=calibration)


def brain(activity):
    return BrainCode(5, 99, readonly(activity, np.float32), 0)


def random_activity(seed, n=96):
    random = np.random.default_rng(seed)
    return random.random(n) * (random.random(n) < 0.7)


def grid_coupling(crosstalk, side=6):
    y, x = np.divmod(np.arange(side * side), side)
    return Coupling(0.4 * x, 0.4 * y, ((x + 3 * y) % 7).astype(np.uint8), crosstalk)


@pytest.mark.parametrize("seed", range(4))
def test_without_crosstalk_it_is_the_present_modulator(seed):
    plain, solving = PulseModulator(UTAH), CrosstalkModulator(with_crosstalk(UTAH, NONE))
    code = brain(random_activity(seed))
    np.testing.assert_allclose(solving.modulate(code).amplitude_ua, plain.modulate(code).amplitude_ua, rtol=1e-6)
    np.testing.assert_array_equal(solving.modulate(code).rate_hz, plain.modulate(code).rate_hz)


def test_shares_are_those_of_neighbours_in_the_same_slot():
    x, y = np.array([0.0, 1.0, 1.0, 9.0]), np.zeros(4)
    coupling = Coupling(x, y, np.array([0, 0, 1, 0], np.uint8), Crosstalk(distance_mm=(1.0,), share=(0.2,), trials=1))
    assert coupling.add(np.array([10.0, 20.0, 40.0, 80.0])) == pytest.approx([4.0, 2.0, 0.0, 0.0])
    assert coupling.most == pytest.approx(0.2)


@pytest.mark.parametrize(("crosstalk", "tolerance"), [(SOME, 1e-3), (STRONG, 2e-2)])
def test_far_from_all_limits_the_solution_is_that_of_the_linear_equations(crosstalk, tolerance):
    coupling = grid_coupling(crosstalk)
    matrix = np.eye(36) + np.stack([coupling.add(row) for row in np.eye(36)])
    exact = np.random.default_rng(0).uniform(30, 60, 36)
    found = solve(coupling, matrix @ exact, 0.1, np.full(36, 1e3))
    assert found == pytest.approx(exact, rel=tolerance)


def test_at_the_limits_the_solution_is_that_of_bounded_least_squares():
    optimize = pytest.importorskip("scipy.optimize")
    coupling = grid_coupling(SOME)
    matrix = np.eye(36) + np.stack([coupling.add(row) for row in np.eye(36)])
    felt = np.random.default_rng(1).uniform(1, 80, 36)
    oracle = optimize.lsq_linear(matrix, felt, (0.1, 50.0), tol=1e-12).x
    assert solve(coupling, felt, 0.1, np.full(36, 50.0)) == pytest.approx(oracle, abs=0.02)


@pytest.mark.parametrize("crosstalk", [SOME, STRONG], ids=["some", "strong"])
@pytest.mark.parametrize("seed", range(3))
def test_with_crosstalk_the_evoked_activity_is_nearer(crosstalk, seed):
    solving = CrosstalkModulator(with_crosstalk(UTAH, crosstalk))
    activity = random_activity(seed)
    driven = PulseModulator(UTAH).modulate(brain(activity)).amplitude_ua
    served = np.asarray(UTAH.calibration.enabled) & (driven > 0)
    errors = [
        np.abs(solving.evoked(current) - activity)[served].mean()
        for current in (solving.modulate(brain(activity)).amplitude_ua, driven)
    ]
    assert errors[0] < 0.5 * errors[1]


@given(st.integers(0, 1000), st.floats(0, 1), st.booleans())
def test_no_current_is_above_what_the_guard_lets_through(seed, level, strong):
    rig = with_crosstalk(UTAH, STRONG if strong else SOME)
    activity = np.clip(random_activity(seed) + level, 0, 1)
    pattern = CrosstalkModulator(rig).modulate(brain(activity))
    allowed, found, _ = Guard(guard_limits(rig)).allow(pattern, Guard(guard_limits(rig)).initial(), 0.0)
    assert not [item for item in found if item.tier == "hard"]
    assert (pattern.amplitude_ua - allowed.amplitude_ua).max() <= rig.stimulator.lsb_na / 1000 + 1e-4


def test_where_a_slot_cannot_carry_all_the_most_active_are_served_and_nobody_is_scaled():
    hard = UTAH.stimulator.limits.hard
    tight = hard.model_copy(update={"slot_current_ua": hard.slot_current_ua.model_copy(update={"value": 400.0})})
    limits = UTAH.stimulator.limits.model_copy(update={"hard": tight})
    rig = with_crosstalk(replace(UTAH, stimulator=UTAH.stimulator.model_copy(update={"limits": limits})), SOME)
    activity = np.random.default_rng(2).uniform(0.5, 1.0, 96)
    modulator = CrosstalkModulator(rig)
    pattern = modulator.modulate(brain(activity))
    _, found, _ = Guard(guard_limits(rig)).allow(pattern, Guard(guard_limits(rig)).initial(), 0.0)
    assert not [item for item in found if item.tier == "hard"]
    reachable = PulseModulator(UTAH).modulate(brain(activity)).amplitude_ua > 0
    for slot in range(7):
        mine = np.flatnonzero((pattern.slot == slot) & reachable)
        served = pattern.amplitude_ua[mine] > 0
        assert 0 < served.sum() < len(mine)
        assert activity[mine][served].min() > activity[mine][~served].max()


def test_nan_stays_nan_for_the_guard_and_spoils_no_other_electrode():
    activity = random_activity(3)
    on = int(np.flatnonzero(UTAH.calibration.enabled)[10])
    solving = CrosstalkModulator(with_crosstalk(UTAH, SOME))
    activity[on] = 0.0
    before = solving.modulate(brain(activity)).amplitude_ua
    activity[on] = np.nan
    after = solving.modulate(brain(activity)).amplitude_ua
    assert np.isnan(after[on])
    np.testing.assert_array_equal(np.delete(after, on), np.delete(before, on))


def test_a_disabled_site_stays_silent_and_is_counted_on_for_nothing():
    rig = with_crosstalk(UTAH, STRONG)
    off = ~np.asarray(rig.calibration.enabled)
    assert off.any()
    modulator = CrosstalkModulator(rig)
    pattern = modulator.modulate(brain(np.ones(96)))
    assert not pattern.amplitude_ua[off].any()
    assert not modulator.evoked(np.full(96, 50.0))[off].any()


def test_the_rig_chooses_and_a_calibration_without_crosstalk_is_refused():
    assert type(open_modulator(UTAH)) is PulseModulator
    assert type(open_modulator(with_crosstalk(UTAH, SOME))) is CrosstalkModulator
    with pytest.raises(ConfigError, match=r"key 'modulator\.solve': .* has no crosstalk; measure it with"):
        open_modulator(with_crosstalk(UTAH, None))


def test_crosstalk_by_rate_is_refused():
    config = UTAH.config.modulator.model_dump() | {"solve": "crosstalk", "modulate": "rate"}
    with pytest.raises(ValueError, match="set 'modulate: amplitude'"):
        type(UTAH.config.modulator).model_validate(config)
