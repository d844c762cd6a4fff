"""Processor ``taskmap`` version 1: one camera crop in, one square map of wanted brightness out."""

from __future__ import annotations

import numpy as np

from prosthesis.bundles.bundle import MANIFEST, Bundle
from prosthesis.errors import ConfigError
from prosthesis.messages import Frame, MachineCode, readonly
from prosthesis.protocols import Engine
from prosthesis.view import View, sample


class TaskMapEncoder:
    """Samples the view as the graph's one input u8[1, side, side, 3] and returns its one output f32[1, rows, columns].

    Stateless. A NaN in the map passes on: the guard turns it into silence. Raises ``ConfigError`` when the bundle's
    manifest does not describe such a graph.
    """

    def __init__(self, bundle: Bundle, engine: Engine, view: View) -> None:
        self._engine, self._view = engine, view
        self.shape = _map_shape(bundle)
        graph = bundle.manifest.graphs[0]
        self._input, self._output = graph.inputs[0].name, graph.outputs[0].name
        self._side = bundle.manifest.input_size[0]

    def encode(self, frame: Frame, now_ns: int) -> MachineCode:
        """Return the map of ``frame``, f32[rows * columns] row by row from the top; ``now_ns`` is not needed."""
        crop = sample(frame.rgb, self._view, self._side)
        task_map = self._engine.run({self._input: crop[None]})[self._output]
        return MachineCode(frame.seq, frame.t_ns, readonly(task_map, np.float32).reshape(-1), "map", self.shape)


def _map_shape(bundle: Bundle) -> tuple[int, int]:
    manifest, graph = bundle.manifest, bundle.manifest.graphs[0]
    side = manifest.input_size[0]
    as_described = (
        manifest.map_shape is not None
        and manifest.map_shape[0] == manifest.map_shape[1]
        and len(manifest.graphs) == 1
        and (manifest.colour_order, manifest.normalisation) == ("rgb", "in_graph")
        and [(tensor.shape, tensor.dtype) for tensor in graph.inputs] == [((1, side, side, 3), "uint8")]
        and [(tensor.shape, tensor.dtype) for tensor in graph.outputs] == [((1, *manifest.map_shape), "float32")]
    )
    if not as_described or manifest.map_shape is None:
        raise ConfigError(
            f"{bundle.folder / MANIFEST}: processor taskmap 1 runs one graph from uint8 [1, side, side, 3] "
            "to a square float32 [1, rows, columns]; describe such a graph or choose another processor"
        )
    return manifest.map_shape
