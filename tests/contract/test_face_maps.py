"""The face task as an encoder under test: maps of drawn people, alike for one person, black for nobody."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="running graphs needs prosthesis[laptop]")

from prosthesis_train.observers.matching import matched
from prosthesis_train.observers.network import SIDE
from prosthesis_train.observers.observer import centred
from prosthesis_train.observers.percepts import virtual_patient
from prosthesis_train.studies.tasks import face_maps
from prosthesis_train.tasks.task import Trials, framed, open_task
from prosthesis_train.tasks.under_test import under_test


@pytest.fixture(scope="module")
def patient():
    return virtual_patient("icvp400", 2000, 0.2, side=SIDE, look="array")


@pytest.fixture(scope="module")
def trials():
    """Return three pictures each of ten people."""
    random, labels = np.random.default_rng(7), np.repeat(np.arange(10), 3)
    squares = np.stack([open_task("faces").draw("test", int(label), random) for label in labels])
    return Trials(framed(squares), labels)


@pytest.mark.parametrize(("name", "looks"), [("maps", 3), ("caricatures", 1)])
def test_maps_are_maps(name, looks, patient, trials):
    encoder = under_test(f"prosthesis_train.studies.tasks.face_maps:{name}")
    few = Trials(trials.frames[:3], trials.labels[:3])
    maps = encoder.encode(few, patient)
    assert maps.shape == (3, looks, 64, 64)
    assert maps.dtype == np.float32
    assert maps.min() >= 0
    assert 0.5 < maps.max() <= 1
    assert encoder.personal
    assert not encoder.told
    np.testing.assert_array_equal(encoder.encode(few, patient), maps)


def test_nobody_is_black(patient):
    assert not face_maps.maps(np.zeros((1, 1, 180, 320, 3), np.uint8), patient).any()


def test_heads_are_told_apart_better_than_the_frames_that_they_are_cut_from(patient, trials):
    heads = face_maps.maps(trials.frames, patient).reshape(30, -1)
    frames = trials.frames[:, 0, ::4, 70:250:4, 0].reshape(30, -1).astype(np.float32)
    right = [matched(centred(some), trials.labels, 4, 0).mean() for some in (heads, frames)]
    assert right[0] > 0.75
    assert right[0] > right[1] + 0.1
