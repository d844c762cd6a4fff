"""FP16 by ONNX Runtime's own converter; inputs, outputs and the nodes in ``keep`` stay float32."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Set
from typing import Any

from onnxruntime.transformers.float16 import convert_float_to_float16


def halved(model: Any, keep: Set[str]) -> Any:
    """Return a copy of a prepared graph in float16 but for ``keep``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of every weight too small for float16: parity says whether it matters
        return convert_float_to_float16(copy.deepcopy(model), keep_io_types=True, node_block_list=sorted(keep))
