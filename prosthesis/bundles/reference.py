"""A reference recording of a bundle: what went into each of its graphs at the desk, and what came out.

Two files in the bundle's folder ``reference``: ``recording.npz``, the arrays, and ``recording.json``, which pins their
bytes and says what they are of. The board replays it (``prosthesis verify``).
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import PositiveInt

from prosthesis import __version__
from prosthesis.bundles.bundle import Bundle, Graph, Tensor
from prosthesis.cameras.opencv import CLIPS
from prosthesis.engines import open_engine
from prosthesis.errors import ConfigError
from prosthesis.yamlfile import Strict, load_model

FOLDER = "reference"
ARRAYS, CARD = "recording.npz", "recording.json"
FRAMES = 8
SOURCE = "clip:street"
Arrays = Mapping[str, npt.NDArray[Any]]
Inputs = Mapping[str, Sequence[Arrays]]


class RecordedGraph(Strict):
    """One graph as it was when it was recorded, and how many inputs it was given."""

    file: str
    sha256: str
    inputs: PositiveInt


class ReferenceCard(Strict):
    """What ``recording.json`` says; ``made_with`` are the versions and the machine of the desk."""

    schema_version: Literal[0]
    bundle: str
    source: str
    arrays_sha256: str
    inputs_sha256: str
    engine: str
    graphs: tuple[RecordedGraph, ...]
    made_with: dict[str, str]


@dataclass(frozen=True, slots=True)
class Reference:
    """A recording, loaded and checked: per graph's file the inputs, and the outputs of the desk."""

    card: ReferenceCard
    inputs: Inputs
    outputs: Inputs


def clip_inputs(bundle: Bundle, frames: int = FRAMES) -> Inputs:
    """Return inputs for every graph: frames of the shipped clip at the graph's size, seeded normals where not images.

    Graphs behind the first are fed pictures too, not what the first found in them: that is enough to compare engines.
    """
    pictures = _clip(frames)
    bgr = bundle.manifest.colour_order == "bgr"
    rng = np.random.default_rng(0)

    def value(tensor: Tensor, picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if tensor.dtype == "uint8" and len(tensor.shape) == 4 and tensor.shape[-1] == 3:
            size = (tensor.shape[2], tensor.shape[1])
            sized = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            return np.ascontiguousarray(sized if bgr else sized[..., ::-1])[None]
        return rng.standard_normal(tensor.shape).astype(tensor.dtype)

    return {
        graph.file: [{tensor.name: value(tensor, picture) for tensor in graph.inputs} for picture in pictures]
        for graph in bundle.manifest.graphs
    }


def record(bundle: Bundle, inputs: Inputs, source: str = SOURCE, folder: Path | None = None) -> Path:
    """Run every graph on ``inputs`` by ONNX Runtime's CPU provider and write the recording; return its folder."""
    folder = folder or bundle.folder / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, npt.NDArray[Any]] = {}
    engine_name = ""
    for index, graph in enumerate(bundle.manifest.graphs):
        engine = open_engine(bundle, "onnx", "cpu", index)
        engine_name = engine.provider
        for number, given in enumerate(inputs[graph.file]):
            for side, values in (("in", given), ("out", engine.run(given))):
                arrays |= {_key(graph.file, number, side, name): array for name, array in values.items()}
    with (folder / ARRAYS).open("wb") as out:
        np.savez_compressed(out, **arrays)  # type: ignore[arg-type]
    card = ReferenceCard(
        schema_version=0,
        bundle=bundle.manifest.name,
        source=source,
        arrays_sha256=hashlib.sha256((folder / ARRAYS).read_bytes()).hexdigest(),
        inputs_sha256=digest(inputs),
        engine=engine_name,
        graphs=tuple(
            RecordedGraph(file=graph.file, sha256=graph.sha256, inputs=len(inputs[graph.file]))
            for graph in bundle.manifest.graphs
        ),
        made_with=_made_with(),
    )
    (folder / CARD).write_text(card.model_dump_json(indent=2) + "\n")
    return folder


