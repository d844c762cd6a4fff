"""The hardware descriptions: a rig names its parts, each part is one YAML file under ``hardware_configs``.

A part is named by the file's stem (looked up in the shipped ``hardware_configs``) or by a path; a path beside the rig
wins, so a lab can keep its own parts next to its own rig.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, Discriminator, Field, PositiveFloat, PositiveInt, Tag, model_validator

from prosthesis.calibration import Calibration, load_calibration, nominal_calibration
from prosthesis.errors import ConfigError
from prosthesis.hops import BijectiveConfig, EncoderConfig, ModulatorConfig, RetinotopicConfig
from prosthesis.radio import MAX_TILE_ELECTRODES, best_tile_electrodes
from prosthesis.radio import MAX_TILES as MAX_TILES
from prosthesis.stimulator.profile import CommandConfig
from prosthesis.yamlfile import Strict, load_model

RATE_BITS = 16  # amplitudes have the DAC's bits, rates need their own


class CameraConfig(Strict):
    """Where frames come from: a URI as in ``prosthesis/cameras/__init__.py``; ``field_deg`` is (width, height)."""

    source: str
    width: Annotated[int, Field(ge=16, le=7680)]
    height: Annotated[int, Field(ge=16, le=4320)]
    fps: Annotated[float, Field(gt=0, le=1000)]
    field_deg: tuple[Annotated[float, Field(gt=0, lt=180)], Annotated[float, Field(gt=0, lt=180)]]


class ViewConfig(Strict):
    """Which part of the camera's field is laid onto the phosphenes' field.

    ``fit`` compresses the crop to the array's coverage, ``true_scale`` shows what is really in those directions.
    """

    mode: Literal["fit", "true_scale"]
    crop_deg: tuple[PositiveFloat, PositiveFloat] | None = None
    centre_deg: tuple[float, float] = (0.0, 0.0)


class ArrayPlacement(Strict):
    """Where one array sits: its centre on the flattened tissue in mm, and its rotation.

    ``depth_mm`` is how deep its shallowest contact lies, where that differs from the array's own depth.
    """

    x_mm: float
    y_mm: float
    rotation_deg: float = 0.0
    depth_mm: Annotated[float, Field(ge=0)] | None = None


class ImplantChoice(Strict):
    """An array type, placed once or many times in one hemisphere (or eye)."""

    array: str
    hemisphere: Literal["left", "right"]
    placements: Annotated[tuple[ArrayPlacement, ...], Field(min_length=1)]


class Limit(Strict):
    """One limit, and who says so."""

    value: PositiveFloat
    source: str


class Tier(Strict):
    """The limits of one tier; a missing one is not checked in this tier.

    ``net_current_na`` is what imbalance between a pulse's phases may leave, ``array_charge_nc_per_s`` and
    ``session_charge_uc`` hold for all electrodes together, ``compliance_share`` is a share of the compliance voltage.
    """

    amplitude_ua: Limit | None = None
    charge_per_phase_nc: Limit | None = None
    charge_density_uc_per_cm2: Limit | None = None
    shannon_k: Limit | None = None
    compliance_share: Limit | None = None
    slot_current_ua: Limit | None = None
    total_current_ua: Limit | None = None
    simultaneous: Limit | None = None
    rate_hz: Limit | None = None
    net_current_na: Limit | None = None
    average_charge_nc_per_s: Limit | None = None
    array_charge_nc_per_s: Limit | None = None
    session_charge_uc: Limit | None = None


class Limits(Strict):
    """What is enforced (``hard``) and what is only reported (``advisory``)."""

    hard: Tier = Tier()
    advisory: Tier = Tier()


class GridLayout(Strict):
    """Rows of contacts, numbered row by row from the upper left; ``omit`` lists grid places without a contact.

    ``stagger_um`` shifts every other row, for hexagonal layouts.
    """

    type: Literal["grid"]
    rows: PositiveInt
    columns: PositiveInt
    pitch_um: tuple[PositiveFloat, PositiveFloat]
    stagger_um: float = 0.0
    omit: tuple[int, ...] = ()


class PointsLayout(Strict):
    """Contacts at given (x, y) in um from the array's centre, numbered as listed."""

    type: Literal["points"]
    xy_um: Annotated[tuple[tuple[float, float], ...], Field(min_length=1)]


