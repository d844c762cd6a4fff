"""Eight pixels at a time: one vector instruction where the processor has it, several where it has narrower ones.

numba leaves such short runs to scalar code: its loops must prove that arrays do not overlap, and start at 32 or more.
Nothing is checked here: arrays are flat f32, and eight entries from the given index on must be theirs. After a change
here, ``make clean``: numba keeps compiled functions that use these for as long as their own file is the same.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

LANES = 8
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_FLAGS = ("contract", "nnan", "ninf", "nsz")
# z P(z^2) / Q(z^2) is the normal distribution's integral from 0 to z to 7e-7 up to |z| = 4.5: least squares on
# Chebyshev nodes, reweighted
FAR = 4.5
ABOVE = (0.398944557, 0.0270967036, 0.00383737963, 3.3693912e-05)
BELOW = (1.0, 0.234620303, 0.0236729681, 0.00117425353)


@intrinsic  # type: ignore[untyped-decorator]
def add_scaled(_: Any, image: Any, at: Any, weights: Any, start: Any, scale: Any) -> Any:
    """Add ``scale`` times ``weights[start:start + 8]`` to ``image[at:at + 8]``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        image_type, _, weights_type, _, _ = signature.args
        target = _eight(context, builder, image_type, arguments[0], arguments[1])
        source = _eight(context, builder, weights_type, arguments[2], arguments[3])
        product = builder.fmul(builder.load(source, align=4), _alike(builder, arguments[4]), flags=_FLAGS)
        builder.store(builder.fadd(builder.load(target, align=4), product, flags=_FLAGS), target, align=4)
        return context.get_dummy_value()

    return types.void(image, types.intp, weights, types.intp, types.float32), emit


@intrinsic  # type: ignore[untyped-decorator]
def put_integrals(_: Any, weights: Any, start: Any, first: Any, step: Any, scale: Any) -> Any:
    """Put into ``weights[start + k]`` the integral of the normal density from z to z + ``step``, times ``scale``.

    z = ``first`` + (``start`` + k) ``step``, for k 0 to 7; error 1.4e-6, and nothing beyond 4.5.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target = _eight(context, builder, signature.args[0], arguments[0], arguments[1])
        begin = builder.sitofp(arguments[1], ir.FloatType())
        index = builder.fadd(_alike(builder, begin), ir.Constant(_VECTOR, [float(k) for k in range(LANES)]))
        step = _alike(builder, arguments[3])
        low = builder.fadd(builder.fmul(index, step, flags=_FLAGS), _alike(builder, arguments[2]), flags=_FLAGS)
        high = builder.fadd(low, step, flags=_FLAGS)
        between = builder.fsub(_normal(builder, high), _normal(builder, low), flags=_FLAGS)
        builder.store(builder.fmul(between, _alike(builder, arguments[4]), flags=_FLAGS), target, align=4)
        return context.get_dummy_value()

    return types.void(weights, types.intp, types.float32, types.float32, types.float32), emit


def _normal(builder: Any, z: Any) -> Any:
    """Emit the normal distribution's integral from 0 to each of ``z``."""
    far, back = _constant(FAR), _constant(-FAR)
    z = builder.select(builder.fcmp_ordered("<", z, far, flags=_FLAGS), z, far)
    z = builder.select(builder.fcmp_ordered(">", z, back, flags=_FLAGS), z, back)
    square = builder.fmul(z, z, flags=_FLAGS)
    above, below = _polynomial(builder, square, ABOVE), _polynomial(builder, square, BELOW)
    return builder.fdiv(builder.fmul(z, above, flags=_FLAGS), below, flags=_FLAGS)


def _polynomial(builder: Any, x: Any, coefficients: tuple[float, ...]) -> Any:
    """Emit the polynomial whose ``coefficients`` are given from the lowest on."""

    def longer(value: Any, coefficient: float) -> Any:
        return builder.fadd(builder.fmul(value, x, flags=_FLAGS), _constant(coefficient), flags=_FLAGS)

    *lower, highest = coefficients
    return reduce(longer, reversed(lower), _constant(highest))


def _constant(value: float) -> Any:
    return ir.Constant(_VECTOR, [value] * LANES)


def _alike(builder: Any, value: Any) -> Any:
    """Emit eight copies of one value."""
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.IntType(32)(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _eight(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Emit the address of eight entries of a contiguous array from ``index`` on."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())
