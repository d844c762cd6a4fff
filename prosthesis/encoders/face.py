"""Processor ``faces`` version 1: who is there, where and how near, as a pattern or a caricature; strangers are refused.

The networks run beside the path, on the newest frame; every frame is answered at once from what they last found.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prosthesis.background import Background
from prosthesis.bundles.bundle import MANIFEST, Bundle
from prosthesis.calibration.table import Calibration
from prosthesis.encoders.pointing import Pointed, Pointer, face
from prosthesis.engines import open_engine
from prosthesis.errors import ConfigError
from prosthesis.faces.align import aligned
from prosthesis.faces.detect import Face, find_faces
from prosthesis.faces.gallery import Gallery, embed
from prosthesis.faces.head import cut_out
from prosthesis.faces.layout import SHAPE, Layout, lay_out
from prosthesis.faces.patterns import Code, choose, load_code
from prosthesis.faces.present import paint_face, paint_head, paint_pattern
from prosthesis.faces.store import load_gallery
from prosthesis.faces.tracks import LOST_S, Seen, Track, follow
from prosthesis.hops import FaceEncoderConfig
from prosthesis.messages import F32, U8, Frame, MachineCode, readonly
from prosthesis.protocols import Engine
from prosthesis.view import View

SPOKEN_STRANGER = "a stranger"
GRAPHS = ("detector.onnx", "embedder.onnx", "caricature.onnx")


@dataclass(frozen=True, slots=True)
class Findings:
    """What the networks found in one frame of ``frame_size`` (width, height) pixels."""

    seq: int
    t_ns: int
    frame_size: tuple[int, int]
    seen: tuple[Seen, ...]


@dataclass(frozen=True, slots=True)
class Finder:
    """The networks and the gallery: all that finding needs, and no memory.

    ``least_px`` is the width in pixels below which a face says nothing of who it is. With ``heads`` whole heads are
    drawn, not caricatures.
    """

    detector: Engine
    embedder: Engine
    drawer: Engine
    gallery: Gallery
    least_px: float
    heads: bool = False

    def find(self, frame: Frame) -> Findings:
        """Return the faces in the whole of ``frame``, whom each resembles and its drawing."""
        faces = find_faces(frame.rgb, self.detector)
        size = (frame.rgb.shape[1], frame.rgb.shape[0])
        return Findings(frame.seq, frame.t_ns, size, tuple(self._seen(frame.rgb, face) for face in faces))

    def _seen(self, rgb: U8, face: Face) -> Seen:
        drawing = self.drawn(rgb, face)
        if face.width < self.least_px:
            return Seen(face, None, drawing)
        return Seen(face, self.gallery.match(embed(aligned(rgb, face.points), self.embedder)), drawing)

    def drawn(self, rgb: U8, face: Face) -> F32:
        """Return the drawing of a face in ``rgb``: the head f32[48, 48], or the caricature f32[28, 28]."""
        if self.heads:
            return readonly(cut_out(rgb, face), np.float32)
        return readonly(self.drawer.run({"face": aligned(rgb, face.points)[None]})["drawing"][0], np.float32)


@dataclass(frozen=True, slots=True)
class Painter:
    """How this patient is shown a person: where on the map, and by which pattern, or by the face without ``code``.

    ``numbers`` says which of the code's patterns is whose; ``heads`` that faces are whole heads.
    """

    view: View
    layout: Layout
    code: Code | None
    numbers: dict[str, int]
    heads: bool = False

    def paint(self, tracks: tuple[Track, ...], frame_size: tuple[int, int], now_ns: int) -> F32:
        """Return the map f32[64, 64] of the first of ``tracks`` seen within the last second, black without one."""
        fresh = [track for track in tracks if now_ns - track.t_ns <= LOST_S * 1e9]
        if not fresh:
            return np.zeros(SHAPE, np.float32)
        place = (frame_size, self.view, self.layout)
        if self.code is None:
            return paint_head(fresh[0], *place, now_ns) if self.heads else paint_face(fresh[0], *place)
        return paint_pattern(fresh[0], *place, self.code, self.numbers)


class FaceEncoder:
    """Shows the nearest person; remembers who was seen over the last second."""

    def __init__(self, finder: Finder, painter: Painter, threshold: float) -> None:
        self.shape: tuple[int, ...] = SHAPE
        self._painter, self._threshold = painter, threshold
        self._background: Background[Frame, Findings] = Background(finder.find, "faces")
        self._tracks: tuple[Track, ...] = ()
        self._last: Findings | None = None
        self._verdict: str | None = None
        self._said: list[str] = []
        self._pointer = Pointer("face")

    def encode(self, frame: Frame, now_ns: int) -> MachineCode:
        """Return the map f32[64 * 64] of whoever is nearest in the newest frame that the networks have finished."""
        self._background.offer(frame)
        found = self._background.latest()
        if found is not None and found is not self._last:
            self._tracks = follow(self._tracks, found.seen, found.t_ns, self._threshold)
            self._last = found
            self._listen()
            self._point(found)
        size = found.frame_size if found is not None else (1, 1)
        shown = self._painter.paint(self._tracks, size, now_ns)
        return MachineCode(frame.seq, frame.t_ns, readonly(shown, np.float32).reshape(-1), "map", self.shape)

    def said(self) -> tuple[str, ...]:
        """Return who came since last asked, e.g. ``("ann", "a stranger")``; whoever stays is said once."""
        said, self._said = tuple(self._said), []
        return said

    def found(self) -> Pointed:
        """Return the faces in the newest frame that was looked at, if that is new since last asked."""
        return self._pointer.news()

    def forget(self) -> None:
        """Forget who was seen; what the networks have finished so far is old."""
        self._last = self._background.latest()
        self._tracks, self._verdict, self._said = (), None, []
        self._pointer.forget()

    def _point(self, found: Findings) -> None:
        here = (track for track in self._tracks if track.t_ns == found.t_ns)
        items = (face(track, found.frame_size, SPOKEN_STRANGER) for track in here)
        self._pointer.point(found.seq, found.t_ns, items)

    def _listen(self) -> None:
        verdict = self._tracks[0].verdict if self._tracks else None
        if verdict is not None and verdict != self._verdict:
            self._said.append(verdict or SPOKEN_STRANGER)
        # a doubtful picture in between must not have the name said again
        if verdict is not None or not self._tracks:
            self._verdict = verdict

    def close(self) -> None:
        """End the thread of the networks."""
        self._background.close()


def open_face_encoder(
    bundle: Bundle, config: FaceEncoderConfig, view: View, calibration: Calibration | None
) -> FaceEncoder:
    """Return the encoder with this user's gallery; ``ConfigError`` when bundle, gallery or patterns do not fit."""
    gallery = load_gallery(embedder_sha256(bundle))
    finder = make_finder(bundle, config, gallery)
    return FaceEncoder(finder, make_painter(config, gallery, view, calibration), config.threshold)


