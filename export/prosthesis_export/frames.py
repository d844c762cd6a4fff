"""Real inputs of a bundle's graphs, as the device would feed them, for calibration and for parity; the two never share.

The bundle's own processor runs on real pictures and what goes into each graph is noted. Pictures: photographs in the
wheels of scikit-image and scikit-learn (split by photograph), letters and words drawn over them, the gray faces of
scikit-image's LFW subset (split by picture), and every sixth frame of the clip shipped with the device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis.bundles.bundle import Bundle, load_bundle
from prosthesis.cameras.opencv import CLIPS
from prosthesis.encoders.face import Finder
from prosthesis.engines import open_engine
from prosthesis.errors import ProsthesisError
from prosthesis.faces.gallery import Gallery
from prosthesis.messages import U8, Frame, readonly
from prosthesis.obstacles.boxes import ObjectFinder
from prosthesis.protocols import Engine
from prosthesis.reading.reader import Reader
from prosthesis_train.data.photographs import WHEELS, patches
from prosthesis_train.data.sights import sights
from prosthesis_train.studies.tasks.obstacle_clips import read_clip
from prosthesis_train.studies.tasks.reading import rendered_pictures

Inputs = Mapping[str, npt.NDArray[Any]]
PICTURES = 12
MOST = 16  # inputs of one graph
FACES = 12
PICTURE_PX = 384


@dataclass(frozen=True, slots=True)
class Inputset:
    """Inputs of each graph by its file, what they are of, and a digest of them all."""

    of: dict[str, list[Inputs]]
    source: str

    @property
    def count(self) -> int:
        """How many inputs there are, of all graphs."""
        return sum(len(some) for some in self.of.values())

    @property
    def sha256(self) -> str:
        """The SHA-256 of names and values, in order."""
        out = hashlib.sha256()
        for file, some in self.of.items():
            out.update(file.encode())
            for inputs in some:
                for name, value in inputs.items():
                    out.update(name.encode() + np.ascontiguousarray(value).tobytes())
        return out.hexdigest()


class Noting:
    """An engine that notes what goes in."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.noted: list[Inputs] = []

    @property
    def provider(self) -> str:
        """What really computes."""
        return self._engine.provider

    def run(self, inputs: Inputs) -> dict[str, npt.NDArray[Any]]:
        """Run the engine."""
        if len(self.noted) < MOST:
            self.noted.append({name: np.array(value) for name, value in inputs.items()})
        return self._engine.run(inputs)


def inputs_of(bundle: Bundle, held_out: bool) -> Inputset:
    """Return real inputs of a bundle's graphs: for calibration, or held out for parity.

    Raises ``ProsthesisError`` when the bundle's processor has no such pictures.
    """
    return _inputs_of(bundle.folder, held_out)


@lru_cache(maxsize=4)  # each precision of a bundle asks again
def _inputs_of(folder: Path, held_out: bool) -> Inputset:
    bundle = load_bundle(folder)
    graphs = bundle.manifest.graphs
    engines = [Noting(open_engine(bundle, "onnx", index=index)) for index in range(len(graphs))]
    processor = bundle.manifest.processor.name
    if processor not in FEEDS:
        raise ProsthesisError(f"no real pictures for processor '{processor}'; add them to {Path(__file__).name}")
    feed, source = FEEDS[processor]
    feed(bundle, engines, held_out)
    of = {graph.file: engine.noted for graph, engine in zip(graphs, engines, strict=True)}
    empty = [file for file, some in of.items() if not some]
    if empty:
        raise ProsthesisError(f"{bundle.folder}: real pictures led to no input of {', '.join(empty)}; check the graphs")
    return Inputset(of, f"{source}, {'held out' if held_out else 'calibration part'}")


def _crops(bundle: Bundle, engines: Sequence[Engine], held_out: bool) -> None:
    side = bundle.manifest.input_size[0]
    photographs = patches([p for p in WHEELS if p.held_out is held_out], MOST // 2, side, 3, seed=7)
    letters = sights("letters", MOST // 2, side, 32, held_out, seed=7).crops
    first, rest = bundle.manifest.graphs[0], bundle.manifest.graphs[1:]
    for crop in (*photographs, *letters):
        found = engines[0].run({first.inputs[0].name: crop[None]})[first.outputs[0].name]
        for graph, engine in zip(rest, engines[1:], strict=True):  # a generator takes the code
            engine.run({graph.inputs[0].name: found})


def _text(bundle: Bundle, engines: Sequence[Engine], held_out: bool) -> None:
    reader = Reader(bundle, engines[0], engines[1])
    for k, (rgb, _) in enumerate(rendered_pictures(PICTURES, seed=21 if held_out else 20)):
        reader.find(Frame(k, k, readonly(rgb, np.uint8)))


def faces(held_out: bool) -> list[U8]:
    """Return framed gray faces of LFW, enlarged six times, u8[450, 450, 3]."""
    pictures = np.load(Path(str(resources.files("skimage"))) / "data/lfw_subset.npy", allow_pickle=False)[:100]
    some = pictures[100 - FACES :] if held_out else pictures[:FACES]
    out = []
    for picture in (some * 255).astype(np.uint8):
        large = cv2.resize(picture, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
        framed = cv2.copyMakeBorder(large, 150, 150, 150, 150, cv2.BORDER_REPLICATE)
        out.append(np.repeat(framed[..., None], 3, axis=2))
    return out


def _faces(bundle: Bundle, engines: Sequence[Engine], held_out: bool) -> None:
    finder = Finder(engines[0], engines[1], engines[2], Gallery(), 1.0)
    photographs = patches([p for p in WHEELS if p.held_out is held_out], PICTURES // 3, PICTURE_PX, 3, seed=7)
    for k, rgb in enumerate((*faces(held_out), *photographs)):
        finder.find(Frame(k, k, readonly(rgb, np.uint8)))


def _things(bundle: Bundle, engines: Sequence[Engine], held_out: bool) -> None:
    finder = ObjectFinder(bundle, engines[0])
    clip = read_clip(CLIPS / "street.mp4")[0]
    photographs = patches([p for p in WHEELS if p.held_out is held_out], PICTURES, PICTURE_PX, 3, seed=7)
    for rgb in (*clip[2 if held_out else 1 :: 6], *photographs):
        finder.find(rgb)


Feed = Callable[[Bundle, Sequence[Engine], bool], None]
OVER = "letters drawn over photographs of scikit-image and scikit-learn, and patches of these"
FEEDS: dict[str, tuple[Feed, str]] = {
    "taskmap": (_crops, OVER),
    "latent": (_crops, OVER),
    "reading": (_text, "words drawn over photographs of scikit-image and scikit-learn"),
    "faces": (_faces, "scikit-image's LFW subset, and patches of photographs"),
    "obstacle": (_things, "the shipped street clip, and patches of photographs of scikit-image and scikit-learn"),
}
