import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from linear_map import LinearMap

from prosthesis.errors import ConfigError
from prosthesis.messages import BrainCode, MachineCode, readonly
from prosthesis.translators.bijective import BijectiveTranslator


def latent(values):
    return MachineCode(3, 5, readonly(values, np.float32), "latent", (len(values),))


def translator(d=4, n=6, enabled=None, evoked=20.0, rest=5.0):
    on = np.ones(n, bool) if enabled is None else np.asarray(enabled)
    code_map = LinearMap(d, n)
    return BijectiveTranslator(code_map, np.arange(n), np.full(n, rest), np.full(n, evoked), on), code_map


def test_activity_is_the_rate_above_rest_over_what_can_be_evoked():
    made, code_map = translator()
    z = np.array([0.3, -0.2, 0.5, 0.1])
    rates = code_map.to_brain(z[None])[0]
    brain = made.translate(latent(z))
    assert brain.activity == pytest.approx(np.clip((rates - 5) / 20, 0, 1), abs=1e-6)
    assert brain.clipped == ((rates < 5) | (rates > 25)).sum()


@given(st.lists(st.floats(-0.4, 0.4), min_size=4, max_size=4))
def test_the_round_trip_is_exact_where_nothing_is_clipped(z):
    # rest of 0 and a map that rests at 5 keep these codes above it
    made, _ = translator(rest=0.0, evoked=60.0)
    brain = made.translate(latent(z))
    if brain.clipped == 0:
        assert made.invert(brain).values == pytest.approx(z, abs=1e-5)


def test_a_site_not_in_use_tells_the_reader_nothing():
    made, code_map = translator(enabled=[True, True, False, True, True, True])
    z = np.array([0.3, -0.2, 0.5, 0.1])
    rates = code_map.to_brain(z[None])[0]
    other = rates.copy()
    other[2] = 1e3
    np.testing.assert_array_equal(made.read(1, 1, rates - 5).values, made.read(1, 1, other - 5).values)


def test_a_map_of_other_sites_is_refused():
    with pytest.raises(ConfigError, match="a map of 6 sites with 7 electrodes and 7 rates at rest; make it again"):
        BijectiveTranslator(LinearMap(4, 6), np.arange(7), np.ones(7), np.ones(7), np.ones(7, bool))
    with pytest.raises(ConfigError, match="knows electrode 9, but there are 8; make a map for this rig"):
        BijectiveTranslator(LinearMap(4, 6), [0, 1, 2, 3, 4, 9], np.ones(6), np.ones(8), np.ones(8, bool))


def test_a_map_of_some_of_the_electrodes_leaves_the_others_alone():
    code_map = LinearMap(4, 6)
    some = [1, 2, 4, 5, 7, 8]
    made = BijectiveTranslator(code_map, some, np.zeros(6), np.full(10, 60.0), np.ones(10, bool))
    z = np.array([0.1, 0.2, -0.1, 0.0])
    brain = made.translate(latent(z))
    assert brain.activity[some] == pytest.approx(code_map.to_brain(z[None])[0] / 60, abs=1e-6)
    assert not np.delete(brain.activity, some).any()
    assert made.invert(brain).values == pytest.approx(z, abs=1e-5)


def test_a_site_that_evokes_nothing_is_asked_for_nothing():
    code_map = LinearMap(4, 6)
    made = BijectiveTranslator(
        code_map, np.arange(6), np.full(6, 5.0), np.array([0.0, 20, 20, 20, 20, 20]), np.ones(6, bool)
    )
    for seed in range(5):
        assert made.translate(latent(np.random.default_rng(seed).normal(size=4))).activity[0] == 0


def test_reading_rates_is_inverting_their_activity():
    made, code_map = translator(rest=0.0, evoked=60.0)
    rates = code_map.to_brain(np.array([[0.1, 0.2, -0.1, 0.0]]))[0]
    brain = BrainCode(3, 5, readonly(rates / 60, np.float32), 0)
    assert made.read(3, 5, rates).values == pytest.approx(made.invert(brain).values, abs=1e-5)
