"""Observers that compare: their loss in closed form, their episodes, and what they are blind to."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from prosthesis_train.observers import matching, train
from prosthesis_train.observers.network import SIDE, MatcherNet
from prosthesis_train.observers.observer import Observer, centred, load_observer, save_observer
from prosthesis_train.observers.percepts import virtual_patient
from prosthesis_train.observers.sources import Source
from prosthesis_train.scores.tasks.answers import likened, right
from prosthesis_train.tasks.task import open_task

PAIRS = matching.PEOPLE * matching.PICTURES


def pairs(vectors):
    """Return features f32[1, 2 n, width] in which every vector occurs twice."""
    return torch.as_tensor(np.repeat(vectors, 2, axis=0)[None].astype(np.float32))


def test_the_loss_is_that_of_cosines_in_closed_form():
    n = matching.PEOPLE
    # vertices of a simplex about 0: each the same angle from all others
    simplex = np.eye(n) - 1 / n
    apart = math.exp((-1 / (n - 1) - 1) / matching.TEMPERATURE)
    assert matching.likeness_loss(pairs(simplex)).item() == pytest.approx(math.log1p((2 * n - 2) * apart), abs=1e-5)
    # what all have in common takes no part
    moved = matching.likeness_loss(pairs(simplex + 7.0)).item()
    assert moved == pytest.approx(math.log1p((2 * n - 2) * apart), abs=1e-4)


def test_the_loss_of_features_that_tell_nothing_is_that_of_guessing_or_worse():
    noise = torch.randn(40, PAIRS, 4096, generator=torch.Generator().manual_seed(0))
    assert matching.likeness_loss(noise).item() == pytest.approx(math.log(PAIRS - 1), abs=0.03)
    swapped = pairs(np.eye(matching.PEOPLE))[:, torch.arange(PAIRS).roll(1)]
    assert matching.likeness_loss(swapped).item() > math.log(PAIRS - 1)


@pytest.fixture(scope="module")
def patient():
    return virtual_patient("utah96", 2000, 0.2, side=SIDE, look="array")


def test_an_episode_shows_each_person_twice_side_by_side_all_drawn_alike(patient):
    labels = np.repeat(np.arange(20), 3)
    # a person is a bright spot in a place of their own
    maps = np.zeros((60, 1, 64, 64), np.float32)
    for k, one in enumerate(labels):
        row, column = 17 + 6 * (one // 5), 17 + 6 * (one % 5)
        maps[k, 0, row : row + 8, column : column + 8] = 1
    source = Source("plain", torch.as_tensor(maps), torch.as_tensor(labels))
    shown = matching.episode(matching.crowd(source), patient, np.random.default_rng(0))
    assert shown.shape == (PAIRS, 1, SIDE, SIDE)
    assert torch.equal(shown[0::2], shown[1::2])
    assert len({bytes(picture.numpy()) for picture in shown[::2]}) > matching.PEOPLE // 2


def test_people_with_one_picture_are_left_out():
    source = Source("plain", torch.zeros(5, 1, 64, 64), torch.as_tensor([3, 3, 4, 9, 9]))
    assert [some.tolist() for some in matching.crowd(source).pictures] == [[0, 1], [3, 4]]


def matcher():
    torch.manual_seed(0)
    network = MatcherNet()
    return Observer(train._card(open_task("faces"), "utah96", train.Settings(), 1, network.width), network)


def test_what_every_percept_has_in_common_is_not_seen():
    random = torch.Generator().manual_seed(0)
    own, common = (0.3 * torch.rand(count, 1, SIDE, SIDE, generator=random) for count in (12, 1))
    observer = matcher()
    seen = observer.features(own**2)
    np.testing.assert_allclose(np.linalg.norm(seen, axis=1), 1, atol=1e-5)
    linear = observer._network.linear(torch.zeros(1, SIDE * SIDE // 4))
    assert not linear.any()  # no offset
    # roots of brightness add up; convolutions, which see the mean, add nothing before training
    np.testing.assert_allclose(observer.features((own + common) ** 2), seen, atol=2e-3)


def test_nothing_shown_is_never_matched_and_looks_are_joined():
    observer, labels = matcher(), np.arange(80) % 40
    task = open_task("faces")
    assert not right(task, observer, torch.zeros(80, 1, SIDE, SIDE), labels, 0).any()
    person = torch.rand(40, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(1))[labels]
    joined = likened(observer, person)
    np.testing.assert_allclose(np.linalg.norm(joined, axis=1), 1, atol=1e-5)
    assert right(task, observer, person, labels, 0).all()


def test_centred_features_of_the_same_are_nothing():
    assert not centred(np.ones((3, 4), np.float32)).any()
    np.testing.assert_allclose(centred(np.array([[1.0, 0], [3, 0]], np.float32)), [[-1, 0], [1, 0]])


def test_candidates_may_be_seen_by_another():
    labels = np.arange(80) % 40
    mine, turned = np.eye(40, dtype=np.float32)[labels], np.roll(np.eye(40, dtype=np.float32), 1, axis=1)[labels]
    assert matching.matched(mine, labels, 4, 0, mine).all()
    # who takes each person for the next finds the wrong one only when that one is among the four
    assert matching.matched(mine, labels, 4, 0, turned).mean() == 0


def test_portraits_are_ordered_by_person_and_differ():
    pictures, labels = matching.portraits(open_task("faces"), range(3, 6), 2, 0)
    assert labels.tolist() == [3, 3, 4, 4, 5, 5]
    assert pictures.shape == (6, 1, 180, 180)
    assert not np.array_equal(pictures[0], pictures[1])


def test_a_matcher_is_frozen_and_comes_back(tmp_path):
    observer = matcher()
    save_observer(observer.card, observer._network, tmp_path)
    back = load_observer("faces", "utah96", tmp_path)
    assert back.card.classes == ()
    assert "N-pair" in back.card.how
    seen = torch.rand(6, 1, SIDE, SIDE)
    np.testing.assert_allclose(back.features(seen), observer.features(seen), atol=5e-3)


def test_training_people_are_not_those_of_the_validation(monkeypatch):
    task = open_task("faces")
    monkeypatch.setattr(train, "portraits", lambda task, who, each, seed: (None, np.asarray(who)))
    few = [set(train._pictures(task, 2, 0, validate)[1].tolist()) for validate in (False, True)]
    assert not few[0] & few[1]
    assert len(few[0] | few[1]) == len(task.classes)
