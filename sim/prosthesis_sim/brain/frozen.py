"""The brains that studies name: each the same for ever from its name and seed."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from prosthesis.config import load_rig
from prosthesis.errors import ConfigError
from prosthesis_sim.brain.gabor import Units
from prosthesis_sim.brain.it import It, grow_it
from prosthesis_sim.brain.population import SIDE, V1, grow
from prosthesis_sim.brain.published import draw_orientations, draw_tuning
from prosthesis_sim.electrodes import place
from prosthesis_sim.patient import load_world
from prosthesis_sim.screen import SpotSpread, sigma_mm
from prosthesis_sim.world import World

F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
NAMES = ("tuned600", "utah96", "nhp1024", "it")
TUNED, TUNED_DEG = 600, 2.0
COLUMN = 4  # chosen: units that an electrode's rate is the mean of
COLUMN_ORIENTATION_DEG, COLUMN_PLACE = 10.0, 0.25  # chosen: sd within a column, the second in widths of the field
FINEST = 0.7  # of the pixels' Nyquist frequency: nothing finer is drawn
SPONTANEOUS_HZ, MOST_HZ, MOST_LOG_SD = 4.0, 60.0, 0.4  # chosen: mean of an exponential; median and sd of a log-normal
VIEW_UA = 100.0  # the view is padded by twice the size of a phosphene at this current


def frozen_brain(name: str, seed: int) -> V1 | It:
    """Return the population ``name``; for arrays ``seed`` is the number of the rig's patient too.

    ``tuned600``: single V1 units all over a picture of 2 degrees. ``utah96``, ``nhp1024``: the rig's electrodes, the
    picture spanning what they cover. ``it``: 300 units that mind place less. Raises ``ConfigError`` for other names.

    >>> brain = frozen_brain("utah96", seed=0)
    >>> blank = np.zeros((1, 32, 32), np.float32)
    >>> bool(np.allclose(brain.rates_hz(blank), brain.spontaneous_hz))
    True
    """
    random = np.random.default_rng([seed, NAMES.index(name) if name in NAMES else 0])
    if name == "tuned600":
        x, y = random.random(TUNED), random.random(TUNED)
        return _v1(random, x, y, 1, TUNED_DEG, np.ones(TUNED), np.ones(TUNED, dtype=bool))
    if name in ("utah96", "nhp1024"):
        return _at_electrodes(random, patient_of(name, seed))
    if name == "it":
        return grow_it(random)
    raise ConfigError(f"no brain '{name}'; there are: {', '.join(NAMES)}")


def patient_of(rig_name: str, seed: int) -> World:
    """Return the rig's patient number ``seed``, whose sites ``frozen_brain(rig_name, seed)`` has."""
    rig = load_rig(rig_name, uncalibrated=True)
    return World(load_world(rig.config.world), place(rig.config.implant, rig.array), seed)


def _at_electrodes(random: np.random.Generator, world: World) -> V1:
    person, spread = world.person, world.config.spread
    if not isinstance(spread, SpotSpread):
        raise ConfigError(f"world '{world.config.name}': key 'spread': a brain needs spots on a cortex, not streaks")
    inside = person.inside
    size = sigma_mm(spread, np.full(len(inside), VIEW_UA)) / person.mm_per_deg
    low_x, high_x = _span(person.x_deg[inside], 2 * size[inside])
    low_y, high_y = _span(person.y_deg[inside], 2 * size[inside])
    field = max(high_x - low_x, high_y - low_y)
    x = 0.5 + (person.x_deg - (low_x + high_x) / 2) / field
    y = 0.5 + (person.y_deg - (low_y + high_y) / 2) / field
    x, y = np.where(inside, x, 0.5), np.where(inside, y, 0.5)
    # Keliris et al. 2019: fields grow as 0.16 + 0.08 eccentricity; De Valois' cells are taken as lying at a degree
    eccentricity = np.hypot(person.x_deg, person.y_deg)
    finer = np.minimum(1.0, 0.24 / (0.16 + 0.08 * eccentricity))
    return _v1(random, x, y, COLUMN, field, finer, inside)


def _span(centre: F64, pad: F64) -> tuple[float, float]:
    return float((centre - pad).min()), float((centre + pad).max())


def _v1(random: np.random.Generator, x: F64, y: F64, column: int, field_deg: float, finer: F64, active: Bool) -> V1:
    n = len(x)
    tuning = draw_tuning(random, np.repeat(finer, column), FINEST * SIDE / 2 / field_deg)
    across = tuning.across_cycles / tuning.frequency_cpd / field_deg
    along = tuning.along_cycles / tuning.frequency_cpd / field_deg
    orientation = np.repeat(draw_orientations(random, n), column)
    x_unit, y_unit = np.repeat(x, column), np.repeat(y, column)
    if column > 1:
        orientation = orientation + np.deg2rad(COLUMN_ORIENTATION_DEG) * random.standard_normal(n * column)
        x_unit = x_unit + COLUMN_PLACE * across * random.standard_normal(n * column)
        y_unit = y_unit + COLUMN_PLACE * across * random.standard_normal(n * column)
    units = Units(
        x_unit, y_unit, tuning.frequency_cpd * field_deg, orientation, 2 * math.pi * random.random(n * column),
        across, along, np.arange(n * column) % 2 == 1,
    )  # fmt: skip
    return grow(units, x, y, column, field_deg, tuning.share_beyond, draw_rates(random, n), active)


def draw_rates(random: np.random.Generator, n: int) -> tuple[F64, F64]:
    """Return spontaneous and highest rates f64[n] in Hz; the highest is at least 10 above the spontaneous."""
    spontaneous = SPONTANEOUS_HZ * -np.log1p(-random.random(n))
    most = MOST_HZ * np.exp(MOST_LOG_SD * random.standard_normal(n))
    return spontaneous, np.maximum(most, spontaneous + 10.0)
