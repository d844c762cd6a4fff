"""Crosstalk and faint activity, measured on sites whose law is known."""

import numpy as np
import pytest
from pydantic import ValidationError

from prosthesis.calibration.crosstalk import (
    BELOW,
    LISTENERS,
    REACH_MM,
    Site,
    _noise,
    choose_rings,
    measure_below,
    measure_crosstalk,
)
from prosthesis.calibration.table import BelowThreshold, Crosstalk

FRACTION = (0.0, 0.5, 1.0)
ONSET_UA, THRESHOLD_UA, MAX_UA, EVOKED_HZ = 10.0, 20.0, 60.0, 50.0
Y, X = (0.4 * part.ravel() for part in np.mgrid[0:10, 0:10].astype(float))
SLOT = ((X / 0.4 + 3 * Y / 0.4).round() % 7).astype(np.uint8)


def rate(felt_ua):
    return EVOKED_HZ * min(max((felt_ua - ONSET_UA) / (MAX_UA - ONSET_UA), 0.0), 1.0)


def site(i):
    activity = tuple(rate(THRESHOLD_UA + f * (MAX_UA - THRESHOLD_UA)) / EVOKED_HZ for f in FRACTION)
    return Site(i, THRESHOLD_UA, MAX_UA, EVOKED_HZ, activity)


def share(distance):
    return 0.02 / (1 + distance)


def recorder(noise_hz=0.0, share=share):
    random = np.random.default_rng(0)

    def record(listener, currents):
        felt = currents[listener]
        for other, current in currents.items():
            if other != listener and SLOT[other] == SLOT[listener]:
                felt += share(np.hypot(X[other] - X[listener], Y[other] - Y[listener])) * current
        return rate(felt) + random.normal(0, noise_hz)

    return record


SITES = {i: site(i) for i in range(100)}


def rings(usable=range(100)):
    return choose_rings(X, Y, SLOT, sorted(usable), 0)


def test_shares_are_found_at_every_distance():
    found = measure_crosstalk(recorder(), SITES, FRACTION, rings())
    assert len(found.share) >= 5
    assert found.share == pytest.approx([share(d) for d in found.distance_mm], abs=2e-4)


def test_noise_of_a_pulse_more_or_less_is_averaged_out():
    found = measure_crosstalk(recorder(noise_hz=0.5), SITES, FRACTION, rings())
    assert found.share == pytest.approx([share(d) for d in found.distance_mm], abs=6e-3)
    assert list(found.share) == sorted(found.share, reverse=True)


def test_noise_alone_is_no_crosstalk():
    found = measure_crosstalk(recorder(noise_hz=0.5, share=lambda distance: 0.0), SITES, FRACTION, rings())
    assert len(found.share) >= 5
    assert found.share == (0.0,) * len(found.share)


def test_what_counts_as_noise_is_twice_the_standard_error_of_a_median():
    # of 1, 3, 5, 7: variance 20 / 3, standard error of the mean sqrt(5 / 3)
    assert _noise(np.array([1.0, 3.0, 5.0, 7.0])) == pytest.approx(2 * np.sqrt(np.pi / 2 * 5 / 3))
    assert _noise(np.array([3.0])) == 0.0


def test_rings_are_of_one_slot_in_reach_and_only_of_usable_electrodes():
    usable = [i for i in range(100) if i % 3]
    groups = rings(usable)
    assert groups
    for group in groups:
        assert len(group) <= LISTENERS
        for ring in group:
            assert {ring.listener, *ring.neighbours} <= set(usable)
            assert ring.listener not in ring.neighbours
            distance = np.hypot(
                X[list(ring.neighbours)] - X[ring.listener], Y[list(ring.neighbours)] - Y[ring.listener]
            )
            assert distance.max() < REACH_MM
            assert np.ptp(distance) < 0.3
            assert (SLOT[list(ring.neighbours)] == SLOT[ring.listener]).all()


def test_an_array_that_does_not_record_has_no_crosstalk_and_nothing_below_threshold():
    assert measure_crosstalk(lambda listener, currents: None, SITES, FRACTION, rings()) is None
    assert measure_below(lambda listener, currents: None, SITES, [(0.0, 1.0)] * 100) is None


def test_a_single_electrode_has_no_neighbours():
    none = measure_crosstalk(recorder(), SITES, FRACTION, rings([4]))
    assert (none.distance_mm, none.share, none.trials) == ((), (), 0)
    assert none.at(np.array([0.4])) == 0


def test_below_threshold_the_activity_is_what_was_recorded_and_never_above_the_curves_start():
    curves = [site(0).activity] * 100
    found = measure_below(recorder(), {3: site(3)}, curves)
    assert found.fraction == BELOW
    assert found.activity[3] == pytest.approx([rate(f * THRESHOLD_UA) / EVOKED_HZ for f in BELOW], abs=1e-4)
    assert found.activity[4] == (0.0,) * len(BELOW)
    over = measure_below(lambda listener, currents: 40.0, {3: site(3)}, curves)
    assert max(over.activity[3]) == site(3).activity[0]


def test_a_share_is_interpolated_flat_before_the_first_and_nothing_after_the_last():
    kernel = Crosstalk(distance_mm=(1.0, 2.0), share=(0.2, 0.1), trials=4)
    assert kernel.at(np.array([[0.5, 1.0], [1.5, 2.1]])) == pytest.approx(np.array([[0.2, 0.2], [0.15, 0.0]]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Crosstalk(distance_mm=(1.0,), share=(0.1, 0.2), trials=1), "2 values for 1"),
        (lambda: Crosstalk(distance_mm=(2.0, 1.0), share=(0.2, 0.1), trials=1), "must rise"),
        (lambda: Crosstalk(distance_mm=(1.0, 2.0), share=(0.1, 0.2), trials=1), "'share' never"),
        (lambda: BelowThreshold(fraction=(0.5, 0.4), activity=()), "must rise"),
        (lambda: BelowThreshold(fraction=(0.5, 0.6), activity=((0.2, 0.1),)), "never fall"),
    ],
)
def test_what_contradicts_itself_is_refused(make, message):
    with pytest.raises(ValidationError, match=message):
        make()