def _one_or_many(value: object) -> str:
    return "list" if isinstance(value, (list, tuple)) else "number"


# tagged, so that an error speaks of what was written and not of both
PerContact = Discriminator(_one_or_many)
NotNegative = Annotated[float, Field(ge=0)]


class Contact(Strict):
    """The contacts' kind; ``macro`` ones follow Shannon's law, ``micro`` do not (Cogan 2016).

    Area and depth (from the tissue's surface) are one number for all contacts, or one each.
    """

    scale: Literal["micro", "macro"]
    material: str
    area_um2: Annotated[
        Annotated[PositiveFloat, Tag("number")] | Annotated[tuple[PositiveFloat, ...], Tag("list")], PerContact
    ]
    depth_um: Annotated[
        Annotated[NotNegative, Tag("number")] | Annotated[tuple[NotNegative, ...], Tag("list")], PerContact
    ]
    impedance_kohm: PositiveFloat


class ArrayConfig(Strict):
    """An electrode array as published: layout, contact, and the charge limits that go with them."""

    name: str
    summary: str
    sources: tuple[str, ...]
    layout: Annotated[GridLayout | PointsLayout, Field(discriminator="type")]
    contact: Contact
    limits: Limits

    @property
    def contacts(self) -> int:
        """The number of electrodes of one array."""
        if isinstance(self.layout, GridLayout):
            return self.layout.rows * self.layout.columns - len(self.layout.omit)
        return len(self.layout.xy_um)

    @property
    def areas_um2(self) -> tuple[float, ...]:
        """Each contact's area."""
        return self._each(self.contact.area_um2)

    @property
    def depths_um(self) -> tuple[float, ...]:
        """Each contact's depth."""
        return self._each(self.contact.depth_um)

    def _each(self, value: float | tuple[float, ...]) -> tuple[float, ...]:
        return value if isinstance(value, tuple) else (value,) * self.contacts

    @model_validator(mode="after")
    def _one_value_for_each_contact(self) -> ArrayConfig:
        for name, values in (("area_um2", self.areas_um2), ("depth_um", self.depths_um)):
            if len(values) != self.contacts:
                raise ValueError(f"'contact.{name}' has {len(values)} values for {self.contacts} contacts")
        return self


class StimulatorConfig(Strict):
    """A stimulator's capabilities and electrical limits; currents on the wire are ``code * lsb_na``.

    ``phase_mismatch`` is the largest share of a phase's charge by which its two phases differ (chosen: 1 %).
    """

    name: str
    summary: str
    sources: tuple[str, ...]
    channels: PositiveInt
    dac_bits: Annotated[int, Field(ge=4, le=16)]
    lsb_na: PositiveInt
    pulse_width_us: tuple[PositiveInt, PositiveInt]
    interphase_us: tuple[Annotated[int, Field(ge=0)], PositiveInt]
    recovery_us: Annotated[int, Field(ge=0)]
    rate_hz: tuple[PositiveFloat, PositiveFloat]
    compliance_v: PositiveFloat
    phase_mismatch: Annotated[float, Field(ge=0, le=1)] = 0.01
    limits: Limits
    commands: CommandConfig = CommandConfig()

    @property
    def full_scale_na(self) -> int:
        """The largest current that the DAC can make."""
        return ((1 << self.dac_bits) - 1) * self.lsb_na


class RadioConfig(Strict):
    """What the air does to packets; ``rate_kbps`` null means no serialisation delay.

    Loss follows a Gilbert-Elliott chain: mean ``loss``, mean burst length ``mean_burst`` packets. ``bit_error`` is the
    share of wrong bits; ``parity`` bytes of a Reed-Solomon code in each block of 255 correct half as many wrong bytes.
    ``jitter_ms`` is the mean of an exponential delay on top of ``delay_ms``. ``duplicate`` and ``reorder`` are shares
    of packets: those that come twice, and those that come ``reorder_ms`` late, after others. Outages begin
    ``outage_every_s`` apart on average (null: never) and last from ``outage_s[0]`` to ``outage_s[1]``.
    """

    delay_ms: Annotated[float, Field(ge=0)] = 0.0
    jitter_ms: Annotated[float, Field(ge=0)] = 0.0
    rate_kbps: PositiveFloat | None = None
    loss: Annotated[float, Field(ge=0, lt=1)] = 0.0
    mean_burst: Annotated[float, Field(ge=1)] = 1.0
    bit_error: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    parity: Annotated[int, Field(ge=0, le=128, multiple_of=2)] = 0
    duplicate: Annotated[float, Field(ge=0, lt=1)] = 0.0
    reorder: Annotated[float, Field(ge=0, lt=1)] = 0.0
    reorder_ms: Annotated[float, Field(ge=0)] = 5.0
    outage_every_s: PositiveFloat | None = None
    outage_s: tuple[PositiveFloat, PositiveFloat] = (0.2, 2.0)