def make_finder(bundle: Bundle, config: FaceEncoderConfig, gallery: Gallery) -> Finder:
    """Return the networks of ``bundle`` with a gallery; ``ConfigError`` when it is no bundle of faces."""
    embedder_sha256(bundle)
    detector, embedder, drawer = (open_engine(bundle, config.engine, config.provider, i) for i in range(len(GRAPHS)))
    return Finder(detector, embedder, drawer, gallery, config.least_px, config.mode == "head")


def make_painter(config: FaceEncoderConfig, gallery: Gallery, view: View, calibration: Calibration | None) -> Painter:
    """Return how people are shown; ``ConfigError`` when more are enrolled than the code has patterns."""
    layout = lay_out(view, calibration)
    numbers = {person.name: person.pattern + 1 for person in gallery.people}  # 0 is the stranger's
    if config.mode != "pattern":
        return Painter(view, layout, None, numbers, config.mode == "head")
    code = load_code(Path(config.code), view, calibration) if config.code else choose(view, calibration, layout)
    beyond = sorted(name for name, number in numbers.items() if number >= len(code.names))
    if beyond:
        raise ConfigError(
            f"{len(code.names) - 1} people have patterns, but not {', '.join(beyond)}; remove some with "
            "'prosthesis faces delete NAME', give a larger 'code', or use mode 'face'"
        )
    return Painter(view, layout, code, numbers)


def embedder_sha256(bundle: Bundle) -> str:
    """Return what pins the embedder, and with it every gallery; ``ConfigError`` when this is no bundle of faces."""
    files = tuple(graph.file for graph in bundle.manifest.graphs)
    if bundle.manifest.processor.name != "faces" or files != GRAPHS:
        raise ConfigError(
            f"{bundle.folder / MANIFEST}: processor faces 1 runs graphs {', '.join(GRAPHS)}; choose model 'faces'"
        )
    return bundle.manifest.graphs[1].sha256
