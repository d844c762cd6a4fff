from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import HAND
from lab import Wired

from prosthesis.calibration.calibrate import Bench, calibrate, tabulate
from prosthesis.calibration.curves import rising
from prosthesis.calibration.procedure import FRACTIONS, Answer, Plan, Row, Trial, _staircase, measure_one
from prosthesis.calibration.table import load_calibration, save_calibration
from prosthesis.config import load_rig
from prosthesis.errors import ConfigError, LinkError
from prosthesis.wire import stop_packet
from prosthesis_sim.measure import measure_patient


@pytest.fixture(scope="module")
def hand():
    return measure_patient(HAND, 0)


def test_thresholds_are_the_closed_form_within_the_staircases_step(hand):
    # A = (I - 20) x 0.02 x 0.1 s x (1 - exp(-1.67)) reaches 0.01 at 26.2 uA; the finest step is 12 %
    assert hand.threshold_ua == pytest.approx([26.2] * 4, rel=0.06)


def test_positions_are_where_the_noiseless_participant_points(hand):
    assert hand.x_deg == pytest.approx([3, 5, 3, 5])
    assert hand.y_deg == pytest.approx([1, 1, -1, -1])


def test_receptive_fields_are_half_the_local_spacing(hand):
    # each of four on a square of 2 degrees has its third and last neighbour at d = 2 sqrt(2): d / 2 sqrt(pi / 3)
    assert hand.rf_sigma_deg == pytest.approx([np.sqrt(2 * np.pi / 3)] * 4, rel=1e-3)


def test_receptive_fields_follow_the_spacing_and_the_unused_count_for_nothing(hand_rig):
    near, far, off = ((x, y, True) for x, y in ((0, 0), (0.2, 0))), (9, 0, True), (0.1, 0, False)
    rows = [Row(10.0, 20.0, *row) for row in (*near, far, off)]
    sigma = tabulate(hand_rig, rows, Plan(), None, 0).rf_sigma_deg
    # the second neighbours stand at 9, 8.8 and 9 degrees
    assert sigma == pytest.approx([0.5 * d * np.sqrt(np.pi / 2) for d in (9, 8.8, 9)] + [0.5], abs=1e-3)


def test_brightness_is_the_patients_own_at_each_step_of_current(hand):
    fraction = np.asarray(hand.curve.fraction)
    current = hand.threshold_ua[0] + fraction * (hand.max_ua[0] - hand.threshold_ua[0])
    activation = (current - 20) * 0.02 * 0.1 * (1 - np.exp(-1.67))
    expected = 1 / (1 + np.exp(-50 * (activation - 0.04)))
    assert hand.curve.brightness[0][1:] == pytest.approx(expected[1:], abs=0.03)
    assert hand.curve.activity[0][1:] == pytest.approx(activation[1:] / activation[-1], abs=0.04)


def test_what_an_array_records_is_the_closed_form_in_a_sustained_train_and_below_threshold(hand):
    # A = (I - 20) x 0.02 x 0.1 s x (1 - exp(-t / 0.1)), full where brightness is 0.99, of 100 spikes/s
    full = 0.04 + np.log(99) / 50
    at_most = (np.asarray(hand.max_ua) - 20) * 0.02 * 0.1 / full
    # a pulse more or less in 0.1 s of 100 a second
    assert hand.evoked_hz == pytest.approx(100 * at_most, rel=0.1)
    below = np.asarray(hand.below.fraction) * hand.threshold_ua[0]
    expected = np.maximum(below - 20, 0) / (hand.max_ua[0] - 20)
    assert hand.below.activity[0] == pytest.approx(expected, abs=0.02)


def test_neighbours_that_add_nothing_are_found_to_add_nothing(hand):
    # the only two of a slot stand 2.83 mm apart, and the world of this rig has no interaction
    assert hand.crosstalk.distance_mm == pytest.approx([2 * np.sqrt(2)], abs=1e-3)
    assert hand.crosstalk.share == pytest.approx([0.0])


def test_the_same_patient_measured_twice_is_the_same(hand):
    again = measure_patient(HAND, 0)
    assert again.digest == hand.digest


def test_a_calibration_survives_its_file(hand, tmp_path):
    path = tmp_path / "c.yaml"
    save_calibration(hand, path)
    assert load_calibration(path) == hand
    assert load_rig(HAND, path).calibration == hand


def test_a_calibration_that_contradicts_itself_is_refused(hand, tmp_path):
    path = tmp_path / "c.yaml"
    save_calibration(hand, path)
    text = path.read_text()
    path.write_text(text.replace("max_ua: [", "max_ua: [1.0, ").replace("x_deg: [", "x_deg: [0.0, "))
    with pytest.raises(ConfigError, match=r"c\.yaml: .*rows"):
        load_calibration(path)


