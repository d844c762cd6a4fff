from __future__ import annotations

import numpy as np
import pytest

from prosthesis.config import load_rig
from prosthesis_sim.electrodes import place
from prosthesis_sim.individual import draw
from prosthesis_sim.patient import DriftConfig, load_world


def someone(number=17, day=0.0, rig_name="nhp1024", world="macaque_v1", drift=None, **scatter):
    rig = load_rig(rig_name, uncalibrated=True)
    config = load_world(world)
    config = config.model_copy(update={"scatter": config.scatter.model_copy(update=scatter)})
    if drift is not None:
        config = config.model_copy(update={"drift": drift})
    array = place(rig.config.implant, rig.array)
    return draw(config, array, number, day), array


def same(a, b):
    return all(np.array_equal(getattr(a, f), getattr(b, f)) for f in type(a).__slots__)


def test_patient_17_is_the_same_person_every_time_and_nobody_else():
    assert same(someone(17)[0], someone(17)[0])
    assert not same(someone(17)[0], someone(18)[0])


def test_one_trait_may_change_without_touching_the_others():
    plain, rough = someone(dropout=0.1)[0], someone(dropout=0.4)[0]
    assert np.array_equal(plain.x_deg, rough.x_deg)
    both = plain.responsive & rough.responsive
    assert np.array_equal(plain.scale_ua[both], rough.scale_ua[both])


def test_thresholds_have_the_published_mean_and_spread_and_none_is_zero():
    person, _ = someone(dropout=0.0, position_mm=0.0)
    assert person.scale_ua.mean() == pytest.approx(66.8, rel=0.05)
    assert person.scale_ua.std() == pytest.approx(36.5, rel=0.12)
    assert person.scale_ua.min() > 5


def test_the_published_models_thresholds_are_drawn_again_where_they_would_be_clipped_at_zero():
    """A clipped normal leaves 8.7 % of electrodes at 0, seen for ever after their first pulse."""
    person, _ = someone(world="van_der_grinten_2024", rig_name="icvp400", dropout=0.0)
    assert person.threshold.min() >= 0.0914189 / 5


def neighbours_alike(person, array):
    """Return how often the two electrodes of a pair 0.4 mm apart both respond or both do not."""
    alike = []
    for i in range(0, 1024, 8):
        alike += (person.responsive[i : i + 7] == person.responsive[i + 1 : i + 8]).tolist()
    return np.mean(alike)


def test_dropout_in_patches_is_as_frequent_and_more_clustered():
    spread, array = someone(dropout=0.3, position_mm=0.0)
    patched, _ = someone(dropout=0.3, dropout_patch_mm=1.5, position_mm=0.0)
    for person in (spread, patched):
        assert (person.inside & ~person.responsive).mean() == pytest.approx(0.3, abs=0.05)
    assert neighbours_alike(spread, array) == pytest.approx(0.58, abs=0.06)  # 0.7^2 + 0.3^2
    assert neighbours_alike(patched, array) > 0.85


def test_drift_is_signed_cumulative_and_the_same_on_the_same_day():
    drift = DriftConfig(threshold_per_day=-0.01, threshold_step_sd=0.05)
    first, early, late = (someone(day=d, drift=drift, position_mm=0.0)[0] for d in (0, 30, 60))
    assert same(early, someone(day=30, drift=drift, position_mm=0.0)[0])
    ok = first.responsive
    change = np.log(early.scale_ua[ok] / first.scale_ua[ok])
    assert change.mean() == pytest.approx(-0.3, abs=0.05)
    assert change.std() == pytest.approx(0.05 * 30**0.5, rel=0.1)
    onward = np.log(late.scale_ua[ok] / early.scale_ua[ok])
    assert abs(np.corrcoef(change, onward)[0, 1]) < 0.15  # a walk: what comes does not depend on what was
    assert (change > 0).any()  # some electrodes drift against the trend


def test_impedance_scatters_around_the_nominal_one_and_drifts():
    drift = DriftConfig(impedance_per_day=-0.01)
    young, old = someone(impedance_sd=0.3, drift=drift)[0], someone(day=50, impedance_sd=0.3, drift=drift)[0]
    assert np.log(young.impedance).std() == pytest.approx(0.3, rel=0.1)
    assert old.impedance == pytest.approx(young.impedance * np.exp(-0.5))
