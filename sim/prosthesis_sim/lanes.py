"""Eight pixels at a time: one vector instruction where the processor has it, several where it has narrower ones.

numba leaves such short runs to scalar code: its loops must prove that arrays do not overlap, and start at 32 or more.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

LANES = 8
_VECTOR = ir.VectorType(ir.FloatType(), LANES)


@intrinsic  # type: ignore[untyped-decorator]
def add_scaled(_: Any, image: Any, at: Any, weights: Any, start: Any, scale: Any) -> Any:
    """Add ``scale`` times ``weights[start:start + 8]`` to ``image[at:at + 8]``, both flat f32; nothing is checked."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        image_type, _, weights_type, _, _ = signature.args
        target = _eight(context, builder, image_type, arguments[0], arguments[1])
        source = _eight(context, builder, weights_type, arguments[2], arguments[3])
        first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), arguments[4], ir.IntType(32)(0))
        scales = builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))
        product = builder.fmul(builder.load(source, align=4), scales, flags=["contract"])
        builder.store(builder.fadd(builder.load(target, align=4), product, flags=["contract"]), target, align=4)
        return context.get_dummy_value()

    return types.void(image, types.intp, weights, types.intp, types.float32), emit


def _eight(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Emit the address of eight entries of a contiguous array from ``index`` on."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())
