"""The walker without the game: expert, bars, scores and imitation against closed forms."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from prosthesis.errors import ProsthesisError
from prosthesis_train.methods.nearness import Bars, Nearness, varied
from prosthesis_train.mobility import scoring
from prosthesis_train.mobility.agent import School, Walker, decide, feelings, learn, mirrored, previous
from prosthesis_train.mobility.arena import Moved, Sight, free_step
from prosthesis_train.mobility.bars import nearness, paint
from prosthesis_train.mobility.episodes import Walk, load, save, summary
from prosthesis_train.mobility.expert import choose, clearance, obstacles
from prosthesis_train.mobility.flowing import Flowing
from prosthesis_train.mobility.protocol import ACTIONS, AGENT_MAPS, ENCODER_MAPS, FAR, FRAME_TICS, HELD_OUT, NEAR
from prosthesis_train.mobility.shortcut import auc

EYE = 41.0


def _corridor(wall: float, side: int = 192) -> Sight:
    """Return a wall right across, ``wall`` units ahead, on an endless floor below an endless ceiling 128 units high."""
    up = 1 - (np.arange(side) + 0.5) * 2 / side
    flat = np.where(up < 0, EYE / np.maximum(-up, 1e-6), (128 - EYE) / np.maximum(up, 1e-6))
    depth = np.repeat(np.minimum(flat, wall)[:, None], side, 1).astype(np.float32)
    return Sight(np.zeros((side, side, 3), np.uint8), depth, EYE)


def test_maps_of_encoder_walker_and_test_are_apart() -> None:
    groups = [set(AGENT_MAPS), set(ENCODER_MAPS), set(HELD_OUT)]
    assert sum(map(len, groups)) == len(set.union(*groups))


def test_a_wall_is_an_obstacle_and_floor_and_ceiling_are_not() -> None:
    assert obstacles(_corridor(100.0), 8) == pytest.approx(np.full(8, 100.0))
    floor = _corridor(1e6)
    floor.depth[:] = np.minimum(floor.depth, 1e5)
    assert obstacles(floor, 8).min() > 1000


def test_clearance_along_one_pillar_is_its_distance() -> None:
    distance = np.full(64, np.inf)
    distance[32] = 120.0
    tangent = 1 / 64
    straight, away = clearance(distance, np.array([0.0, -35.0]))
    assert straight == pytest.approx(120.0)
    assert away == 400.0
    turn = math.degrees(math.atan(tangent))
    assert clearance(distance, np.array([turn]))[0] == pytest.approx(120 * math.hypot(1, tangent))


def test_the_expert_walks_where_it_is_free_and_turns_on_the_spot_where_it_is_not() -> None:
    free = np.full(64, np.inf)
    assert ACTIONS[choose(free, 0, False)].name == "straight"
    left_wall, blocked = free.copy(), np.full(64, 30.0)
    left_wall[:34] = 60.0
    assert ACTIONS[choose(left_wall, 0, False)].turn_deg > 0
    blocked[40:] = 36.0
    assert ACTIONS[choose(blocked, 0, False)].name == "stop and right"
    assert ACTIONS[choose(blocked, 5, False)].name == "stop and left"  # it does not dither
    assert not ACTIONS[choose(free, 0, True)].walks  # what it bumped into it did not see


def test_free_step_reaches_the_speed_that_friction_allows() -> None:
    velocity = np.array([0.125 / (1 - 0.90625) - 0.125, 0.0])
    assert free_step(velocity, 0.0, 0.125) == pytest.approx([16.0, 0.0])
    assert free_step(np.zeros(2), 90.0, 0.0) == pytest.approx([0.0, 0.0])


def test_nearness_is_even_in_ratios_and_bars_grow_with_it() -> None:
    distance = np.array([NEAR / 2, NEAR, math.sqrt(NEAR * FAR), FAR, np.inf])
    assert nearness(distance) == pytest.approx([1, 1, 0.5, 0, 0], abs=1e-6)
    painted = paint(np.array([0.0, 0.5, 1.0], np.float32))
    lit = painted > 0
    assert not lit[:, 0].any()
    assert lit[:, 1].sum() < lit[:, 2].sum()
    assert painted[16, 1] == pytest.approx(0.5)
    assert painted == pytest.approx(painted[::-1])


def test_the_network_paints_the_same_bars_and_a_black_frame_is_silent() -> None:
    net = Nearness().eval()
    frame = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3)).astype(np.uint8))
    with torch.no_grad():
        maps, near = Bars(net)(frame).numpy(), torch.sigmoid(net(frame)).numpy()
        black = Bars(net)(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))
    assert maps[0] == pytest.approx(paint(near[0]), abs=1e-6)
    assert not black.any()


def _walk(start: int, collisions: int, metres: float) -> Walk:
    return Walk("map05", start, 100, collisions, min(collisions, 1), metres, 10, (), ())


def test_gap_closed_by_hand() -> None:
    blind = scoring.tally([[_walk(0, 30, 50.0), _walk(1, 10, 50.0)]])  # 40 per 100 m
    sighted = scoring.tally([[_walk(0, 0, 50.0), _walk(1, 0, 50.0)]])
    ours = scoring.tally([[_walk(0, 4, 60.0), _walk(1, 0, 20.0)]])  # 5 per 100 m
    assert scoring.per_100_m(ours) == pytest.approx(5.0)
    assert scoring.gap_closed(ours, blind, sighted) == pytest.approx(35 / 40)
    assert scoring.gap_closed(blind, blind, sighted) == 0
    assert scoring.gap_closed(sighted, blind, sighted) == 1


def test_bootstrap_covers_a_mean_and_pairs_the_starts() -> None:
    random = np.random.default_rng(0)
    walks = [_walk(k, int(random.poisson(3)), 40.0) for k in range(60)]
    more = [_walk(k, w.collisions + 2, 40.0) for k, w in enumerate(walks)]
    one, other = scoring.tally([walks]), scoring.tally([more])
    mean = scoring.bootstrapped(scoring.per_100_m, one)
    expected = 1.96 * 100 / 40 * math.sqrt(3 / 60)  # Poisson of mean 3, 60 starts
    assert (mean.high - mean.low) / 2 == pytest.approx(expected, rel=0.35)
    paired = scoring.bootstrapped(lambda a, b: scoring.per_100_m(b) - scoring.per_100_m(a), one, other)
    assert (paired.value, paired.low, paired.high) == pytest.approx((5.0, 5.0, 5.0))


def test_tallies_over_other_starts_are_refused() -> None:
    with pytest.raises(ProsthesisError, match="different starts"):
        scoring.tally([[_walk(0, 1, 1.0)], [_walk(1, 1, 1.0)]])


def test_summary_counts_bumps_once_and_survives_its_file(tmp_path: Path) -> None:
    moves = [Moved(16.0 * k, 0.0, 0.0, 16.0, k in (2, 3, 5)) for k in range(6)]
    walk = summary("map05", 3, moves)
    assert (walk.collisions, walk.bumps, walk.walked_m, walk.ground) == (3, 2, 3.0, 2)
    save([walk], tmp_path / "cell.json")
    assert load(tmp_path / "cell.json") == [walk]


def test_looks_before_stay_within_a_walk_and_mirrors_are_their_own_inverse() -> None:
    pictures = np.arange(5, dtype=np.uint8)[:, None, None, None]
    assert previous(pictures, np.array([0, 0, 1, 1, 1])).ravel().tolist() == [0, 0, 2, 2, 3]
    actions = np.arange(len(ACTIONS))
    assert mirrored(mirrored(actions)).tolist() == actions.tolist()
    assert [ACTIONS[k].turn_deg for k in mirrored(actions)] == [-a.turn_deg for a in ACTIONS]


def test_a_walker_learns_to_turn_from_the_brighter_side() -> None:
    random = np.random.default_rng(0)
    side = random.integers(0, 2, 256)
    now = np.zeros((256, 24, 24, 2), np.uint8)
    now[side == 0, :, :12, 0] = 200
    now[side == 1, :, 12:, 0] = 200
    wanted = np.where(side == 0, 2, 1).astype(np.int64)
    feels = feelings(np.zeros(256, np.int64), np.zeros(256, bool))
    walker = learn(School(now, now, feels, wanted), 0, lambda text: None, epochs=12)
    assert (decide(walker, now, now, feels, random) == wanted).mean() > 0.95


def test_a_walker_draws_actions_by_the_chances_it_gives_them() -> None:
    walker = Walker()
    last = walker.head[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias[:] = torch.log(torch.tensor([0.5, 0.2, 0.1, 0.1, 0.06, 0.03, 0.01]))
    n = 4000
    nothing, feels = np.zeros((n, 24, 24, 2), np.uint8), np.zeros((n, 3), np.float32)
    drawn = decide(walker.eval(), nothing, nothing, feels, np.random.default_rng(0))
    assert np.bincount(drawn, minlength=7) / n == pytest.approx([0.5, 0.2, 0.1, 0.1, 0.06, 0.03, 0.01], abs=0.02)
    again = decide(walker, nothing, nothing, feels, np.random.default_rng(0))
    assert drawn.tolist() == again.tolist()


def test_pictures_vary_in_colour_and_light_but_not_in_place() -> None:
    generator = torch.Generator().manual_seed(0)
    frame = torch.full((64, 8, 8, 3), 40.0)
    frame[:, :, 4:] = torch.tensor([90.0, 120.0, 200.0])
    out = varied(frame, generator)
    assert out.shape == frame.shape
    assert float(out.min()) >= 0
    assert float(out.max()) <= 255
    left, right = out[:, :, :4].mean((1, 2, 3)), out[:, :, 4:].mean((1, 2, 3))
    assert (right > left + 20).all()  # the edge stays where it was
    brightest = out[:, :, 4:].mean((1, 2)).argmax(1)
    assert set(brightest.tolist()) == {0, 1, 2}
    assert left.std() > 5


def test_what_comes_near_lights_up_in_the_obstacle_encoders_map_and_a_new_walk_begins_dark() -> None:
    texture = np.random.default_rng(0).integers(0, 255, (24, 24)).astype(np.uint8)
    flowing = Flowing()
    assert not flowing.map().any()
    for k in range(12):  # a wall 1.9 s away at first, at the walker's speed
        distance = 2.9 - FRAME_TICS / 35 * 1.46 * k
        flowing.watch(_wall(texture, distance))
    assert flowing.map().max() > 0.5
    flowing.begin()
    assert not flowing.map().any()
    for _ in range(12):
        flowing.watch(_wall(texture, 2.9))
    assert flowing.map().max() < 0.1


def _wall(texture: np.ndarray, distance_m: float) -> np.ndarray:
    """Return a camera frame of 90 degrees of a textured wall 3 m wide and high, straight ahead."""
    gray = cv2.resize(texture, (480, 480), interpolation=cv2.INTER_CUBIC)
    scale = 96 * 3 / distance_m / 480
    place = np.array([[scale, 0, 96 - 240 * scale], [0, scale, 96 - 240 * scale]])
    drawn = cv2.warpAffine(gray, place, (192, 192), flags=cv2.INTER_AREA, borderValue=(30,))
    return np.repeat(drawn[..., None], 3, 2)


def test_auc_of_a_known_order() -> None:
    score = np.array([1, 2, 3, 4], np.float32)
    assert auc(score, np.array([False, True, False, True])) == pytest.approx(0.75)
    assert auc(np.ones(4, np.float32), np.array([False, True, False, True])) == pytest.approx(0.5)
