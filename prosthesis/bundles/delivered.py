"""What ``prosthesis export`` adds to a bundle's manifest: for which board, how exact, how good, how fast."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from prosthesis.yamlfile import Strict

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Calibrated(Strict):
    """The real inputs by which ranges were set: how many of each graph, of what, and the SHA-256 of them all."""

    inputs: PositiveInt
    sha256: Digest
    source: str


class Parity(Strict):
    """How far one output is from the graph's it was made of, on ``inputs`` real inputs.

    ``measure`` is ``largest`` (absolute difference, in the output's own unit) or ``relative`` (root mean square of the
    difference over that of the output about its mean); ``error`` of it may be ``tolerance``. ``largest`` is always the
    absolute difference.
    """

    file: str
    output: str
    measure: Literal["largest", "relative"]
    error: NonNegativeFloat
    tolerance: NonNegativeFloat
    largest: NonNegativeFloat
    inputs: PositiveInt

    @property
    def holds(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.error <= self.tolerance


class TaskScore(Strict):
    """The same trials through the graphs before and after: shares right in 0..1 of ``trials``; ``measure`` in words."""

    measure: str
    before: Annotated[float, Field(ge=0, le=1)]
    after: Annotated[float, Field(ge=0, le=1)]
    trials: PositiveInt

    @property
    def change_points(self) -> float:
        """The change in points of a hundred, negative for a loss."""
        return 100 * (self.after - self.before)


class Legality(Strict):
    """What TensorRT's own importer and builder say with no GPU; ``legal`` is null where nobody was asked."""

    checker: str
    legal: bool | None
    errors: tuple[str, ...] = ()


class Layers(Strict):
    """How many layers of one graph with weights run in the precision asked for, of how many."""

    file: str
    lowered: NonNegativeInt
    of: NonNegativeInt


class Estimated(Strict):
    """The estimate for the board: low, middle and high of each; energy is null where nothing is known of its power."""

    mode: str
    latency_ms: tuple[float, float, float]
    energy_mj: tuple[float, float, float] | None = None
    memory_mb: tuple[float, float, float]
    frames_per_s: tuple[float, float, float]
    fits: Literal["yes", "no", "perhaps"]


class Delivered(Strict):
    """One delivery. ``source_sha256`` are the graphs it was made of, in order; ``recipe`` is how precision was lowered.

    ``int8-cpu`` is for ONNX Runtime's CPU provider, ``int8-tensorrt`` for TensorRT: they are two different files.
    """

    board: str
    precision: Literal["fp32", "fp16", "int8"]
    recipe: Literal["fp32", "fp16", "int8-cpu", "int8-tensorrt"]
    source_sha256: tuple[Digest, ...]
    layers: tuple[Layers, ...]
    calibration: Calibrated | None = None
    parity: tuple[Parity, ...]
    task_score: TaskScore | None = None
    legality: Legality
    estimate: Estimated
    made_with: dict[str, str]
