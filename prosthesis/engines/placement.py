"""Where ONNX Runtime really runs each node: a GPU provider gives back what it cannot do, without a word."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt


@contextmanager
def profiled(options: Any) -> Iterator[None]:
    """Have sessions made with ``options`` note their nodes while this lasts, in a folder that goes with it."""
    with tempfile.TemporaryDirectory() as folder:
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "nodes")
        yield


def nodes_elsewhere(session: Any, wanted: str, zeros: dict[str, npt.NDArray[Any]] | None) -> dict[str, Counter[str]]:
    """Run once on ``zeros`` and return the kinds of node that other providers than ``wanted`` ran, by provider.

    Without ``zeros`` (a graph of free shapes) nothing is known and nothing returned.
    """
    if zeros is None:
        session.end_profiling()
        return {}
    session.run(None, zeros)
    events = json.loads(Path(session.end_profiling()).read_text())
    ran: dict[str, Counter[str]] = {}
    for event in events:
        told = event.get("args", {})
        if event.get("cat") == "Node" and "provider" in told and told["provider"] != wanted:
            ran.setdefault(told["provider"], Counter())[told.get("op_name", "?")] += 1
    return ran


def as_words(elsewhere: dict[str, Counter[str]]) -> str:
    """Return e.g. ``"2 nodes run on CPUExecutionProvider: Resize, TopK"``, empty when there are none."""
    return "; ".join(
        f"{sum(kinds.values())} node(s) run on {provider}: {', '.join(sorted(kinds))}"
        for provider, kinds in sorted(elsewhere.items())
    )


def zeros_for(inputs: dict[str, tuple[tuple[Any, ...], str]], kinds: dict[str, str]) -> dict[str, Any] | None:
    """Return an input of zeros by name, ``None`` when a shape is free or a kind is not among ``kinds``."""
    dtypes = {kind: dtype for dtype, kind in kinds.items()}
    made = {}
    for name, (shape, kind) in inputs.items():
        if kind not in dtypes or not all(isinstance(size, int) for size in shape):
            return None
        made[name] = np.zeros(shape, dtypes[kind])
    return made
