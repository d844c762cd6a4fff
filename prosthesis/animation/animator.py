"""Processor ``animation`` version 1: keypoints of pictures, and a source picture painted as driving keypoints move it.

First order motion model (Siarohin et al. 2019). The bundle's first graph finds keypoints with their Jacobians, the
second takes a source picture and both pictures' keypoints, and also tells where everything comes from and what of the
source is seen. Places are in -1..1 of the picture, x to the right, y down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prosthesis.bundles.bundle import MANIFEST, Bundle, load_bundle
from prosthesis.engines import open_engine
from prosthesis.errors import ConfigError, ProsthesisError
from prosthesis.messages import F32, U8
from prosthesis.protocols import Engine

MODEL = "animation64"
GRAPHS = (
    (("picture",), ("points", "jacobians")),
    (("picture", "points", "jacobians", "driving_points", "driving_jacobians"), ("made", "flow", "visible")),
)
SINGULAR = 1e-4  # determinant of a Jacobian below which it says nothing of how to turn


@dataclass(frozen=True, slots=True)
class Points:
    """Keypoints f32[k,2] of one picture and their Jacobians f32[k,2,2]."""

    at: F32
    jacobian: F32


@dataclass(frozen=True, slots=True)
class Made:
    """A painted picture u8[side,side,3], where its places come from f32[h,w,2], how much of the source shows f32[h,w].

    ``visible`` is 1 where the source's own pixels serve and 0 where they are hidden there and had to be made up.
    """

    picture: U8
    flow: F32
    visible: F32


class Animator:
    """Runs the two graphs of a bundle; ``side`` is that of its pictures in pixels."""

    def __init__(self, bundle: Bundle, seeing: Engine, painting: Engine) -> None:
        self.side = _side(bundle)
        self._seeing, self._painting = seeing, painting

    def points(self, rgb: U8) -> Points:
        """Return the keypoints of u8[side,side,3]; ``ProsthesisError`` when it has another size."""
        self._check(rgb)
        found = self._seeing.run({"picture": rgb[None]})
        return Points(found["points"][0], found["jacobians"][0])

    def make(self, source: U8, of_source: Points, of_driving: Points) -> Made:
        """Return ``source`` u8[side,side,3] as ``of_driving`` moves it."""
        self._check(source)
        found = self._painting.run(
            {
                "picture": source[None],
                "points": of_source.at[None],
                "jacobians": of_source.jacobian[None],
                "driving_points": of_driving.at[None],
                "driving_jacobians": of_driving.jacobian[None],
            }
        )
        return Made(found["made"][0], found["flow"][0], found["visible"][0])

    def _check(self, rgb: U8) -> None:
        if rgb.shape != (self.side, self.side, 3):
            raise ProsthesisError(
                f"a picture of {list(rgb.shape)} cannot be animated; this model takes {[self.side, self.side, 3]}"
            )


def open_animator(model: str = MODEL, engine: str = "onnx", provider: str = "cpu") -> Animator:
    """Return the animator of a shipped bundle, or of a folder's; ``ConfigError`` when it is none."""
    bundle = load_bundle(model)
    found = tuple(
        (tuple(t.name for t in graph.inputs), tuple(t.name for t in graph.outputs)) for graph in bundle.manifest.graphs
    )
    if bundle.manifest.processor.name != "animation" or found != GRAPHS:
        raise ConfigError(f"{bundle.folder / MANIFEST}: not an animation model; choose one, e.g. {MODEL}")
    return Animator(bundle, *(open_engine(bundle, engine, provider, index) for index in (0, 1)))


def relative(of_source: Points, first: Points, now: Points) -> Points:
    """Return the source's keypoints moved as the driving ones have since their first picture.

    So who drives lends movement, not shape: ``p_S + p_D - p_D1``, ``J_D J_D1^-1 J_S``. A Jacobian that is almost
    singular at first keeps the source's own.
    """
    turn = np.repeat(np.eye(2, dtype=np.float32)[None], len(first.at), axis=0)
    sound = np.abs(np.linalg.det(first.jacobian)) > SINGULAR
    turn[sound] = now.jacobian[sound] @ np.linalg.inv(first.jacobian[sound])
    at = of_source.at + now.at - first.at
    return Points(np.asarray(at, np.float32), np.asarray(turn @ of_source.jacobian, np.float32))


def _side(bundle: Bundle) -> int:
    return int(bundle.manifest.input_size[0])
