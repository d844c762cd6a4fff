"""Walks through the maps of Freedoom, rendered by ViZDoom without light diminishing; split by map.

Doom draws what is far darker: with that on, an encoder reads distance from brightness, which no camera gives it.
The game runs in a process of its own, for it writes into the working directory, and its frames are cached.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.images import U8, ImageSet, centre_square, imported, to_channels, to_side

MAPS = tuple(f"map{k:02d}" for k in range(1, 33))
HELD_OUT = MAPS[4::5]
FRAME_TICS = 8  # a new view about every quarter of a second
LIGHTS = "+r_visibility 10000 -nomonsters"  # the distance at which light falls off, far beyond every map


def walks(side: int, channels: int, train: int = 20_000, test: int = 5_000, seed: int = 0) -> ImageSet:
    """Return frames of walks, made once and then read from the user's cache folder.

    Raises ``MissingExtraError`` without ViZDoom and ``ProsthesisError`` when the game fails.
    """
    parts = {}
    for maps, n in ((tuple(m for m in MAPS if m not in HELD_OUT), train), (HELD_OUT, test)):
        each = -(-n // len(maps))
        # walked once for every size: the game is slow
        frames = np.concatenate([to_side(_cached(name, each, max(64, side), seed), side) for name in maps])
        parts[n] = frames[np.random.default_rng([seed, n]).permutation(len(frames))[:n]]
    return ImageSet(
        name="walks",
        train=to_channels(parts[train], channels),
        test=to_channels(parts[test], channels),
        train_labels=None,
        test_labels=None,
        classes=(),
        licence="BSD-3-Clause (Freedoom)",
        source=f"Freedoom 2 by ViZDoom, {len(MAPS) - len(HELD_OUT)} maps and {len(HELD_OUT)} held out",
    )


def _cached(name: str, frames: int, side: int, seed: int) -> U8:
    imported("vizdoom", "doom", "walks through Freedoom")
    key = f"{importlib.metadata.version('vizdoom')} {name} {frames} {side} {seed} {FRAME_TICS} {LIGHTS}"
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "prosthesis" / "walks"
    path = home / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"
    if not path.is_file():
        home.mkdir(parents=True, exist_ok=True)
        _walk_apart(name, frames, side, seed, path)
    return np.asarray(np.load(path, allow_pickle=False), np.uint8)


def _walk_apart(name: str, frames: int, side: int, seed: int, path: Path) -> None:
    """Walk in another process, in a folder that goes with it, and move the frames to ``path`` when all are there."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / "frames.npy"
        words = [sys.executable, "-m", __name__, name, str(frames), str(side), str(seed), str(made)]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
        if done.returncode or not made.is_file():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ProsthesisError(f"ViZDoom could not walk through {name}: {last}; try python -m vizdoom")
        made.replace(path)


def walk(name: str, frames: int, side: int, seed: int) -> U8:
    """Return ``frames`` views u8[frames,side,side,3] of a random walk through one map."""
    doom = imported("vizdoom", "doom", "walks through Freedoom")
    game, random = _game(doom, name, seed), np.random.default_rng([seed, MAPS.index(name)])
    game.send_game_command("god")  # or the views redden with every pool of slime
    before, turn = np.zeros(2), 0.0
    out: list[U8] = []
    while len(out) < frames:
        if game.is_episode_finished():
            game.new_episode()
            game.send_game_command("god")
        here = np.array([game.get_game_variable(v) for v in _position(doom)])
        stuck = float(np.hypot(*(here - before))) < 4
        turn = float(random.uniform(60, 180)) if stuck else 0.7 * turn + float(random.normal(0, 8))
        before = here
        # USE opens the doors it stands before
        game.make_action([not stuck, turn, stuck], 1)
        if not game.is_episode_finished():
            game.make_action([True, 0, False], FRAME_TICS - 1)
        state = game.get_state()
        if state is not None:
            small = cv2.resize(centre_square(state.screen_buffer), (side, side), interpolation=cv2.INTER_AREA)
            out.append(np.asarray(small, np.uint8))
    game.close()
    return np.stack(out)


def _game(doom: Any, name: str, seed: int) -> Any:
    game = doom.DoomGame()
    game.set_doom_game_path(str(Path(doom.__file__).parent / "freedoom2.wad"))
    game.set_doom_config_path("settings.ini")
    game.set_doom_map(name)
    game.set_screen_resolution(doom.ScreenResolution.RES_320X240)
    game.set_screen_format(doom.ScreenFormat.RGB24)
    for hide in (game.set_render_hud, game.set_render_weapon, game.set_render_crosshair, game.set_window_visible):
        hide(False)
    game.set_available_buttons([doom.Button.MOVE_FORWARD, doom.Button.TURN_LEFT_RIGHT_DELTA, doom.Button.USE])
    game.set_available_game_variables(_position(doom))
    game.add_game_args(LIGHTS)
    game.set_seed(seed)
    game.set_episode_timeout(0)
    game.init()
    return game


def _position(doom: Any) -> list[Any]:
    return [doom.GameVariable.POSITION_X, doom.GameVariable.POSITION_Y]


def main(arguments: Sequence[str] | None = None) -> None:
    """Walk through one map and save its frames."""
    parser = argparse.ArgumentParser()
    parser.add_argument("map", choices=MAPS)
    parser.add_argument("frames", type=int)
    parser.add_argument("side", type=int)
    parser.add_argument("seed", type=int)
    parser.add_argument("out", type=Path)
    asked = parser.parse_args(arguments)
    np.save(asked.out, walk(asked.map, asked.frames, asked.side, asked.seed))


if __name__ == "__main__":
    main()
