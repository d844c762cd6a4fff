"""Layers as a runtime executes them: one row a kernel, after fusion, with its operations and the values it moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["matrix", "depthwise", "move"]
Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Layer:
    """One kernel. ``operations`` counts a multiplication and an addition as two.

    ``weights``, ``reads`` and ``writes`` are counts of values, not bytes: the precision decides those. ``kind`` says
    what does the work: ``matrix`` runs on tensor cores where there are some, ``depthwise`` does not, ``move`` computes
    next to nothing. ``rows`` and ``columns`` are those of a matrix layer's result: places (or vectors) by channels.
    ``winograd`` layers are 3x3 convolutions of stride 1, which can be done with fewer multiplications.
    """

    name: str
    kind: Kind
    operations: float
    weights: int
    reads: int
    writes: int
    rows: int = 0
    columns: int = 0
    winograd: bool = False


@dataclass(slots=True)
class Sheet:
    """Writes down a network layer by layer; every method takes and returns (channels, height, width)."""

    rows: list[Layer] = field(default_factory=list)
    gated: bool = False

    def conv(
        self,
        at: Shape,
        channels: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        residual: bool = False,
        gated: bool | None = None,
    ) -> Shape:
        """Add a convolution with bias, normalisation and activation; ``residual`` adds another tensor to its output.

        ``gated`` activations (SiLU, hard swish: a product with a sigmoid) are kernels of their own, others are not.
        """
        c, h, w = at
        out = (channels, -(-h // stride), -(-w // stride))
        weights = channels * (c // groups) * kernel * kernel
        size = _size(out)
        depthwise = groups == c and groups > 1
        apart = self.gated if gated is None else gated
        other = size if residual else 0
        self.rows.append(
            Layer(
                f"conv {kernel}x{kernel} {c} to {channels} at {out[1]}x{out[2]}",
                "depthwise" if depthwise else "matrix",
                2.0 * weights * out[1] * out[2],
                weights + channels,
                _size(at) + (0 if apart else other),
                size,
                out[1] * out[2],
                channels,
                kernel == 3 and stride == 1 and groups == 1,
            )
        )
        if apart:
            self.move(f"activation {channels} at {out[1]}x{out[2]}", size + other, size)
        return out

    def linear(self, rows: int, width: int, out: int, *, residual: bool = False) -> None:
        """Add a dense layer on ``rows`` vectors."""
        weights = width * out
        reads = rows * width + (rows * out if residual else 0)
        name = f"linear {width} to {out} on {rows}"
        self.rows.append(Layer(name, "matrix", 2.0 * rows * weights, weights + out, reads, rows * out, rows, out))

    def product(self, batch: int, rows: int, inner: int, columns: int) -> None:
        """Add ``batch`` products of two activations, as in attention."""
        operations = 2.0 * batch * rows * inner * columns
        reads, writes = batch * inner * (rows + columns), batch * rows * columns
        name = f"product {rows}x{inner}x{columns}"
        self.rows.append(Layer(name, "matrix", operations, 0, reads, writes, batch * rows, columns))

    def move(self, name: str, reads: int, writes: int) -> None:
        """Add whatever reads and writes and hardly computes: pooling, resizing, softmax, transposition."""
        self.rows.append(Layer(name, "move", float(reads), 0, reads, writes))

    def pool(self, at: Shape, stride: int = 1) -> Shape:
        """Add a pooling layer."""
        out = (at[0], -(-at[1] // stride), -(-at[2] // stride))
        self.move(f"pool {at[0]} at {out[1]}x{out[2]}", _size(at), _size(out))
        return out

    def mean(self, at: Shape) -> Shape:
        """Add the mean over the picture."""
        self.move(f"mean {at[0]}", _size(at), at[0])
        return (at[0], 1, 1)

    def up(self, at: Shape) -> Shape:
        """Add a resizing to twice the height and width."""
        out = (at[0], 2 * at[1], 2 * at[2])
        self.move(f"resize {at[0]} to {out[1]}x{out[2]}", _size(at), _size(out))
        return out


def total_operations(rows: list[Layer]) -> float:
    """Return the operations of matrix and depthwise layers, a multiplication and an addition being two."""
    return sum(row.operations for row in rows if row.kind != "move")


def total_weights(rows: list[Layer]) -> int:
    """Return how many weights there are, biases too."""
    return sum(row.weights for row in rows)


def _size(at: Shape) -> int:
    return at[0] * at[1] * at[2]