class LinkConfig(Strict):
    """How the implant is reached. ``port`` is the first of six: stimulation, commands, uplink, both taps, keypad.

    ``ttl_ms`` is how long a pattern may be obeyed after capture; ``tile_electrodes`` how many share one sealed packet
    (0: as many as carry most over this air; ``load_rig`` puts the number in its place).
    ``air_ms`` is the longest that one pattern may occupy the air (null: as long as it takes).
    Any ``sealing`` but ``aead`` is for a client in the making and for showing attacks: its sockets are plain, and it
    works on one machine only.
    """

    name: str
    summary: str
    host: str
    port: Annotated[int, Field(ge=1024, le=65530)]
    ttl_ms: Annotated[int, Field(ge=10, le=1000)]
    tile_electrodes: Annotated[int, Field(ge=0, le=MAX_TILE_ELECTRODES, multiple_of=8)]
    air_ms: PositiveFloat | None = None
    sealing: Literal["aead", "hmac", "crc", "none"] = "aead"
    radio: RadioConfig = RadioConfig()


class RigConfig(Strict):
    """One complete hardware description, as written in ``hardware_configs/rigs``."""

    name: str
    summary: str
    camera: CameraConfig
    view: ViewConfig
    encoder: Annotated[EncoderConfig, Field(discriminator="type")]
    translator: Annotated[RetinotopicConfig | BijectiveConfig, Field(discriminator="type")]
    modulator: ModulatorConfig
    stimulator: str
    implant: ImplantChoice
    link: str
    calibration: str
    world: str


class TaskConfig(Strict):
    """What the device looks for, as written in ``hardware_configs/tasks``: the encoder that takes the rig's place."""

    name: str
    summary: str
    encoder: Annotated[EncoderConfig, Field(discriminator="type")]


@dataclass(frozen=True, slots=True)
class Rig:
    """A rig with every part it names loaded and checked against the others."""

    path: Path
    config: RigConfig
    array: ArrayConfig
    stimulator: StimulatorConfig
    link: LinkConfig
    calibration: Calibration

    @property
    def electrodes(self) -> int:
        """The number of electrodes, over all arrays."""
        return self.array.contacts * len(self.config.implant.placements)

    @property
    def areas_um2(self) -> tuple[float, ...]:
        """Each electrode's contact area."""
        return self.array.areas_um2 * len(self.config.implant.placements)


