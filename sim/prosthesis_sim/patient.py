"""One simulated patient as a YAML file: map, tissue, phosphenes, scatter, and how the person answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from prosthesis.errors import ConfigError
from prosthesis.yamlfile import Strict, load_model
from prosthesis_sim.retinotopy import LinearRetina, WedgeDipole

WORLDS = Path(__file__).parent / "worlds"
NotNegative = Annotated[float, Field(ge=0)]


class CortexMap(Strict):
    """Retinotopy of V1: ``b_deg`` absent is the monopole, ``alpha`` 1 the plain dipole."""

    type: Literal["wedge_dipole"]
    k_mm: PositiveFloat
    a_deg: PositiveFloat
    b_deg: PositiveFloat | None = None
    alpha: Annotated[float, Field(gt=0, le=1)] = 1.0

    def build(self) -> WedgeDipole:
        """Return the map."""
        return WedgeDipole(self.k_mm, self.a_deg, self.b_deg or float("inf"), self.alpha)


class RetinaMap(Strict):
    """The retina, flat."""

    type: Literal["retina"]
    mm_per_deg: PositiveFloat

    def build(self) -> LinearRetina:
        """Return the map."""
        return LinearRetina(self.mm_per_deg)


class CurrentSpread(Strict):
    """Phosphenes grow with current: sigma is half of sqrt(I/K), in tissue."""

    type: Literal["current"]
    k_ua_per_mm2: PositiveFloat


class FixedSpread(Strict):
    """Phosphenes of one size in tissue: the scoreboard."""

    type: Literal["fixed"]
    sigma_mm: PositiveFloat


class TissueConfig(Strict):
    """The law of ``tissue.py``, brightness, and the spread of thresholds over electrodes (uA s)."""

    rheobase_ua: NotNegative
    tau_act_s: PositiveFloat
    tau_trace_s: PositiveFloat
    kappa_hz: NotNegative
    slope_per_ua_s: PositiveFloat
    half_ua_s: PositiveFloat
    threshold_mean_ua_s: NotNegative
    threshold_sd_ua_s: NotNegative


class ScatterConfig(Strict):
    """How this patient differs from the textbook: electrodes that evoke nothing, and shifted places."""

    dropout: Annotated[float, Field(ge=0, lt=1)]
    position_mm: NotNegative


class FieldPart(Strict):
    """A part of the visual field by its centre (x, y) and its full width and height."""

    centre_deg: tuple[float, float]
    extent_deg: tuple[PositiveFloat, PositiveFloat]


class ScreenConfig(Strict):
    """What a percept shows, and in how many pixels; without a ``part``, all that the array covers."""

    width: PositiveInt
    height: PositiveInt
    part: FieldPart | None = None


class ParticipantConfig(Strict):
    """The person's noise: of the criterion (sd of its log), lapses, false alarms, pointing and rating."""

    criterion_sd: NotNegative
    lapse: Annotated[float, Field(ge=0, lt=0.5)]
    false_alarm: Annotated[float, Field(ge=0, lt=0.5)]
    pointing_sd_deg: NotNegative
    pointing_sd_per_deg: NotNegative
    rating_sd: NotNegative


class WorldConfig(Strict):
    """One simulated patient."""

    name: str
    summary: str
    retinotopy: Annotated[CortexMap | RetinaMap, Field(discriminator="type")]
    spread: Annotated[CurrentSpread | FixedSpread, Field(discriminator="type")]
    tissue: TissueConfig
    scatter: ScatterConfig
    screen: ScreenConfig
    participant: ParticipantConfig


def load_world(name: str, beside: Path | None = None) -> WorldConfig:
    """Return a shipped world by name, or one by path (also ``beside`` the rig); ``ConfigError`` names what is wrong."""
    if name.endswith((".yaml", ".yml")):
        for path in ([beside / name] if beside else []) + [Path(name)]:
            if path.is_file():
                return load_model(WorldConfig, path)
        raise ConfigError(f"key 'world': no file '{name}'; check the path")
    path = WORLDS / f"{name}.yaml"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in WORLDS.glob("*.yaml")))
        raise ConfigError(f"key 'world': no world named '{name}'; there are: {there}")
    return load_model(WorldConfig, path)
