"""What every translator promises, whatever it makes of a code."""

import sys
from pathlib import Path

import numpy as np
import pytest

from prosthesis.config import load_rig
from prosthesis.messages import BrainCode, MachineCode, readonly
from prosthesis.protocols import Translator
from prosthesis.translators.bijective import BijectiveTranslator
from prosthesis.translators.retinotopic import RetinotopicTranslator
from prosthesis.view import make_view

sys.path.insert(0, str(Path(__file__).parent.parent / "unit"))
from linear_map import LinearMap


def retinotopic():
    rig = load_rig("utah96")
    view = make_view(rig.config.view, rig.config.camera, rig.calibration)
    return RetinotopicTranslator(rig.calibration, view, (32, 32)), "map", (32, 32), rig.calibration


def bijective():
    rig = load_rig("utah96")
    enabled = np.asarray(rig.calibration.enabled)
    sites = np.arange(96)
    made = BijectiveTranslator(LinearMap(60, 96), sites, np.full(96, 5.0), np.full(96, 40.0), enabled)
    return made, "latent", (60,), rig.calibration


@pytest.fixture(params=[retinotopic, bijective], ids=lambda make: make.__name__)
def translator(request):
    return request.param()


def codes(kind, shape, seed=0):
    random = np.random.default_rng(seed)
    values = random.random(shape) if kind == "map" else random.normal(size=shape)
    return MachineCode(7, 1234, readonly(values.ravel(), np.float32), kind, shape)


def test_a_brain_code_is_stamped_read_only_finite_and_in_range(translator):
    made, kind, shape, calibration = translator
    assert isinstance(made, Translator)
    brain = made.translate(codes(kind, shape))
    assert (brain.seq, brain.t_ns) == (7, 1234)
    assert (brain.activity.shape, brain.activity.dtype) == ((calibration.electrodes,), np.float32)
    assert not brain.activity.flags.writeable
    assert np.isfinite(brain.activity).all()
    assert brain.activity.min() >= 0
    assert brain.activity.max() <= 1


def test_what_was_clipped_is_counted(translator):
    made, kind, shape, _ = translator
    code = codes(kind, shape)
    few = made.translate(code).clipped
    far = MachineCode(7, 1234, readonly(50 * (code.values - 0.5), np.float32), kind, shape)
    assert 0 <= few <= made.translate(far).clipped <= 96
    assert made.translate(far).clipped > 20


def test_an_electrode_not_in_use_is_asked_for_nothing(translator):
    made, kind, shape, calibration = translator
    for seed in range(5):
        activity = made.translate(codes(kind, shape, seed)).activity
        assert not activity[~np.asarray(calibration.enabled)].any()


def test_nan_reaches_no_electrode_as_a_number_that_another_code_would_give(translator):
    made, kind, shape, calibration = translator
    broken = MachineCode(7, 1234, readonly(np.full(np.prod(shape), np.nan), np.float32), kind, shape)
    activity = made.translate(broken).activity
    assert np.isnan(activity[np.asarray(calibration.enabled)]).all()


def test_the_way_back_is_a_code_of_the_same_kind_and_stamps(translator):
    made, kind, shape, _ = translator
    code = made.invert(made.translate(codes(kind, shape)))
    assert (code.seq, code.t_ns, code.kind, code.shape) == (7, 1234, kind, shape)
    assert (code.values.shape, code.values.dtype) == ((np.prod(shape),), np.float32)
    assert not code.values.flags.writeable
    assert np.isfinite(code.values).all()


def test_translating_again_what_was_read_back_changes_little(translator):
    made, kind, shape, calibration = translator
    on = np.asarray(calibration.enabled)
    first = made.translate(codes(kind, shape))
    again = made.translate(made.invert(first))
    assert np.corrcoef(first.activity[on], again.activity[on])[0, 1] > 0.8


def test_inputs_are_left_alone_and_outputs_are_new(translator):
    made, kind, shape, _ = translator
    code = codes(kind, shape)
    kept = code.values.copy()
    first = made.translate(code).activity
    before = first.copy()
    made.translate(codes(kind, shape, 1))
    np.testing.assert_array_equal(code.values, kept)
    np.testing.assert_array_equal(first, before)
    brain = BrainCode(7, 1234, first, 0)
    np.testing.assert_array_equal(made.invert(brain).values, made.invert(brain).values)