def config_root() -> Path:
    """Return the shipped ``hardware_configs``: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "hardware_configs"
    return inside if inside.is_dir() else package.parent / "hardware_configs"


def names(kind: str) -> list[str]:
    """Return the stems shipped under ``hardware_configs/kind``, sorted."""
    return sorted(path.stem for path in (config_root() / kind).glob("*.yaml"))


def find(kind: str, name: str, beside: Path | None = None, asked_by: str = "") -> Path:
    """Return the file that ``name`` (a path or a shipped stem) means; ``ConfigError`` lists what there is."""
    where = f"{asked_by}: " if asked_by else ""
    if name.endswith((".yaml", ".yml")):
        for path in ([beside / name] if beside else []) + [Path(name)]:
            if path.is_file():
                return path
        raise ConfigError(f"{where}no file '{name}'; check the path")
    path = config_root() / kind / f"{name}.yaml"
    if path.is_file():
        return path
    raise ConfigError(f"{where}no {kind.rstrip('s')} named '{name}'; there are: {', '.join(names(kind)) or 'none'}")


PartModel = TypeVar("PartModel", bound=BaseModel)


def load_rig(name: str, calibration: Path | None = None, *, uncalibrated: bool = False, air: str | None = None) -> Rig:
    """Load a rig by shipped name or path, and all its parts; ``calibration`` and ``air`` (a link) replace its own.

    ``uncalibrated`` takes nominal values instead, for those who are about to measure. Raises ``ConfigError`` naming
    file, key and remedy.

    >>> rig = load_rig("utah96")
    >>> rig.electrodes, rig.config.encoder.model, rig.config.modulator.pulse_width_us
    (96, 'luminance-32', 170)
    """
    path = find("rigs", name)
    config = load_model(RigConfig, path)

    def part(model: type[PartModel], kind: str, key: str, part_name: str) -> PartModel:
        return load_model(model, find(kind, part_name, path.parent, f"{path}: key '{key}'"))

    array = part(ArrayConfig, "implants", "implant.array", config.implant.array)
    stimulator = part(StimulatorConfig, "stimulators", "stimulator", config.stimulator)
    link = part(LinkConfig, "links", "link", air or config.link)
    if uncalibrated:
        electrodes = array.contacts * len(config.implant.placements)
        full_scale_ua = stimulator.full_scale_na / 1000
        calibration_path = path
        patient = nominal_calibration(config.name, electrodes, full_scale_ua, array.contact.impedance_kohm)
    else:
        calibration_path = calibration or find(
            "calibrations", config.calibration, path.parent, f"{path}: key 'calibration'"
        )
        patient = load_calibration(calibration_path)
    rig = Rig(path, config, array, stimulator, link, patient)
    if not link.tile_electrodes:
        bits = RATE_BITS if config.modulator.modulate == "rate" else stimulator.dac_bits
        tile = best_tile_electrodes(rig.electrodes, bits, link.radio)
        rig = replace(rig, link=link.model_copy(update={"tile_electrodes": tile}))
    _check(rig, calibration_path)
    return rig


def _check(rig: Rig, calibration_path: Path) -> None:
    """Check the parts against each other; ``ConfigError`` on the first that cannot work together."""
    modulator, stimulator = rig.config.modulator, rig.stimulator
    for key, unit in (("pulse_width_us", "us"), ("interphase_us", "us"), ("rate_hz", "Hz")):
        value, (low, high) = getattr(modulator, key), getattr(stimulator, key)
        if not low <= value <= high:
            raise ConfigError(
                f"{rig.path}: key 'modulator.{key}': {value} {unit}, "
                f"but stimulator '{stimulator.name}' takes {low} to {high} {unit}"
            )
    sweep_us = modulator.raster_groups * slot_us(rig)
    if sweep_us > 1e6 / modulator.rate_hz:
        raise ConfigError(
            f"{rig.path}: key 'modulator.raster_groups': {modulator.raster_groups} slots of {slot_us(rig)} us do not "
            f"fit one period at {modulator.rate_hz} Hz ({1e6 / modulator.rate_hz:.0f} us); use fewer groups"
        )
    if rig.electrodes > stimulator.channels:
        raise ConfigError(
            f"{rig.path}: key 'stimulator': '{stimulator.name}' has {stimulator.channels} channels for "
            f"{rig.electrodes} electrodes; choose a larger stimulator"
        )
    if rig.calibration.electrodes != rig.electrodes:
        raise ConfigError(
            f"{calibration_path}: {rig.calibration.electrodes} electrodes, but rig '{rig.config.name}' has "
            f"{rig.electrodes}; make one with 'prosthesis calibrate {rig.config.name}'"
        )
    tiles = -(-rig.electrodes // rig.link.tile_electrodes)
    if tiles > MAX_TILES:
        raise ConfigError(
            f"{rig.path}: key 'link': {rig.electrodes} electrodes in tiles of {rig.link.tile_electrodes} are {tiles} "
            f"tiles, at most {MAX_TILES} fit a frame; raise tile_electrodes"
        )
    if rig.link.ttl_ms < 2000.0 / rig.config.camera.fps:
        raise ConfigError(
            f"{rig.path}: key 'link': ttl_ms {rig.link.ttl_ms} is shorter than two frames at "
            f"{rig.config.camera.fps} fps; raise ttl_ms or the frame rate"
        )


def slot_us(rig: Rig) -> int:
    """Return the length of one raster slot: both phases, the gap between and the recovery after them."""
    return 2 * rig.config.modulator.pulse_width_us + rig.config.modulator.interphase_us + rig.stimulator.recovery_us
