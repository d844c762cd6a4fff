"""The study of what drawn people lose: its pictures, its other ground, and who knows only coarse kinds."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="running graphs needs prosthesis[laptop]")

from prosthesis_train.observers.network import SIDE
from prosthesis_train.studies.tasks import face_matching
from prosthesis_train.tasks.faces import person
from prosthesis_train.tasks.task import open_task


@pytest.fixture(scope="module")
def trials():
    return open_task("faces").trials("test", 40, 3)


def test_the_other_ground_is_light_in_places_and_leaves_the_heads(trials):
    few = trials.frames[:4]
    other = face_matching.cluttered(few, np.random.default_rng(0))
    assert (few[:, :, :20] < 20).all()
    assert 40 < other[:, :, :20].mean() < 80
    np.testing.assert_array_equal(other[:, :, 80:100, 150:170], few[:, :, 80:100, 150:170])
    assert not np.array_equal(other[0, 0, :20], other[1, 0, :20])


def test_pictures_are_the_squares_that_rigs_see(trials):
    small = face_matching.pictures(trials)
    assert small.shape == (40, 1, SIDE, SIDE)
    assert float(small.max()) <= 1
    assert float(small[0].mean()) == pytest.approx(trials.frames[0, 0, :, 70:250, 0].mean() / 255, abs=2e-3)


def test_who_knows_only_kinds_takes_people_of_one_kind_for_each_other(trials):
    features = face_matching._kinds(trials)
    kinds = [tuple(person("test", int(k))[what] for what in ("hair", "beard", "glasses")) for k in trials.labels]
    same = np.array([[a == b for b in kinds] for a in kinds])
    alike = features @ features.T
    assert alike[same].min() > 0.9
    assert alike[~same].max() < 0.1
