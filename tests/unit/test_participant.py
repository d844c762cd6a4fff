from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from prosthesis.config import load_rig
from prosthesis_sim.electrodes import place
from prosthesis_sim.participant import Participant
from prosthesis_sim.patient import load_world
from prosthesis_sim.world import World

SILENT = dict.fromkeys(
    ("criterion_sd", "lapse", "false_alarm", "pointing_sd_deg", "pointing_sd_per_deg", "rating_sd"), 0.0
)
TRIALS = 3000


def someone(**noise):
    """Return a participant with only this noise, the world it watches and one electrode it can see."""
    rig = load_rig("utah96", uncalibrated=True)
    config = load_world("human_v1")
    config = config.model_copy(update={"participant": config.participant.model_copy(update={**SILENT, **noise})})
    world = World(config, place(rig.config.implant, rig.array), 0)
    return Participant(world, 1), world, int(np.flatnonzero(world.person.responsive)[0])


def show(person, world, electrode, times_threshold):
    """Let one electrode's activation stand at a multiple of its threshold while the person attends."""
    activation = np.zeros(96)
    activation[electrode] = times_threshold * world.person.threshold[electrode]
    world.state = replace(world.state, activation=activation)
    person.attend()
    person.watch()


def test_without_noise_the_threshold_is_sharp():
    person, world, electrode = someone()
    for times, seen in ((0.999, False), (1.001, True)):
        show(person, world, electrode, times)
        assert person.seen() is seen


@pytest.mark.parametrize("times", [0.8, 1.0, 1.2])
def test_a_lognormal_criterion_makes_the_psychometric_curve_a_normal_of_the_log(times):
    person, world, electrode = someone(criterion_sd=0.2)
    said = []
    for _ in range(TRIALS):
        show(person, world, electrode, times)
        said.append(person.seen())
    expected = 0.5 * (1 + math.erf(math.log(times) / 0.2 / math.sqrt(2)))
    assert np.mean(said) == pytest.approx(expected, abs=0.035)


def test_false_alarms_come_as_often_as_stated_in_the_dark():
    person, _, _ = someone(false_alarm=0.15)
    assert np.mean([person.seen() for _ in range(TRIALS)]) == pytest.approx(0.15, abs=0.03)


def test_what_was_seen_is_remembered_until_told_to_attend_again():
    person, world, electrode = someone()
    show(person, world, electrode, 3)
    world.state = replace(world.state, activation=np.zeros(96))
    person.watch()
    assert person.seen()
    person.attend()
    person.watch()
    assert not person.seen()


def test_pointing_errors_grow_with_eccentricity():
    person, world, electrode = someone(pointing_sd_deg=0.1, pointing_sd_per_deg=0.2)
    show(person, world, electrode, 3)
    true = np.array([world.person.x_deg[electrode], world.person.y_deg[electrode]])
    points = np.array([person.point() for _ in range(TRIALS)])
    assert points.mean(axis=0) == pytest.approx(true, abs=0.06)
    assert points.std(axis=0) == pytest.approx(0.1 + 0.2 * np.hypot(*true), rel=0.06)


def test_of_several_phosphenes_the_brightest_is_pointed_at():
    person, world, _ = someone()
    first, second = np.flatnonzero(world.person.responsive)[:2]
    for brighter, other in ((first, second), (second, first)):
        activation = np.zeros(96)
        activation[brighter], activation[other] = 9.0, 8.0
        world.state = replace(world.state, activation=activation)
        person.attend()
        person.watch()
        assert person.point() == pytest.approx((world.person.x_deg[brighter], world.person.y_deg[brighter]))


def test_ratings_scatter_around_the_brightness_and_stay_within_their_scale():
    person, world, electrode = someone(rating_sd=0.05)
    at = 1.3 * world.person.threshold[electrode]
    world.state = replace(world.state, activation=np.where(np.arange(96) == electrode, at, 0.0))
    person.watch()
    ratings = np.array([person.rate() for _ in range(TRIALS)])
    truth = 1 / (1 + (world.bright.half / 1.15) ** world.bright.exponent)  # 0.5 + 0.5 x 1.3 thresholds of current
    assert ratings.mean() == pytest.approx(truth, abs=0.005)
    assert ratings.std() == pytest.approx(0.05, rel=0.06)
    person.attend()
    assert all(0 <= person.rate() <= 1 for _ in range(100))


def test_the_same_seed_gives_the_same_answers():
    answers = []
    for _ in range(2):
        person, world, electrode = someone(criterion_sd=0.3, pointing_sd_deg=0.5, rating_sd=0.2)
        show(person, world, electrode, 3)
        answers.append((person.seen(), person.point(), person.rate()))
    assert answers[0] == answers[1]
