"""Processor ``latent`` version 1: one camera crop in, the latent code of a generator out."""

from __future__ import annotations

import numpy as np

from prosthesis.bundles.bundle import MANIFEST, Bundle
from prosthesis.errors import ConfigError
from prosthesis.messages import Frame, MachineCode, readonly
from prosthesis.protocols import Engine
from prosthesis.view import View, sample


class LatentEncoder:
    """Samples the view as the graph's one input u8[1, side, side, 3] and returns its one output f32[1, d].

    Stateless. A NaN in the code passes on: the guard turns it into silence. Raises ``ConfigError`` when the bundle's
    manifest does not describe such a graph first; what follows it (the generator) is for those who look at codes.
    """

    def __init__(self, bundle: Bundle, engine: Engine, view: View) -> None:
        self._engine, self._view = engine, view
        self.shape = (code_length(bundle),)
        graph = bundle.manifest.graphs[0]
        self._input, self._output = graph.inputs[0].name, graph.outputs[0].name
        self._side = bundle.manifest.input_size[0]

    def encode(self, frame: Frame, now_ns: int) -> MachineCode:
        """Return the code of ``frame``, f32[d]; ``now_ns`` is not needed."""
        crop = sample(frame.rgb, self._view, self._side)
        code = self._engine.run({self._input: crop[None]})[self._output]
        return MachineCode(frame.seq, frame.t_ns, readonly(code, np.float32).reshape(-1), "latent", self.shape)


def code_length(bundle: Bundle) -> int:
    """Return how many numbers a latent bundle's code has; ``ConfigError`` when it is no latent bundle."""
    manifest, graph = bundle.manifest, bundle.manifest.graphs[0]
    side = manifest.input_size[0]
    shape = graph.outputs[0].shape
    as_described = (
        (manifest.kind, manifest.colour_order, manifest.normalisation) == ("latent", "rgb", "in_graph")
        and [(tensor.shape, tensor.dtype) for tensor in graph.inputs] == [((1, side, side, 3), "uint8")]
        and len(graph.outputs) == 1
        and (len(shape), shape[0], graph.outputs[0].dtype) == (2, 1, "float32")
    )
    if not as_described:
        raise ConfigError(
            f"{bundle.folder / MANIFEST}: processor latent 1 runs a graph from uint8 [1, side, side, 3] "
            "to float32 [1, d]; describe such a graph, or choose an encoder of type 'map' for this model"
        )
    return shape[1]
