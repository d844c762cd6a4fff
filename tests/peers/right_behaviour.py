"""What a simulator must do, one plain function a behaviour: each takes a patient with ``our_patient.Ours``' verbs.

Every one of them is a verified defect of a published simulator; its docstring says what the peer shows instead.
"""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest


def given(condition):
    """Refuse to judge where the check itself is not set up: a peer must not fail for want of light."""
    if not condition:
        raise RuntimeError("nothing to judge: the train was not seen")


def the_frame_rate_does_not_change_a_train(patient):
    """200 ms at 50 uA. dynaphos and pulse2percept step by Euler: brightness differs in the second digit.

    (200 ms rather than the published 166, because a peer can only step whole frames and 10 fps would not divide it.)
    """
    seen = [patient.brightness_after(50.0, 0.2, fps) for fps in (10, 60, 1000)]
    given(min(seen) > 0.1)
    assert max(seen) - min(seen) < 1e-6


def a_phosphene_fades_when_its_train_stops(patient):
    """dynaphos takes the size from the current of the moment: dark on the first silent frame, at brightness 0.87."""
    light = patient.light([100.0] * 12 + [0.0] * 120)
    given(light[11] > 0)
    assert light[12] > 0.5 * light[11]
    assert light[-1] == 0


def light_stays_the_same_as_a_small_phosphene_moves(patient):
    """Sigma 0.2 pixels, as at 40 uA and 1 degree: point sampling in both peers changes the light a hundredfold."""
    light = [patient.image(5.0 + s / 16, 1.0 + s / 32, 0.2).sum() for s in np.linspace(0, 1, 9)]
    given(max(light) > 0)
    assert max(light) < 1.001 * min(light)


def gradients_through_time_are_the_finite_differences(patient):
    """dynaphos detaches the old state: what an earlier frame does to a later image gets slope ~0 or the wrong sign."""
    amplitude, shift = np.array([60.0, 60.0, 60.0, 60.0]), 1e-4
    _, gradient = patient.light_and_gradient(amplitude)
    for frame in range(4):
        moved = shift * np.eye(4)[frame]
        up, down = patient.light_and_gradient(amplitude + moved)[0], patient.light_and_gradient(amplitude - moved)[0]
        given(up != down)
        assert gradient[frame] == pytest.approx((up - down) / (2 * shift), rel=1e-3)


def below_threshold_more_current_is_still_more_light_to_training(patient):
    """dynaphos has a hard step here, flat below it: an electrode that is dark never learns."""
    assert (np.diff([patient.trained_light(a) for a in range(28, 60, 2)]) > 0).all()


def sizes_saturate_in_microampere(patient):
    """dynaphos puts ampere into a curve in microampere: one size to five digits from 10 to 500 uA."""
    small, half, large = patient.saturating_sizes([10.0, 40.0, 500.0])
    assert half == pytest.approx(large / 2, rel=1e-6)
    assert small < 0.2 * large


def every_threshold_is_above_zero(patient):
    """dynaphos clips normal thresholds at 0: 8.7 % of its electrodes glow for ever after their first pulse."""
    assert patient.thresholds(1000).min() > 0


def electrodes_have_thresholds_of_their_own(patient):
    """pulse2percept has one number for all."""
    drawn = patient.thresholds(100)
    assert len(np.unique(drawn)) == 100
    assert drawn.std() > 0.1 * drawn.mean()


def what_reaches_its_threshold_is_not_yet_above_it(patient):
    """pulse2percept compares with >=, the publication with >."""
    assert not patient.seen_at_its_threshold()


def an_electrode_keeps_its_index_when_others_are_out_of_view(patient):
    """dynaphos drops them and moves the rest up, pulse2percept refuses the whole array."""
    u_mm, v_mm = [20.0, 60.0, 34.532], [60.0, 0.0, 0.0]  # off the map, off the screen (45 deg), at 5 deg
    assert patient.lit_place(u_mm, v_mm, driven=0) is None
    assert patient.lit_place(u_mm, v_mm, driven=1) is None
    assert patient.lit_place(u_mm, v_mm, driven=2) == pytest.approx((5.0, 0.0), abs=0.05)


def building_leaves_everybodys_random_numbers_alone(patient):
    """dynaphos seeds numpy's and torch's, and makes torch deterministic for the whole process."""
    torch = sys.modules.get("torch")

    def everybodys():
        state = [repr(np.random.get_state()), repr(random.getstate())]  # noqa: NPY002
        return state + ([repr(torch.get_rng_state()), torch.are_deterministic_algorithms_enabled()] if torch else [])

    np.random.random()  # noqa: NPY002  # so that somebody's fresh seed is not where we are by chance
    before = everybodys()
    patient.build()
    assert everybodys() == before


def a_configured_squeeze_of_angles_is_applied(patient):
    """dynaphos' configuration says alpha 0.95 and a dipole, which ignores it: 34.13, 11.44."""
    oblique = 5 / np.sqrt(2)
    assert patient.tissue_of(oblique, oblique, alpha=0.95) == pytest.approx((34.172, 10.851), abs=1e-3)


def what_has_faded_is_dark_also_to_training(patient):
    """dynaphos without its hard threshold leaves every phosphene at 11.7 %, hidden only because its size is then 0."""
    assert patient.afterglow() < 1e-6


def frames_told_one_by_one_are_the_train_told_at_once(patient):
    """pulse2percept has no step: a percept of each frame alone has forgotten the frames before."""
    at_once = patient.whole(60.0, 0.2, fps=50)
    given(at_once > 0.1)
    assert patient.streamed(60.0, 0.2, fps=50) == pytest.approx(at_once, abs=1e-6)
