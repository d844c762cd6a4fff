"""One simulated patient as a YAML file: map, tissue, phosphenes, scatter, and how the person answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from prosthesis.errors import ConfigError
from prosthesis.yamlfile import Strict, load_model
from prosthesis_sim.phosphenes import ChargeBrightness, PulseBrightness
from prosthesis_sim.retina import WatsonRetina
from prosthesis_sim.retinotopy import LinearRetina, WedgeDipole
from prosthesis_sim.tissue import ChargeLaw, PulseLaw, Train

WORLDS = Path(__file__).parent / "worlds"
NotNegative = Annotated[float, Field(ge=0)]


class CortexMap(Strict):
    """Retinotopy: ``b_deg`` absent is the monopole, ``alpha`` 1 the plain dipole; V2 and V3 where given."""

    type: Literal["wedge_dipole"]
    k_mm: PositiveFloat
    a_deg: PositiveFloat
    b_deg: PositiveFloat | None = None
    alpha: Annotated[float, Field(gt=0, le=1)] = 1.0
    alpha2: Annotated[float, Field(ge=0, le=1)] = 0.0
    alpha3: Annotated[float, Field(ge=0, le=1)] = 0.0

    def build(self) -> WedgeDipole:
        """Return the map."""
        return WedgeDipole(self.k_mm, self.a_deg, self.b_deg or float("inf"), self.alpha, self.alpha2, self.alpha3)


class RetinaMap(Strict):
    """The retina: flat where ``mm_per_deg`` says how large a degree is, else as curved as in Watson 2014."""

    type: Literal["retina"]
    mm_per_deg: PositiveFloat | None = None

    def build(self) -> LinearRetina | WatsonRetina:
        """Return the map."""
        return LinearRetina(self.mm_per_deg) if self.mm_per_deg else WatsonRetina()


class CurrentSpread(Strict):
    """Phosphenes grow with current: sigma is half of sqrt(I/K), in tissue."""

    type: Literal["current"]
    k_ua_per_mm2: PositiveFloat


class SaturatingSpread(Strict):
    """Phosphenes grow with current, then no more (Bosking et al. 2017): sigma is a quarter of what is active."""

    type: Literal["saturating"]
    diameter_mm: PositiveFloat
    half_ua: PositiveFloat
    slope_per_ua: PositiveFloat


class FixedSpread(Strict):
    """Phosphenes of one size in tissue: the scoreboard."""

    type: Literal["fixed"]
    sigma_mm: PositiveFloat


class AxonMapSpread(Strict):
    """Streaks along the nerve fibres (``axonmap.py``); with ``granley`` size and length follow the pulses."""

    type: Literal["axon_map"]
    rho_um: PositiveFloat
    lambda_um: PositiveFloat
    granley: bool = False


class ChargeTissue(Strict):
    """``tissue.ChargeLaw``, its brightness, and the spread of thresholds over electrodes (activation, uA s)."""

    type: Literal["charge"]
    rheobase_ua: NotNegative
    tau_act_s: PositiveFloat
    tau_trace_s: PositiveFloat
    kappa_hz: NotNegative
    slope_per_ua_s: PositiveFloat
    half_ua_s: PositiveFloat
    threshold_mean_ua_s: NotNegative
    threshold_sd_ua_s: NotNegative

    def build(self) -> ChargeLaw:
        """Return the law."""
        return ChargeLaw(self.rheobase_ua, self.tau_act_s, self.tau_trace_s, self.kappa_hz)

    def brightness(self) -> ChargeBrightness:
        """Return the brightness."""
        return ChargeBrightness(self.slope_per_ua_s, self.half_ua_s)


class Thresholds(Strict):
    """Mean and standard deviation over electrodes of the current just seen, for one train; they spread log-normally."""

    mean_ua: PositiveFloat
    sd_ua: NotNegative
    pulse_width_us: PositiveFloat
    rate_hz: PositiveFloat
    train_s: PositiveFloat


class CurrentBrightness(Strict):
    """Brightness is half at ``half`` times the threshold current and grows as its power ``exponent``."""

    half: PositiveFloat
    exponent: PositiveFloat


class PulseTissue(Strict):
    """``tissue.PulseLaw``, thresholds as they are published, and brightness."""

    type: Literal["pulse"]
    rheobase: Annotated[float, Field(ge=0, lt=1)]
    chronaxie_us: NotNegative
    exponent: PositiveFloat
    width_power: NotNegative
    tau_act_s: PositiveFloat
    tau_trace_s: PositiveFloat
    kappa_hz: NotNegative
    threshold: Thresholds
    brightness_of_current: CurrentBrightness

    def build(self) -> PulseLaw:
        """Return the law."""
        train = Train(self.threshold.pulse_width_us, self.threshold.rate_hz, self.threshold.train_s)
        constants = (self.rheobase, self.chronaxie_us, self.exponent, self.width_power)
        return PulseLaw(*constants, self.tau_act_s, self.tau_trace_s, self.kappa_hz, train)

    def brightness(self) -> PulseBrightness:
        """Return the brightness."""
        b = self.brightness_of_current
        return PulseBrightness(b.half, b.exponent, self.rheobase, 1 / self.exponent)


class ScatterConfig(Strict):
    """How this patient differs from the textbook.

    ``dropout`` is the share of electrodes that evoke nothing, in patches where ``dropout_patch_mm`` says so; places are
    shifted by ``position_mm`` (sd) on the tissue; ``impedance_sd`` is that of its log; ``elongation`` is a phosphene's
    long axis over its short one.
    """

    dropout: Annotated[float, Field(ge=0, lt=1)]
    position_mm: NotNegative
    dropout_patch_mm: NotNegative = 0.0
    impedance_sd: NotNegative = 0.0
    elongation: Annotated[float, Field(ge=1, le=20)] = 1.0


class DriftConfig(Strict):
    """Change over days of log threshold and log impedance: a signed trend, and a random step (sd) each day."""

    threshold_per_day: float = 0.0
    threshold_step_sd: NotNegative = 0.0
    impedance_per_day: float = 0.0
    impedance_step_sd: NotNegative = 0.0

    def of(self, trait: str) -> tuple[float, float]:
        """Return trend and step of ``threshold`` or ``impedance``."""
        if trait == "threshold":
            return self.threshold_per_day, self.threshold_step_sd
        return self.impedance_per_day, self.impedance_step_sd


class InteractionConfig(Strict):
    """How much of their current neighbours in the same raster slot add (``interaction.py``)."""

    strength: Annotated[float, Field(ge=0, le=1)] = 0.0
    per_mm2: PositiveFloat = 6.75


class GazeConfig(Strict):
    """Eyes that wander about the middle: an Ornstein-Uhlenbeck walk; phosphenes go with the eyes."""

    sd_deg: NotNegative = 0.0
    tau_s: PositiveFloat = 1.0


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


class SitesConfig(Strict):
    """The neurons at the electrodes' sites: a frozen population of ``prosthesis_sim.brain`` and its seed."""

    population: str
    seed: Annotated[int, Field(ge=0)] = 0


class WorldConfig(Strict):
    """One simulated patient; without ``sites`` every site does 100 spikes/s when driven to its maximum."""

    name: str
    summary: str
    retinotopy: Annotated[CortexMap | RetinaMap, Field(discriminator="type")]
    spread: Annotated[CurrentSpread | SaturatingSpread | FixedSpread | AxonMapSpread, Field(discriminator="type")]
    tissue: Annotated[ChargeTissue | PulseTissue, Field(discriminator="type")]
    scatter: ScatterConfig
    drift: DriftConfig = DriftConfig()
    interaction: InteractionConfig = InteractionConfig()
    gaze: GazeConfig = GazeConfig()
    screen: ScreenConfig
    participant: ParticipantConfig
    sites: SitesConfig | None = None


def load_world(name: str, beside: Path | None = None) -> WorldConfig:
    """Return a shipped world by name, or one by path (also ``beside`` the rig); ``ConfigError`` names what is wrong.

    >>> load_world("human_v1").tissue.type
    'pulse'
    """
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
