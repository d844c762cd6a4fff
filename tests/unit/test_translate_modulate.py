"""Hops 3 and 4 on the rig whose numbers can be checked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prosthesis.config import load_rig
from prosthesis.layout import contacts, raster_slots
from prosthesis.messages import BrainCode, MachineCode
from prosthesis.modulator import PulseModulator
from prosthesis.translators.retinotopic import RetinotopicTranslator
from prosthesis.view import make_view
from prosthesis.wire import Modulated


def translator(rig, shape=(32, 32)):
    view = make_view(rig.config.view, rig.config.camera, rig.calibration)
    return RetinotopicTranslator(rig.calibration, view, shape)


def code_of(image):
    return MachineCode(5, 99, np.asarray(image, np.float32).ravel(), "map", image.shape)


def brain(activity):
    return BrainCode(5, 99, np.asarray(activity, np.float32), 0)


def by_rate(rig):
    modulator = rig.config.modulator.model_copy(update={"modulate": "rate"})
    return replace(rig, config=rig.config.model_copy(update={"modulator": modulator}))


def test_each_electrode_samples_its_own_quadrant(hand_rig):
    image = np.kron([[0.1, 0.2], [0.3, 0.4]], np.ones((16, 16)))
    code = translator(hand_rig).translate(code_of(image))
    assert code.activity == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=1e-3)
    assert (code.seq, code.t_ns, code.clipped) == (5, 99, 0)


def test_a_receptive_field_weighs_by_distance_like_a_gaussian(hand_rig):
    t = translator(hand_rig, (64, 64))
    spot = np.zeros((64, 64))
    total = 0.0
    for row in range(64):
        spot[:] = 0
        spot[row] = 1.0
        total += t.translate(code_of(spot)).activity[0]
    assert total == pytest.approx(1.0, abs=1e-3)


def test_values_out_of_range_are_clipped_and_counted_and_nan_passes_on(hand_rig):
    image = np.kron([[-0.5, 1.5], [0.3, np.nan]], np.ones((16, 16)))
    code = translator(hand_rig).translate(code_of(image))
    assert code.activity[:3] == pytest.approx([0, 1, 0.3], abs=1e-3)
    assert np.isnan(code.activity[3])
    assert code.clipped == 2


def test_what_is_translated_and_inverted_is_seen_again_at_the_electrodes(hand_rig):
    t = translator(hand_rig)
    code = brain([0.2, 0.9, 0.5, 0.0])
    assert t.translate(t.invert(code)).activity == pytest.approx(code.activity, abs=1e-3)


def test_amplitudes_run_from_threshold_to_maximum_and_silence_is_silence(hand_rig):
    pattern = PulseModulator(hand_rig).modulate(brain([0.0, 1e-3, 0.5, 1.0]))
    assert pattern.amplitude_ua == pytest.approx([0, 20.04, 40, 60])
    assert set(pattern.rate_hz) == {100.0}
    assert set(pattern.pulse_width_us) == {200.0}


def test_activity_that_threshold_already_exceeds_is_silence(hand_rig):
    curve = hand_rig.calibration.curve.model_copy(update={"activity": ((0.3, 1.0),) * 4})
    rig = replace(hand_rig, calibration=hand_rig.calibration.model_copy(update={"curve": curve}))
    pattern = PulseModulator(rig).modulate(brain([0.29, 0.3, 0.65, 1.0]))
    assert pattern.amplitude_ua == pytest.approx([0, 20, 40, 60])


def test_rate_modulation_keeps_the_amplitude_and_carries_activity_in_the_rate(hand_rig):
    modulator = PulseModulator(by_rate(hand_rig))
    pattern = modulator.modulate(brain([0.0, 0.25, 0.5, 1.0]))
    assert pattern.amplitude_ua == pytest.approx([0, 40, 40, 40])
    assert pattern.rate_hz == pytest.approx([0, 25, 50, 100])
    assert modulator.configuration.modulated is Modulated.RATE
    assert modulator.codes(pattern).tolist() == [0, 50, 100, 200]  # steps of 0.5 Hz


def test_codes_never_ask_for_more_than_the_pattern(hand_rig):
    modulator = PulseModulator(hand_rig)
    pattern = modulator.modulate(brain(np.linspace(0.1, 1, 4)))
    codes = modulator.codes(pattern)
    assert (codes * 0.1 <= pattern.amplitude_ua + 1e-4).all()
    assert (pattern.amplitude_ua - codes * 0.1 < 0.1 + 1e-4).all()


def test_a_current_beyond_full_scale_is_full_scale_on_the_wire(hand_rig):
    modulator = PulseModulator(hand_rig)
    pattern = modulator.modulate(brain([1, 0, 0, 0]))
    too_much = replace(pattern, amplitude_ua=np.array([150, 0, 0, 0], np.float32))
    assert modulator.codes(too_much).tolist() == [1023, 0, 0, 0]


def test_rates_are_not_cut_to_the_dacs_bits():
    rig = by_rate(load_rig("utah96"))  # 300 Hz in half hertz, from an 8-bit stimulator
    modulator = PulseModulator(rig)
    codes = modulator.codes(modulator.modulate(BrainCode(1, 1, np.ones(96, np.float32), 0)))
    assert codes[rig.calibration.column("enabled").astype(bool)].max() == 600
    assert codes.max() < 1 << modulator.configuration.bits


def test_a_rate_slower_than_the_stimulators_slowest_is_silence(hand_rig):
    stimulator = hand_rig.stimulator.model_copy(update={"rate_hz": (20.2, 500.0)})
    modulator = PulseModulator(by_rate(replace(hand_rig, stimulator=stimulator)))
    # the next half hertz is 20.5
    assert modulator.modulate(brain([0.1, 0.204, 0.206, 1.0])).rate_hz == pytest.approx([0, 0, 20.6, 100])


def test_modulating_the_rate_the_fixed_amplitudes_are_what_the_guard_allows_of_all_together(hand_rig):
    high = replace(hand_rig, calibration=hand_rig.calibration.model_copy(update={"impedance_kohm": (300, 10, 10, 10)}))
    limit = high.stimulator.limits.hard.slot_current_ua.model_copy(update={"value": 50.0})
    hard = high.stimulator.limits.hard.model_copy(update={"slot_current_ua": limit})
    limits = high.stimulator.limits.model_copy(update={"hard": hard})
    rig = by_rate(replace(high, stimulator=high.stimulator.model_copy(update={"limits": limits})))
    # 40 uA each; the first may have 0.9 x 10 V / 300 kohm = 30, then each slot's two are scaled to 50 together
    asked = PulseModulator(rig).configuration
    first, partner = 0, next(i for i in range(1, 4) if asked.slot[i] == asked.slot[0])
    expected = np.full(4, 25_000)
    expected[[first, partner]] = 21_400, 28_500  # 50/70 of 30 and 40, in whole steps of 0.1 uA
    assert asked.amplitude_na.tolist() == expected.tolist()


def test_an_electrode_whose_fixed_amplitude_the_guard_lowers_is_silent(hand_rig):
    modulator = PulseModulator(by_rate(hand_rig))
    pattern = modulator.modulate(brain([1, 1, 0.5, 0]))
    lowered = replace(pattern, amplitude_ua=np.array([39.9, 40, 40, 0], np.float32))
    assert modulator.codes(lowered).tolist() == [0, 200, 100, 0]


def test_nan_activity_stays_nan_for_the_guard(hand_rig):
    for rig in (hand_rig, by_rate(hand_rig)):
        pattern = PulseModulator(rig).modulate(brain([np.nan, 0, 0, 0]))
        assert np.isnan(pattern.amplitude_ua[0] + pattern.rate_hz[0])


@pytest.mark.parametrize("order", ["checkerboard", "rows", "columns"])
@pytest.mark.parametrize("groups", [2, 7, 8])
def test_raster_slots_share_the_electrodes_out(order, groups):
    array = load_rig("utah96", uncalibrated=True).array
    slots = raster_slots(array, 2, groups, order)
    counts = np.bincount(slots, minlength=groups)
    assert len(slots) == 192
    assert counts.max() - counts.min() <= 2 * array.layout.rows


def test_checkerboard_neighbours_never_pulse_together():
    array = load_rig("utah96", uncalibrated=True).array
    c, slots = contacts(array), raster_slots(array, 1, 8, "checkerboard")
    for i in range(96):
        near = (np.abs(c.row - c.row[i]) + np.abs(c.column - c.column[i])) == 1
        assert (slots[near] != slots[i]).all()
