"""Model bundles: a folder of ONNX graphs and the ``manifest.json`` that says what they are and pins every byte.

Manifest version 0. What is not a graph (sampling a view, later decoding boxes or text) is a *processor*: a named and
versioned module of this package, so a bundle never carries code.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from prosthesis.bundles.delivered import Delivered
from prosthesis.errors import ConfigError
from prosthesis.yamlfile import Strict, load_model

MODELS = Path(__file__).resolve().parents[1] / "models"
MANIFEST = "manifest.json"
PROCESSORS = (("taskmap", 1), ("latent", 1), ("reading", 1), ("faces", 1), ("obstacle", 1), ("animation", 1))

# a bare name: a manifest can never reach outside its folder
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.onnx$")]


class Tensor(Strict):
    """One input or output of a graph; ``meaning`` gives axes, unit and range in words."""

    name: str
    shape: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    dtype: Literal["uint8", "float32"]
    meaning: str


class Graph(Strict):
    """One ONNX file, pinned by the SHA-256 of its bytes."""

    file: FileName
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    opset: PositiveInt
    inputs: Annotated[tuple[Tensor, ...], Field(min_length=1)]
    outputs: Annotated[tuple[Tensor, ...], Field(min_length=1)]


class Weights(Strict):
    """Where weights that we did not train come from: a file of a registry's package, and what made it ours."""

    package: str
    version: str
    file: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    licence: str
    converter: str


class Processor(Strict):
    """What the device does around the graphs."""

    name: str
    version: PositiveInt


class Manifest(Strict):
    """What a model is, what it takes and gives, and where it comes from.

    ``kind`` is what the graphs give: a ``map``, a ``latent``, or the findings (boxes, words, identities) of a ``task``,
    of which its processor makes a map. ``input_size`` is (width, height) in pixels of the first graph's input,
    ``map_shape`` (rows, columns) of a map and null for others, ``field_deg`` the (width, height) of the visual field a
    map stands for when it is used without a rig's view, null for a task. ``weights`` are those of others. ``delivery``
    is there when ``prosthesis export`` made the bundle for a board.
    """

    schema_version: Literal[0]
    name: str
    summary: str
    task: str
    kind: Literal["map", "latent", "task"]
    processor: Processor
    graphs: Annotated[tuple[Graph, ...], Field(min_length=1)]
    colour_order: Literal["rgb", "bgr"]
    normalisation: Literal["in_graph", "processor"]
    input_size: tuple[PositiveInt, PositiveInt]
    map_shape: tuple[PositiveInt, PositiveInt] | None
    field_deg: tuple[PositiveFloat, PositiveFloat] | None
    origin: str
    licence: str
    built_by: str
    weights: tuple[Weights, ...] = ()
    delivery: Delivered | None = None

    @field_validator("schema_version", mode="before")
    @classmethod
    def _known(cls, version: object) -> object:
        if version != 0:
            raise ValueError("this device reads manifests of schema 0; update prosthesis, or export with this version")
        return version

    @model_validator(mode="after")
    def _shaped(self) -> Manifest:
        if (self.kind == "map") != (self.map_shape is not None):
            raise ValueError("'map_shape' belongs to kind 'map': give rows and columns for a map, null for others")
        if (self.kind == "task") != (self.field_deg is None):
            raise ValueError("'field_deg' belongs to maps and latents: null for a task, whose view is the rig's")
        return self


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle: its folder and what its manifest says."""

    folder: Path
    manifest: Manifest

    def graph_path(self, graph: Graph) -> Path:
        """Return where ``graph`` lies."""
        return self.folder / graph.file


def load_bundle(name_or_path: str | Path) -> Bundle:
    """Load a shipped bundle by name, or any by the path of its folder (``./mine``), and verify every byte.

    Raises ``ConfigError`` naming file and remedy when the bundle is missing, its manifest wrong, a graph changed, or
    its processor not in this version of the device.

    >>> manifest = load_bundle("edges-32").manifest
    >>> manifest.kind, manifest.map_shape
    ('map', (32, 32))
    """
    folder = _folder(name_or_path)
    manifest = load_model(Manifest, folder / MANIFEST)
    _check_processor(manifest.processor, folder)
    for graph in manifest.graphs:
        _verify(folder / graph.file, graph.sha256)
    return Bundle(folder, manifest)


def bundle_names() -> list[str]:
    """Return the names of the shipped bundles, sorted."""
    return sorted(path.parent.name for path in MODELS.glob(f"*/{MANIFEST}"))


def _folder(name_or_path: str | Path) -> Path:
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or "/" in text:
        folder = Path(name_or_path)
        if not folder.is_dir():
            raise ConfigError(f"{folder}: no such bundle folder; check the path")
        return folder
    if text not in bundle_names():
        known = ", ".join(bundle_names()) or "none"
        raise ConfigError(f"no model named '{text}'; there are: {known}; a folder of your own is given as './{text}'")
    return MODELS / text


def _check_processor(processor: Processor, folder: Path) -> None:
    if (processor.name, processor.version) not in PROCESSORS:
        known = ", ".join(f"{name} {version}" for name, version in PROCESSORS)
        raise ConfigError(
            f"{folder / MANIFEST}: key 'processor': this device has {known}, not {processor.name} {processor.version}; "
            "update prosthesis or choose another model"
        )


def _verify(path: Path, sha256: str) -> None:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); copy or build the bundle again") from error
    if found != sha256:
        raise ConfigError(
            f"{path}: sha256 is {found[:12]}..., the manifest says {sha256[:12]}...: the file was changed or damaged; "
            "copy or build the bundle again"
        )
