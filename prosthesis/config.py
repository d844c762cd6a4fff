"""The hardware descriptions: a rig names its parts, each part is one YAML file under ``hardware_configs``.

A part is named by the file's stem (looked up in the shipped ``hardware_configs``) or by a path; a path beside the rig
wins, so a lab can keep its own parts next to its own rig.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, Field, PositiveFloat

from prosthesis.calibration.table import Calibration, load_calibration, nominal_calibration
from prosthesis.errors import ConfigError
from prosthesis.hops import BijectiveConfig, EncoderConfig, ModulatorConfig, RetinotopicConfig
from prosthesis.parts import ArrayConfig as ArrayConfig
from prosthesis.parts import Contact as Contact
from prosthesis.parts import GridLayout as GridLayout
from prosthesis.parts import Limit as Limit
from prosthesis.parts import Limits as Limits
from prosthesis.parts import LinkConfig as LinkConfig
from prosthesis.parts import PointsLayout as PointsLayout
from prosthesis.parts import RadioConfig as RadioConfig
from prosthesis.parts import StimulatorConfig as StimulatorConfig
from prosthesis.parts import Tier as Tier
from prosthesis.radio import MAX_TILES as MAX_TILES
from prosthesis.radio import best_tile_electrodes
from prosthesis.stimulator.addresses import check_address
from prosthesis.stimulator.profile import capabilities
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


class RigConfig(Strict):
    """One complete hardware description, as written in ``hardware_configs/rigs``.

    ``backend`` is the address of a stimulator on the bench that takes the place of implant and air, e.g.
    ``intan://127.0.0.1:5000`` (``prosthesis/stimulator/addresses.py``); null: the implant at the link's address.
    """

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
    backend: str | None = None


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
    if rig.config.backend is not None:
        try:
            check_address(rig.config.backend, capabilities(stimulator))
        except ConfigError as error:
            raise ConfigError(f"{rig.path}: {error}") from None
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
