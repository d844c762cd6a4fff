"""How a rig describes hops 2 to 4: which encoder, which translator, and how pulses carry the activity."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from prosthesis.yamlfile import Strict

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class MapEncoderConfig(Strict):
    """An encoder that makes a task map over the visual field; ``model`` names a bundle folder."""

    type: Literal["map"]
    model: str
    engine: Literal["onnx", "null"] = "onnx"
    provider: Literal["cpu", "cuda", "tensorrt"] = "cpu"


class LatentEncoderConfig(Strict):
    """An encoder that makes a generator's latent code of what it sees; ``model`` names a bundle folder."""

    type: Literal["latent"]
    model: str
    engine: Literal["onnx", "null"] = "onnx"
    provider: Literal["cpu", "cuda", "tensorrt"] = "cpu"


class TextEncoderConfig(Strict):
    """Words in sight, read and presented letter by letter; ``model`` names a bundle of processor ``reading``.

    ``letters``: one letter after another, ``letters_per_s`` of them, dark for the share ``gap`` of each one's time
    and for ``word_pause_s`` after a word; each is shown at ``looks`` places in turn. ``words``: the same with up to
    ``letters_at_once`` side by side. ``scroll``: the word passes from right to left. ``fixed``: a window onto the
    line of text at the view's centre, as the camera sees it. ``glyphs`` is ``ordinary`` or the ``.npz`` of a
    learned set. Words less sure than ``confidence`` do not count; those still in sight come again after ``again_s``
    of silence, never if null.
    """

    type: Literal["text"]
    model: str = "reading"
    engine: Literal["onnx", "null"] = "onnx"
    provider: Literal["cpu", "cuda", "tensorrt"] = "cpu"
    mode: Literal["letters", "words", "scroll", "fixed"] = "letters"
    letters_per_s: Annotated[float, Field(gt=0, le=20)] = 2.0
    gap: Annotated[float, Field(ge=0, lt=1)] = 0.3
    word_pause_s: Annotated[float, Field(ge=0)] = 1.0
    looks: Annotated[int, Field(ge=1, le=4)] = 1
    letters_at_once: Annotated[int, Field(ge=2, le=8)] = 3
    glyphs: str = "ordinary"
    confidence: Fraction = 0.7
    again_s: PositiveFloat | None = 4.0


class FaceEncoderConfig(Strict):
    """The nearest person's pattern or face, and where they are; ``prosthesis faces`` enrols who is known.

    A face of cosine ``threshold`` or more to an enrolled person is theirs; one narrower than ``least_px`` in the frame
    says nothing. ``code`` is an ``.npz`` of patterns, without it the built-in ones are used.
    """

    type: Literal["face"]
    model: str = "faces"
    engine: Literal["onnx", "null"] = "onnx"
    provider: Literal["cpu", "cuda", "tensorrt"] = "cpu"
    mode: Literal["pattern", "face", "head"]
    threshold: Annotated[float, Field(ge=-1.0, le=1.0)]
    least_px: PositiveFloat
    code: str | None = None


# what an obstacle layer can be laid over: encoders of maps
TaskLayerConfig = MapEncoderConfig | TextEncoderConfig | FaceEncoderConfig


class StereoConfig(Strict):
    """Two rectified cameras side by side in one frame, ``baseline_m`` apart; ``field_deg`` is one eye's."""

    layout: Literal["side_by_side"]
    baseline_m: Annotated[float, Field(gt=0, le=1)]


class ObstacleEncoderConfig(Strict):
    """What one is about to walk into, brighter the sooner; ``model`` names a bundle of processor ``obstacle``.

    The alarm is given for what is in the way and reached in less than ``alarm_s``.
    """

    type: Literal["obstacle"]
    model: str = "objects"
    engine: Literal["onnx", "null"] = "onnx"
    provider: Literal["cpu", "cuda", "tensorrt"] = "cpu"
    alarm_s: Annotated[float, Field(gt=0, le=5)] = 2.0
    stereo: StereoConfig | None = None


class LayeredEncoderConfig(Strict):
    """A task's encoder with obstacles over it where they are ``show_from`` (0 to 1) or brighter, and their alarm."""

    type: Literal["layered"]
    task: Annotated[TaskLayerConfig, Field(discriminator="type")]
    obstacle: ObstacleEncoderConfig
    show_from: Fraction = 0.5

    @property
    def model(self) -> str:
        """The task's model, as ``engine`` and ``provider`` are the task's too."""
        return self.task.model

    @property
    def engine(self) -> Literal["onnx", "null"]:  # noqa: D102
        return self.task.engine

    @property
    def provider(self) -> Literal["cpu", "cuda", "tensorrt"]:  # noqa: D102
        return self.task.provider


EncoderConfig = (
    MapEncoderConfig
    | LatentEncoderConfig
    | TextEncoderConfig
    | FaceEncoderConfig
    | ObstacleEncoderConfig
    | LayeredEncoderConfig
)


class RetinotopicConfig(Strict):
    """Sample the task map at each electrode's phosphene."""

    type: Literal["retinotopic"]


class BijectiveConfig(Strict):
    """The rates that the sites would answer with, by a fitted code map; ``map`` names its folder."""

    type: Literal["bijective"]
    map: str


class ModulatorConfig(Strict):
    """Pulse parameters: what carries the activity (``modulate``), the rest fixed; and the raster.

    ``fixed_amplitude`` is the share of threshold..max used while the rate is modulated. ``solve`` says which
    calibrated model is inverted: each electrode's own curve, or all of them with the crosstalk between neighbours.
    """

    modulate: Literal["amplitude", "rate"]
    pulse_width_us: PositiveInt
    interphase_us: Annotated[int, Field(ge=0)]
    rate_hz: PositiveFloat
    raster_groups: Annotated[int, Field(ge=1, le=64)]
    raster_order: Literal["checkerboard", "rows", "columns"] = "checkerboard"
    fixed_amplitude: Fraction = 0.5
    solve: Literal["curves", "crosstalk"] = "curves"

    @model_validator(mode="after")
    def _solved_by_amplitude(self) -> ModulatorConfig:
        if self.solve == "crosstalk" and self.modulate != "amplitude":
            raise ValueError("'solve: crosstalk' finds amplitudes; set 'modulate: amplitude'")
        return self
