"""Verified defects of the published simulators are absent here, and every check fails on the peer's behaviour.

Each check of ``right_behaviour`` passes on our patients, fails on one of them with the defect put in, and, where the
peer is installed (extra ``peers``), fails on the peer itself: the day one of those passes, the peer has been mended and
its row goes.
"""

from __future__ import annotations

import importlib
import sys

import defective_patients as defect
import numpy as np
import pytest
import right_behaviour as right
from our_patient import Ours

CHECKS = [
    (right.the_frame_rate_does_not_change_a_train, defect.EulerStep, ("dynaphos", "pulse2percept")),
    (right.a_phosphene_fades_when_its_train_stops, defect.SizeOfTheMoment, ("dynaphos",)),
    (right.light_stays_the_same_as_a_small_phosphene_moves, defect.PointSampled, ("dynaphos", "pulse2percept")),
    (right.gradients_through_time_are_the_finite_differences, defect.Detached, ("dynaphos",)),
    (right.below_threshold_more_current_is_still_more_light_to_training, defect.HardThreshold, ("dynaphos",)),
    (right.sizes_saturate_in_microampere, defect.SizesInAmpere, ("dynaphos",)),
    (right.every_threshold_is_above_zero, defect.ClippedThresholds, ("dynaphos",)),
    (right.electrodes_have_thresholds_of_their_own, defect.OneThreshold, ("pulse2percept",)),
    (right.what_reaches_its_threshold_is_not_yet_above_it, defect.AtOrAbove, ("pulse2percept",)),
    (right.an_electrode_keeps_its_index_when_others_are_out_of_view, defect.DropsElectrodes, ("dynaphos",)),
    (right.an_electrode_keeps_its_index_when_others_are_out_of_view, defect.RefusesElectrodes, ("pulse2percept",)),
    (right.building_leaves_everybodys_random_numbers_alone, defect.SeedsEverybody, ("dynaphos",)),
    (right.a_configured_squeeze_of_angles_is_applied, defect.IgnoresAlpha, ("dynaphos",)),
    (right.what_has_faded_is_dark_also_to_training, defect.Pedestal, ("dynaphos",)),
    (right.frames_told_one_by_one_are_the_train_told_at_once, defect.Forgets, ("pulse2percept",)),
]
PEERS = {"dynaphos": "Dynaphos", "pulse2percept": "Pulse2Percept"}


def torch_where_needed(check):
    if check is right.gradients_through_time_are_the_finite_differences:
        pytest.importorskip("torch", reason="needs the [train] extra")


@pytest.fixture
def leave_nothing_behind():
    """dynaphos seeds everybody's random numbers and makes torch deterministic; the next test must not see it."""
    state = np.random.get_state()  # noqa: NPY002
    yield
    np.random.set_state(state)  # noqa: NPY002
    if (torch := sys.modules.get("torch")) and torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(False)
        torch.seed()


@pytest.mark.parametrize("world", ["van_der_grinten_2024", "human_v1"])
@pytest.mark.parametrize("check", dict.fromkeys(check for check, _, _ in CHECKS), ids=lambda c: c.__name__)
def test_our_patients_do_what_is_right(check, world):
    torch_where_needed(check)
    check(Ours(world))


@pytest.mark.usefixtures("leave_nothing_behind")
@pytest.mark.parametrize(
    ("check", "defective"), [row[:2] for row in CHECKS], ids=[f"{c.__name__}-{d.__name__}" for c, d, _ in CHECKS]
)
def test_a_patient_with_the_defect_fails(check, defective):
    torch_where_needed(check)
    with pytest.raises(AssertionError):
        check(defective())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("leave_nothing_behind")
@pytest.mark.parametrize(
    ("check", "peer"), [(c, p) for c, _, peers in CHECKS for p in peers], ids=lambda v: getattr(v, "__name__", v)
)
def test_the_peer_fails(check, peer):
    pytest.importorskip(peer, reason="needs the [peers] extra")
    module = importlib.import_module(f"{peer}_patient")
    with pytest.raises(AssertionError):
        check(getattr(module, PEERS[peer])())
