"""The write path's study on the rig whose numbers can be checked by hand, with a map that is exact."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import HAND
from linear_map import LinearMap

pytest.importorskip("torch", reason="the desk needs prosthesis[train]")
writing = pytest.importorskip("prosthesis_train.studies.braincodes.writing")
torch = pytest.importorskip("torch")

from prosthesis.config import load_rig  # noqa: E402
from prosthesis_sim.measure import measure_patient  # noqa: E402
from prosthesis_sim.patient import load_world  # noqa: E402

torch.set_num_threads(1)


class Brain:
    """Answers with the picture's first four pixels, up to 40 Hz above rest."""

    spontaneous_hz, most_hz = np.full(4, 5.0), np.full(4, 45.0)

    def rates_hz(self, images):
        return 5 + 40 * images.reshape(len(images), -1)[:, :4]


class Encoder:
    """Codes are those pixels, too."""

    def encode(self, pictures):
        pixels = (pictures.flatten(1)[:, :4] + 1) / 2
        return pixels, pixels


class Exact(LinearMap):
    def __init__(self):
        super().__init__(4, 4)
        self.rest, self.matrix, self.back = np.full(4, 5.0), 40 * np.eye(4), np.eye(4) / 40


@pytest.fixture(scope="module")
def patient():
    rig = load_rig(HAND)
    rig = replace(rig, calibration=measure_patient(HAND, 0))
    return writing.Patient(rig, load_world(rig.config.world, rig.path.parent), Brain(), Exact(), np.arange(4))


def pictures(n=12, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 1), dtype=np.uint8)


def test_the_map_evokes_what_was_wanted_and_shuffled_it_does_not(patient):
    true, wrong, *_ = writing.arms(patient, seed=2, every=True)
    assert (true.name, wrong.name) == ("code map", "scrambled map")
    near, far = (writing.write(patient, arm, Encoder(), pictures()) for arm in (true, wrong))
    assert near.by_site > 0.9
    assert near.natural == pytest.approx(near.by_site, abs=1e-6)  # this map is the brain's own law
    assert far.by_site < 0.5


def test_the_same_study_twice_is_the_same(patient):
    arm = writing.arms(patient, seed=2, every=False)[0]
    assert writing.write(patient, arm, Encoder(), pictures()) == writing.write(patient, arm, Encoder(), pictures())


def test_a_scrambled_map_reads_back_what_it_wrote():
    wrong = writing.Scrambled(Exact(), 2)
    z = np.random.default_rng(0).normal(size=(3, 4))
    assert wrong.to_machine(wrong.to_brain(z)) == pytest.approx(z)
    assert np.abs(wrong.to_brain(z) - Exact().to_brain(z)).max() > 1


def test_lifting_limits_measures_again_only_where_they_bound_an_electrode(patient):
    said = []
    lifted = writing.without_limits(patient.rig, said.append)
    assert said == ["hand2x2: calibrating without limits"]  # 100 uA was the stimulator's limit, 102.3 its full scale
    assert lifted.calibration.max_ua == pytest.approx(patient.rig.calibration.max_ua, rel=0.1)
    again = writing.without_limits(lifted, said.append)
    assert len(said) == 1
    assert again.calibration is lifted.calibration


def test_intervals_are_those_of_a_t_test():
    stats = pytest.importorskip("scipy.stats")
    values = [0.2, 0.4, 0.5, 0.7]
    row = writing._row("x", values)
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (row.value, row.low, row.high) == pytest.approx((0.45, low, high))
