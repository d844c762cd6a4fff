"""The arena against the engine's own geometry: depth by rays at the map's lines, contacts by steps into a wall."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("vizdoom")
pytest.importorskip("torch")

from prosthesis_train.mobility.arena import Arena
from prosthesis_train.mobility.protocol import FRAME_TICS, STEP_TICS, UNITS_PER_M

PLACE = (-544.0, -632.0, 0.0)  # the start of map05


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    made = Arena("map05", lines=True)
    yield made
    made.close()


def test_depth_is_that_of_rays_cast_at_the_blocking_lines(arena: Arena) -> None:
    errors = []
    for angle in range(0, 360, 45):
        arena.start(*PLACE[:2], float(angle))
        depth = arena.look().depth
        errors += [depth[depth.shape[0] // 2, c] - _ray(arena, c, depth.shape[1]) for c in range(4, 192, 12)]
    # a few rays end at steps and things, which are no blocking lines
    assert np.median(np.abs(errors)) < 4.0
    assert np.percentile(np.abs(errors), 60) < 6.5


def test_walking_freely_is_no_contact_and_walking_into_a_wall_is(arena: Arena) -> None:
    arena.start(*PLACE)
    moves = [arena.step(0) for _ in range(60)]
    contact = [move.contact for move in moves]
    first = contact.index(True)
    assert first > 2
    assert not any(contact[:first])
    assert moves[first - 1].walked == pytest.approx(STEP_TICS * 4 / 3, rel=0.05)
    assert all(contact[first + 2 :])  # it pushes on against the wall
    assert 1.3 < moves[first - 1].walked / UNITS_PER_M / (STEP_TICS / 35) < 1.6  # metres a second


def test_a_start_is_where_and_as_it_was_asked_for(arena: Arena) -> None:
    for angle in (0.0, 90.0, 200.0):
        arena.start(*PLACE[:2], angle)
        x, y, found = arena.place
        assert (x, y) == pytest.approx(PLACE[:2], abs=0.1)
        assert abs((found - angle + 180) % 360 - 180) < 0.1
    arena.start(*PLACE)
    first = arena.look().rgb
    arena.step(3)
    arena.start(*PLACE)
    assert np.mean(first != arena.look().rgb) < 0.02  # lights may flicker


def test_turning_on_the_spot_is_no_contact(arena: Arena) -> None:
    arena.start(*PLACE)
    moves = [arena.step(6) for _ in range(8)]
    assert not any(move.contact for move in moves)
    assert abs((moves[2].angle_deg - (PLACE[2] - 135) + 180) % 360 - 180) < 0.1
    assert abs((moves[-1].angle_deg - PLACE[2] + 180) % 360 - 180) < 0.1


def test_watching_the_frames_between_changes_no_step(arena: Arena) -> None:
    actions, seen = [0, 3, 0, 1, 6, 0, 0], list[np.ndarray]()
    arena.start(*PLACE)
    plain = [arena.step(action) for action in actions]
    arena.start(*PLACE)
    watched = [arena.step(action, watch=seen.append) for action in actions]
    assert watched == plain
    assert len(seen) == len(actions) * STEP_TICS // FRAME_TICS
    assert np.array_equal(seen[-1], arena.look().rgb)


def _ray(arena: Arena, column: int, side: int) -> float:
    """Return the distance along the line of sight of the nearest blocking line in a column of the picture."""
    x, y, angle = arena.place
    right = (column + 0.5) * 2 / side - 1
    ahead = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    ray = ahead + right * np.array([ahead[1], -ahead[0]])
    walls = arena.walls()
    begin, along = walls[:, :2] - (x, y), walls[:, 2:] - walls[:, :2]
    with np.errstate(divide="ignore", invalid="ignore"):
        across = ray[0] * along[:, 1] - ray[1] * along[:, 0]
        far = (begin[:, 0] * along[:, 1] - begin[:, 1] * along[:, 0]) / across
        where = (begin[:, 0] * ray[1] - begin[:, 1] * ray[0]) / across
    hit = (far > 0) & (where >= 0) & (where <= 1)
    return float(far[hit].min())
