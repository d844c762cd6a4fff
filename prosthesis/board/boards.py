"""Boards as published: processors, memory, power modes, software, and the strings by which a board is known.

One YAML file a board under ``hardware_configs/boards``, one a JetPack under ``hardware_configs/jetpacks``. Every figure
names its source and how far it is to be trusted.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from prosthesis.config import find, names
from prosthesis.errors import ConfigError
from prosthesis.yamlfile import Strict, load_model

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
OLDEST_PYTHON = (3, 10)  # what the device package needs

# groups of figures that must each say where they are from
FIGURES = ("units", "clock", "operations", "memory", "bandwidth", "dla", "published", "modes", "idle", "identity")


class Identity(Strict):
    """How a board names itself: ``model`` and entries of ``compatible`` in ``/proc/device-tree``."""

    models: tuple[str, ...] = ()
    compatibles: tuple[str, ...] = ()


class Processor(Strict):
    """What computes: ``units`` are streaming multiprocessors of a GPU, cores of a CPU.

    ``operations`` of one unit in one clock, dense, a multiplication and an addition counted as two; a precision that is
    missing is one the board cannot run. ``tensor_cores`` says whether fp16 and int8 are those of tensor cores, and
    ``tf32_operations`` what these do of FP32, rounded to TF32 on the way in; null where they do not.
    """

    type: Literal["gpu", "cpu"]
    architecture: str
    compute_capability: str | None = None
    units: PositiveInt
    mhz: PositiveFloat
    operations: dict[Precision, PositiveInt]
    tensor_cores: bool = False
    tf32_operations: PositiveInt | None = None


class Memory(Strict):
    """``shared`` memory belongs to the CPU too, as on every Jetson. ``mhz`` is its clock at the full ``gb_per_s``."""

    gb: PositiveFloat
    kind: str
    gb_per_s: PositiveFloat
    mhz: PositiveFloat
    shared: bool


class Accelerator(Strict):
    """Deep-learning accelerators beside the GPU; ``operations`` of one in one clock in INT8, dense.

    The estimator does not use them.
    """

    count: PositiveInt
    mhz: PositiveFloat
    operations: PositiveInt


class Published(Strict):
    """The headline figure of the maker: ``value`` tera-operations a second in ``precision``.

    ``sparse`` figures count half of the operations twice; ``with_dla`` ones include the accelerators. ``operations`` of
    one unit in one clock, dense, where the headline is in a precision that the estimator does not know.
    """

    value: PositiveFloat
    precision: Literal["fp32", "fp16", "int8", "fp4"]
    sparse: bool
    with_dla: bool
    operations: PositiveInt | None = None


class Mode(Strict):
    """One power mode: its budget in watts (null: none), the units and clocks that it leaves."""

    budget_w: PositiveFloat | None
    units: PositiveInt
    mhz: PositiveFloat
    memory_mhz: PositiveFloat


class Evidence(Strict):
    """Where figures are from: ``high`` by the maker, ``medium`` measured or quoted by others, ``low`` neither."""

    figures: Annotated[tuple[str, ...], Field(min_length=1)]
    confidence: Literal["high", "medium", "low"]
    source: str


class BoardConfig(Strict):
    """A board, as written in ``hardware_configs/boards``."""

    name: str
    summary: str
    identity: Identity = Identity()
    processor: Processor
    memory: Memory
    dla: Accelerator | None = None
    published: Published | None = None
    idle_w: PositiveFloat | None = None
    modes: Annotated[dict[str, Mode], Field(min_length=1)]
    default_mode: str
    jetpacks: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...]

    @model_validator(mode="after")
    def _whole(self) -> BoardConfig:
        if self.default_mode not in self.modes:
            raise ValueError(f"'default_mode' is '{self.default_mode}', but there are: {', '.join(self.modes)}")
        for name, mode in self.modes.items():
            if mode.units > self.processor.units:
                raise ValueError(f"'modes.{name}.units': {mode.units}, but the processor has {self.processor.units}")
        told = [figure for item in self.evidence for figure in item.figures]
        if sorted(told) != sorted(set(told)) or set(told) != set(self.figures()):
            raise ValueError(f"'evidence' must name each of these once: {', '.join(self.figures())}")
        return self

    def figures(self) -> tuple[str, ...]:
        """Return the groups of figures that this board gives, each of which needs a source."""
        given = {
            "dla": self.dla is not None,
            "published": self.published is not None,
            "idle": self.idle_w is not None,
            "identity": self.identity != Identity(),
        }
        return tuple(name for name in FIGURES if given.get(name, True))

    def confidence(self, figure: str) -> str:
        """Return ``high``, ``medium`` or ``low`` for one group of figures."""
        return next(item.confidence for item in self.evidence if figure in item.figures)

    def mode(self, name: str | None) -> tuple[str, Mode]:
        """Return a power mode, by default the one the board usually runs in; ``ConfigError`` lists what there is."""
        name = name or self.default_mode
        if name not in self.modes:
            raise ConfigError(f"board '{self.name}' has no mode '{name}'; there are: {', '.join(self.modes)}")
        return name, self.modes[name]

    def peak(self, precision: Precision, mode: Mode) -> float:
        """Return dense operations a second; ``ConfigError`` when the board cannot run ``precision``."""
        if precision not in self.processor.operations:
            can = ", ".join(self.processor.operations)
            raise ConfigError(
                f"board '{self.name}' does not run {precision} ({self.processor.architecture}); use {can}"
            )
        return mode.units * mode.mhz * 1e6 * self.processor.operations[precision]

    def bytes_per_s(self, mode: Mode) -> float:
        """Return the memory's bandwidth in ``mode``: it follows the memory's clock."""
        return self.memory.gb_per_s * 1e9 * min(mode.memory_mhz / self.memory.mhz, 1.0)

    def headline_tops(self) -> float:
        """Return the published figure as units, clocks and operations give it, in tera-operations a second."""
        if self.published is None:
            raise ConfigError(f"board '{self.name}': key 'published' is null: there is no headline to check")
        told = self.published
        each = told.operations or self.processor.operations[_ours(told.precision)]
        total = self.processor.units * self.processor.mhz * each
        if told.with_dla and self.dla is not None:
            total += self.dla.count * self.dla.mhz * self.dla.operations
        return total * (2 if told.sparse else 1) / 1e6


class JetpackConfig(Strict):
    """A JetPack line and what it brings, as written in ``hardware_configs/jetpacks``."""

    name: str
    l4t: str
    ubuntu: str
    python: Annotated[str, Field(pattern=r"^3\.\d+$")]
    cuda: str
    tensorrt: str
    onnxruntime: str
    sources: Annotated[tuple[str, ...], Field(min_length=1)]

    @property
    def runs_the_device(self) -> bool:
        """Whether its Python is new enough for the device package; others can only be estimated."""
        major, minor = self.python.split(".")
        return (int(major), int(minor)) >= OLDEST_PYTHON


def load_board(name: str) -> BoardConfig:
    """Load a shipped board by name, or any by path; ``ConfigError`` names file, key and remedy, or lists the boards."""
    path = find("boards", name)
    board = load_model(BoardConfig, path)
    if board.name != path.stem:
        raise ConfigError(f"{path}: key 'name' is '{board.name}'; give it the file's name, '{path.stem}'")
    return board


def load_jetpack(name: str) -> JetpackConfig:
    """Load a JetPack line by name, such as ``6.2``."""
    return load_model(JetpackConfig, find("jetpacks", name))


def identify(model: str, compatibles: tuple[str, ...]) -> str | None:
    """Return the shipped board that these device-tree strings mean, ``None`` if none does.

    The compatible strings decide, as they name the module, the first of them most exactly; the model's line decides
    only where it is one board's.
    """
    boards = [load_board(name) for name in names("boards")]
    for entry in compatibles:
        for board in boards:
            if entry in board.identity.compatibles:
                return board.name
    named = [board.name for board in boards if model in board.identity.models]
    return named[0] if len(named) == 1 else None


def _ours(precision: str) -> Precision:
    for ours in PRECISIONS:
        if ours == precision:
            return ours
    raise ConfigError(f"key 'published': give 'operations' for {precision}")
