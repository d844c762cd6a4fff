"""The patients of a study: a simulated person of a rig's world, and the rig calibrated to them as the device would."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from prosthesis.config import Rig, load_rig
from prosthesis_sim.electrodes import place
from prosthesis_sim.patient import ScatterConfig, ScreenConfig, WorldConfig, load_world
from prosthesis_sim.world import World
from prosthesis_train.observers.measured import measured

# what is compared is sampled at a map's 32 or 64 cells; a world's own 256 pixels cost more than all hops together
SCREEN_PX = 64
# as in observers/percepts.py, so that both mean the same person by the same number; importing it would import torch
ANSWERS = 1_000_003


@lru_cache(maxsize=8)
def patient(rig_name: str, number: int, dropout: float | None) -> tuple[Rig, WorldConfig]:
    """Return the rig with the calibration that would have been measured of patient ``number``, and its world.

    ``dropout`` replaces the world's share of electrodes that evoke nothing. The world's screen shows all that the array
    covers in 64 x 64 pixels. Raises ``ConfigError`` when rig or world are wrong.
    """
    rig = load_rig(rig_name, uncalibrated=True)
    config = load_world(rig.config.world, rig.path.parent)
    if dropout is not None:
        scatter = ScatterConfig.model_validate(config.scatter.model_dump() | {"dropout": dropout})
        config = config.model_copy(update={"scatter": scatter})
    config = config.model_copy(update={"screen": ScreenConfig(width=SCREEN_PX, height=SCREEN_PX)})
    world = World(config, place(rig.config.implant, rig.array), number)
    return replace(rig, calibration=measured(rig, world, number + ANSWERS)), config
