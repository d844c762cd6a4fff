"""What is fixed before any walker is trained, and the same for every encoder: body, camera, maps, budget, blind walker.

Lengths are in Doom's map units; the walker is 56 of them high, taken here as 1.75 m, and 32 wide.
"""

from __future__ import annotations

from dataclasses import dataclass

UNITS_PER_M = 32.0
RADIUS, HEIGHT, STEP_UP = 16.0, 56.0, 24.0  # the engine's own body

CAMERA_DEG = 90.0  # field of the square that every encoder is given, both ways
FRAME_SIDE = 192

STEP_TICS = 12  # one decision every 12/35 s
FRAME_TICS = 3  # between frames for the encoder that needs a film: 11.7 a second
THRUST = 4  # walks 1.33 units a tic: 1.46 m/s
FRICTION = 0.90625  # the engine's, a tic


@dataclass(frozen=True, slots=True)
class Action:
    """Turn by ``turn_deg`` (right is positive) and then walk one step, or stand."""

    name: str
    turn_deg: float
    walks: bool


ACTIONS = (
    Action("straight", 0.0, True),
    Action("left", -15.0, True),
    Action("right", 15.0, True),
    Action("hard left", -35.0, True),
    Action("hard right", 35.0, True),
    Action("stop and left", -45.0, False),
    Action("stop and right", 45.0, False),
)
MIRRORED = (0, 2, 1, 4, 3, 6, 5)  # the same action in a mirrored world

# as in data/walks.py, but for map30: one tunnel, in which no start has room
HELD_OUT = ("map05", "map10", "map15", "map20", "map25")
AGENT_MAPS = tuple(f"map{k:02d}" for k in range(1, 20) if k % 5)  # walkers learn here
# the nearness encoder learns here: Freedoom 1 (no room for starts in e2m8 and e3m7, two left out for time) and what the
# walkers leave of Freedoom 2
ENCODER_MAPS = (
    *(f"e{e}m{m}" for e in range(1, 4) for m in range(1, 10) if (e, m) not in ((2, 8), (3, 7), (3, 8), (3, 9))),
    *(f"map{k}" for k in range(21, 30) if k % 5),
)
NEW_GROUND = 48.0  # side of the cells that count new ground: 1.5 m

LESSON_STARTS, LESSON_STEPS = 10, 60  # on each of the agents' maps
ENCODER_STEPS = 120  # of each walk on the encoder's maps, as many walks
NOISE = (0.0, 0.1, 0.25, 0.5)  # chance that a burst of random steps begins, by lesson: errors and their correction
TEST_STARTS, TEST_STEPS = 10, 100  # on each held-out map: 34 s, at most 50 m
SEEDS = (0, 1, 2)

# what a camera's exposure and gamma may do to brightness, drawn for each lesson or walk (log-uniform)
GAMMA, GAIN = (0.6, 1.6), (0.7, 1.3)

MAP_SIDE, COLUMNS = 32, 32  # task maps; directions in which the nearness encoder looks
NEAR, FAR = 28.0, 320.0  # units at which nearness is 1 and 0, logarithmic between
RGB_SIDE = 64  # what the nearness encoder is given

RIG, DROPOUT = "utah96", 0.2  # 96 electrodes, a fifth of them evoke nothing
SCHOOL_PATIENTS = tuple(range(100, 108))  # whose percepts a walker learns from
TEST_PATIENTS = (200, 201, 202)  # whose percepts it walks by: one for each seed

PICTURE_SIDE = 24  # the walker's retina, for percepts and for full vision
EPOCHS, BATCH, LEARNING_RATE = 10, 128, 3e-3
