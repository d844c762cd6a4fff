"""Votes decide who somebody is; strangers are refused; growth is approach."""

import math

import numpy as np
import pytest

from prosthesis.faces.detect import Face
from prosthesis.faces.gallery import Match, Person
from prosthesis.faces.tracks import ENOUGH, STRANGER, VOTES, Seen, follow

ANN = Person("ann", 0, np.ones((1, 192), np.float32))
BOB = Person("bob", 1, np.ones((1, 192), np.float32))
STEP_NS = 100_000_000
DRAWING = np.zeros((28, 28), np.float32)


def seen(person, cosine, x=0.0, width=40.0):
    box = (x - width / 2, 0.0, x + width / 2, width)
    match = None if cosine is None else Match(person, cosine)
    return Seen(Face(0.9, box, np.zeros((6, 2))), match, DRAWING)


def run(*frames, threshold=0.45, step_ns=STEP_NS):
    tracks = ()
    for number, frame in enumerate(frames):
        tracks = follow(tracks, frame, number * step_ns, threshold)
    return tracks


def test_nothing_is_said_on_too_few_votes():
    assert run(*[[seen(ANN, 0.9)]] * (ENOUGH - 1))[0].verdict is None
    assert run(*[[seen(ANN, 0.9)]] * ENOUGH)[0].verdict == "ann"


def test_a_stranger_is_a_stranger_however_near_the_nearest():
    assert run(*[[seen(ANN, 0.44)]] * 5)[0].verdict == STRANGER
    assert run(*[[seen(ANN, 0.45)]] * 5)[0].verdict == "ann"
    assert run(*[[seen(None, -1.0)]] * 5)[0].verdict == STRANGER  # nobody is enrolled


def test_one_wrong_picture_changes_nothing():
    frames = [[seen(ANN, 0.8)]] * 4 + [[seen(BOB, 0.9)]] + [[seen(ANN, 0.8)]] * 2
    assert run(*frames)[0].verdict == "ann"


def test_without_a_majority_nobody_is_named():
    frames = [[seen(ANN, 0.8)], [seen(BOB, 0.8)], [seen(None, 0.1)], [seen(ANN, 0.8)]]
    assert run(*frames)[0].verdict is None


def test_old_votes_are_forgotten():
    frames = [[seen(ANN, 0.8)]] * 20 + [[seen(BOB, 0.8)]] * VOTES
    assert run(*frames)[0].verdict == "bob"
    assert run(*frames)[0].votes == ("bob",) * VOTES


def test_a_face_too_small_does_not_vote():
    tracks = run(*[[seen(None, None)]] * 10)
    assert tracks[0].votes == ()
    assert tracks[0].verdict is None


def test_two_people_keep_their_votes_and_the_nearer_comes_first():
    frames = [[seen(BOB, 0.9, x=200 - i, width=60 + i), seen(ANN, 0.9, x=i)] for i in range(6)]
    assert [track.verdict for track in run(*frames)] == ["bob", "ann"]


def test_somebody_elsewhere_is_somebody_else():
    tracks = run([seen(ANN, 0.9)], [seen(ANN, 0.9)], [seen(BOB, 0.9, x=300)])
    assert [track.votes for track in tracks] == [("bob",), ("ann", "ann")]


def test_a_face_unseen_for_a_second_is_gone():
    assert len(run([seen(ANN, 0.9)], *[[]] * 10)) == 1
    assert run([seen(ANN, 0.9)], *[[]] * 11) == ()


@pytest.mark.parametrize("rate", [0.0, 0.3, -0.3])
def test_growth_is_the_faces_relative_rate(rate):
    frames = [[seen(ANN, 0.9, width=40 * math.exp(rate * i * STEP_NS / 1e9))] for i in range(40)]
    assert run(*frames)[0].growth == pytest.approx(rate, abs=0.01)


def test_growth_does_not_depend_on_how_often_the_networks_run():
    def after_two_seconds(step_ns):
        count = 2_000_000_000 // step_ns
        frames = [[seen(ANN, 0.9, width=40 * math.exp(0.3 * i * step_ns / 1e9))] for i in range(count + 1)]
        return run(*frames, step_ns=step_ns)[0].growth

    assert after_two_seconds(STEP_NS) == pytest.approx(after_two_seconds(STEP_NS // 4), abs=1e-3)