def test_a_rig_that_modulates_the_rate_is_not_calibrated(hand_rig):
    modulator = hand_rig.config.modulator.model_copy(update={"modulate": "rate"})
    rig = replace(hand_rig, config=hand_rig.config.model_copy(update={"modulator": modulator}))
    wired = Wired(rig)
    with pytest.raises(ConfigError, match=r"rig\.yaml: key 'modulator\.modulate': calibration varies the amplitude"):
        calibrate(rig, wired.session, wired.emulator.participant, wired.clock, Plan())


def test_a_stop_by_somebody_else_ends_the_calibration(hand_rig):
    wired = Wired(hand_rig)
    bench = Bench(hand_rig, wired.session, wired.emulator.participant, wired.clock, Plan())
    bench.ask(0, Trial(40.0, "seen"))
    wired.emulator.hear(stop_packet(0, 0))
    wired.emulator.step()
    with pytest.raises(LinkError, match="somebody stopped the implant"):
        bench.ask(0, Trial(40.0, "seen"))


def test_the_rest_between_trials_counts_for_the_guard(hand_rig):
    wired = Wired(hand_rig)
    bench = Bench(hand_rig, wired.session, wired.emulator.participant, wired.clock, Plan())
    bench.ask(0, Trial(40.0, "seen"))
    assert bench._state.average_nc_per_s[0] > 10  # 800 nC/s for 167 ms
    wired.clock.advance(60_000_000_000)
    bench.ask(1, Trial(40.0, "seen"))
    assert bench._state.average_nc_per_s[0] < 0.1


def staircase(sees, most=100.0, trials=60):
    procedure = _staircase(most, trials)
    trial = next(procedure)
    while True:
        assert isinstance(trial, Trial)
        try:
            trial = procedure.send(type("A", (), {"seen": sees(trial.amplitude_ua)})())
        except StopIteration as done:
            return done.value


@pytest.mark.parametrize("threshold", [3.0, 17.0, 49.0, 80.0])
def test_a_staircase_finds_a_sharp_threshold_to_a_step(threshold):
    assert staircase(lambda i: i > threshold) == pytest.approx(threshold, rel=0.07)


def test_a_staircase_gives_up_on_an_electrode_that_evokes_nothing():
    assert staircase(lambda i: False) is None


def test_staircases_find_the_half_seen_current_of_a_noisy_observer():
    random = np.random.default_rng(0)
    found = [staircase(lambda i: i > 40 * np.exp(random.normal(0, 0.1))) for _ in range(200)]
    assert np.median(found) == pytest.approx(40, rel=0.03)


def test_a_rising_curve_is_the_least_squares_one():
    assert rising([0.1, 0.3, 0.2, 0.6]) == pytest.approx((0.1, 0.25, 0.25, 0.6))
    assert rising([1.4, -0.2]) == (0.6, 0.6)


def measured(threshold_ua, brightness, rate_hz=None, trials=40):
    """Measure, up to 100 uA, an electrode seen above ``threshold_ua``; the rest are functions of the current."""
    procedure = measure_one(100.0, Plan(trials=trials))
    trial = next(procedure)
    while True:
        now = trial.amplitude_ua
        seen = now > threshold_ua
        answer = Answer(seen, (1.0, 2.0) if seen else None, brightness(now), rate_hz(now) if rate_hz else None)
        try:
            trial = procedure.send(answer)
        except StopIteration as done:
            return done.value


def test_an_electrode_seen_only_at_the_very_most_is_not_used():
    # 50 and 80 not seen, 100 seen, 74 and 89 not, 100 seen: the only late reversal is the most itself
    assert measured(98.0, lambda now: 1.0, trials=6) == Row()
    assert measured(80.0, lambda now: 1.0).enabled


def test_an_array_that_does_not_record_takes_the_reported_brightness_for_activity():
    row = measured(20.0, lambda now: now / 100)
    reported = [(row.threshold_ua + f * (row.max_ua - row.threshold_ua)) / 100 for f in FRACTIONS]
    assert row.brightness == pytest.approx(reported, abs=1e-4)
    assert row.activity == pytest.approx([r / reported[-1] for r in reported], abs=1e-3)
    assert row.activity[0] < 0.5
    assert row.evoked_hz is None


def test_an_array_that_records_takes_the_rates_for_activity():
    row = measured(20.0, lambda now: 1.0, lambda now: now - 10)
    rates = [row.threshold_ua + f * (row.max_ua - row.threshold_ua) - 10 for f in FRACTIONS]
    assert row.activity == pytest.approx([r / rates[-1] for r in rates], abs=1e-3)
    assert row.evoked_hz == pytest.approx(rates[-1])
