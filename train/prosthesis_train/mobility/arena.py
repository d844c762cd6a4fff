"""One map of Freedoom as a place to walk in: where the walker is, what its camera sees, what it touched.

Light does not fall off with distance (see data/walks.py) and nothing else moves. A contact is exact: the engine's
positions against the step that the engine's own friction and thrust give in free space.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.images import imported
from prosthesis_train.mobility.protocol import (
    ACTIONS,
    CAMERA_DEG,
    FRAME_SIDE,
    FRAME_TICS,
    FRICTION,
    STEP_TICS,
    THRUST,
)

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

EVEN_LIGHT = "+r_visibility 10000"  # light falls off far beyond every map
TOUCH = 1.0  # units short of or beside the free step that make a contact
JUMP = 100.0  # units: a teleporter, not a step
# The engine's depth buffer, 8 bits, against rays cast at the map's own blocking lines (tests/integration/test_arena.py)
DEPTH_SCALE, DEPTH_OFFSET = 5.375, 6.5


@dataclass(frozen=True, slots=True)
class Sight:
    """What the camera sees: ``rgb`` u8[s,s,3], and ``depth`` f32[s,s], units along the line of sight, +-3."""

    rgb: U8
    depth: F32
    eye: float  # height above the walker's feet


@dataclass(frozen=True, slots=True)
class Moved:
    """One step: where it ended, how far it went (units), and whether something was touched."""

    x: float
    y: float
    angle_deg: float
    walked: float
    contact: bool


class Arena:
    """A walker in one map; ``close`` ends the engine."""

    def __init__(self, name: str, seed: int = 0, light: str = EVEN_LIGHT, lines: bool = False) -> None:
        doom = imported("vizdoom", "doom", "walking through Freedoom")
        self._home = tempfile.TemporaryDirectory()
        self._game = _game(doom, name, seed, light, lines, Path(self._home.name))
        self._settle()

    def start(self, x: float, y: float, angle_deg: float) -> None:
        """Begin anew at a place, in a map in which nothing has happened yet."""
        self._game.new_episode()
        self._settle()
        self._game.send_game_command(f"warp {x:.2f} {y:.2f}")
        self._game.make_action([0, 0, 0], 35)  # until the eyes are at their height again; before, it does not turn
        self._game.make_action([0, (self._state()[3] - angle_deg + 180) % 360 - 180, 0], 1)

    def look(self) -> Sight:
        """Return the square in the middle of the camera's image and its exact depth."""
        state = self._game.get_state()
        if state is None:
            raise ProsthesisError("the walker left the map; choose another start")
        depth = _square(state.depth_buffer).astype(np.float32) * DEPTH_SCALE + DEPTH_OFFSET
        _, _, z, *_, eye = self._state()
        return Sight(np.ascontiguousarray(_square(state.screen_buffer)), depth, eye - z)

    def step(self, action: int, use: bool = False, watch: Callable[[U8], None] | None = None) -> Moved:
        """Take one action; ``use`` also opens the door before the walker; ``watch`` gets the frames on the way."""
        chosen = ACTIONS[action]
        before = self._state()
        thrust = THRUST if chosen.walks else 0
        self._game.make_action([thrust, chosen.turn_deg, use], 1)
        self._go_on(thrust, watch)
        after = self._state() if not self.over else before
        moved = after[:2] - before[:2]
        free = free_step(before[4:6], after[3], thrust / 32)
        walked = float(np.hypot(*moved))
        fell = abs(after[2] - before[2]) > 1
        touched = float(np.hypot(*(moved - free))) > TOUCH and not fell and walked < JUMP
        contact = chosen.walks and not self.over and touched
        return Moved(float(after[0]), float(after[1]), float(after[3]), walked if walked < JUMP else 0.0, contact)

    def _go_on(self, thrust: int, watch: Callable[[U8], None] | None) -> None:
        """Walk the tics of a step after its first; frames are those of every ``FRAME_TICS``th tic."""
        done = 1
        while done < STEP_TICS and not self.over:
            tics = STEP_TICS - done if watch is None else FRAME_TICS - done % FRAME_TICS
            self._game.make_action([thrust, 0, False], tics)
            done += tics
            if watch is not None and not self.over:
                watch(np.ascontiguousarray(_square(self._game.get_state().screen_buffer)))

    @property
    def over(self) -> bool:
        """Whether the walker left the map (an exit)."""
        return bool(self._game.is_episode_finished())

    @property
    def place(self) -> tuple[float, float, float]:
        """x, y and the direction in degrees, counterclockwise from x."""
        x, y, _, angle, *_ = self._state()
        return float(x), float(y), float(angle)

    def walls(self) -> F64:
        """Return the map's blocking lines f64[n,4] (x1, y1, x2, y2); only with ``lines``."""
        state = self._game.get_state()
        return np.array([(e.x1, e.y1, e.x2, e.y2) for s in state.sectors for e in s.lines if e.is_blocking])

    def close(self) -> None:
        """End the engine."""
        self._game.close()
        self._home.cleanup()

    def _state(self) -> F64:
        return np.array([self._game.get_game_variable(v) for v in self._game.get_available_game_variables()])

    def _settle(self) -> None:
        field = 2 * math.degrees(math.atan(math.tan(math.radians(CAMERA_DEG / 2)) * 4 / 3))
        for command in ("god", f"fov {field:.3f}"):
            self._game.send_game_command(command)
        self._game.make_action([0, 0, 0], 1)


def _square(image: U8) -> U8:
    margin = (image.shape[1] - FRAME_SIDE) // 2
    return image[:, margin : margin + FRAME_SIDE]


def free_step(velocity: F64, angle_deg: float, thrust: float) -> F64:
    """Return where one step in free space ends (units from its start): the engine's thrust and friction, tic by tic."""
    push = thrust * np.array([math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))])
    moved, velocity = np.zeros(2), np.array(velocity, float)
    for _ in range(STEP_TICS):
        velocity = velocity + push
        moved = moved + velocity
        velocity = velocity * FRICTION
    return moved


def _game(doom: Any, name: str, seed: int, light: str, lines: bool, home: Path) -> Any:
    game = doom.DoomGame()
    wad = "freedoom1.wad" if name.startswith("e") else "freedoom2.wad"
    game.set_doom_game_path(str(Path(doom.__file__).parent / wad))
    game.set_doom_config_path(str(home / "settings.ini"))
    game.set_doom_map(name)
    game.set_screen_resolution(doom.ScreenResolution.RES_256X192)
    game.set_screen_format(doom.ScreenFormat.RGB24)
    for hide in (game.set_render_hud, game.set_render_weapon, game.set_render_crosshair, game.set_window_visible):
        hide(False)
    game.set_depth_buffer_enabled(True)
    game.set_sectors_info_enabled(lines)
    button, variable = doom.Button, doom.GameVariable
    game.set_available_buttons([button.MOVE_FORWARD_BACKWARD_DELTA, button.TURN_LEFT_RIGHT_DELTA, button.USE])
    place = [variable.POSITION_X, variable.POSITION_Y, variable.POSITION_Z, variable.ANGLE]
    game.set_available_game_variables([*place, variable.VELOCITY_X, variable.VELOCITY_Y, variable.CAMERA_POSITION_Z])
    game.add_game_args(f"{light} -nomonsters +sv_cheats 1")
    game.set_seed(seed)
    game.set_episode_timeout(0)
    here = Path.cwd()
    os.chdir(home)  # the engine writes where it stands
    try:
        game.init()
    finally:
        os.chdir(here)
    return game