def load_reference(bundle: Bundle, folder: Path | None = None) -> Reference:
    """Load the bundle's recording; ``ConfigError`` when it is missing, changed, or of other graphs."""
    folder = folder or bundle.folder / FOLDER
    if not (folder / CARD).is_file():
        raise ConfigError(
            f"{folder}: no reference recording; make one at the desk with 'prosthesis deploy', or "
            f"'prosthesis verify {bundle.manifest.name} --record {folder}'"
        )
    card = load_model(ReferenceCard, folder / CARD)
    _check(bundle, card, folder)
    with np.load(folder / ARRAYS, allow_pickle=False) as stored:
        arrays = {key: stored[key] for key in stored.files}
    sides = {
        side: {graph.file: _side(graph, arrays, number.inputs, side) for graph, number in _pairs(bundle, card)}
        for side in ("in", "out")
    }
    if digest(sides["in"]) != card.inputs_sha256:
        raise ConfigError(f"{folder / ARRAYS}: the inputs are not those that {CARD} names; deploy again")
    return Reference(card, sides["in"], sides["out"])


def digest(inputs: Inputs) -> str:
    """Return the SHA-256 of names and values, in order."""
    out = hashlib.sha256()
    for file, some in inputs.items():
        out.update(file.encode())
        for arrays in some:
            for name, value in arrays.items():
                out.update(name.encode() + np.ascontiguousarray(value).tobytes())
    return out.hexdigest()


def _check(bundle: Bundle, card: ReferenceCard, folder: Path) -> None:
    ours = [(graph.file, graph.sha256) for graph in bundle.manifest.graphs]
    theirs = [(graph.file, graph.sha256) for graph in card.graphs]
    if ours != theirs:
        wrong = next((file for file, sha256 in theirs if (file, sha256) not in ours), card.bundle)
        raise ConfigError(f"{folder / CARD}: was recorded with another '{wrong}' than this bundle's; deploy again")
    try:
        found = hashlib.sha256((folder / ARRAYS).read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{folder / ARRAYS}: cannot be read ({error.strerror}); deploy again") from error
    if found != card.arrays_sha256:
        raise ConfigError(f"{folder / ARRAYS}: was changed or damaged since it was recorded; copy it or deploy again")


def _pairs(bundle: Bundle, card: ReferenceCard) -> list[tuple[Graph, RecordedGraph]]:
    return list(zip(bundle.manifest.graphs, card.graphs, strict=True))


def _side(graph: Graph, arrays: Arrays, count: int, side: str) -> list[Arrays]:
    tensors = graph.inputs if side == "in" else graph.outputs
    return [{t.name: arrays[_key(graph.file, number, side, t.name)] for t in tensors} for number in range(count)]


def _key(file: str, number: int, side: str, name: str) -> str:
    return f"{file}/{number}/{side}/{name}"


@lru_cache(maxsize=2)
def _clip(frames: int) -> tuple[npt.NDArray[Any], ...]:
    movie = cv2.VideoCapture(str(CLIPS / "street.mp4"))
    count = int(movie.get(cv2.CAP_PROP_FRAME_COUNT))
    wanted = {round(k * (count - 1) / max(1, frames - 1)) for k in range(frames)}
    taken = []
    for number in range(count):
        good, picture = movie.read()
        if good and number in wanted:
            taken.append(picture)
    movie.release()
    if not taken:
        raise ConfigError(f"{CLIPS / 'street.mp4'}: cannot be read; reinstall prosthesis, or run 'prosthesis doctor'")
    return tuple(taken)


def _made_with() -> dict[str, str]:
    import onnxruntime

    return {
        "prosthesis": __version__,
        "onnxruntime": onnxruntime.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "python": platform.python_version(),
    }
