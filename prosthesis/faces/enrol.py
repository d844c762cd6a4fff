"""Enrolment: from pictures of one person to embeddings in the user's gallery. The pictures are read and forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from prosthesis.bundles.bundle import Bundle, load_bundle
from prosthesis.encoders.face import embedder_sha256
from prosthesis.engines import open_engine
from prosthesis.errors import ProsthesisError
from prosthesis.faces.align import aligned
from prosthesis.faces.detect import find_faces
from prosthesis.faces.gallery import Gallery, Person, embed
from prosthesis.faces.store import load_gallery, save_gallery
from prosthesis.messages import F32, U8
from prosthesis.processes import quiet_stderr
from prosthesis.protocols import Engine

MODEL = "faces"
LEAST_PX = 48  # a face this wide is as good as a larger one (docs/faces.md)
DOUBT = 0.45  # pictures of one person that are less alike, or of two that are more, are worth a second look


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What came of it: the ``person`` as now kept, whether they are new, and one sentence for each doubt."""

    person: Person
    new: bool
    doubts: tuple[str, ...]


def enrol(name: str, pictures: Sequence[Path]) -> Enrolment:
    """Add ``pictures`` of ``name`` to the user's gallery; a name that is there gets more pictures.

    Raises ``ProsthesisError`` naming the picture when it cannot be read, shows no face, several, or one too small;
    nothing is kept then.
    """
    bundle = load_bundle(MODEL)
    sha256 = embedder_sha256(bundle)
    before = load_gallery(sha256)
    rows = _embeddings(bundle, pictures)
    after = before.enrolled(name, rows)
    save_gallery(after, sha256)
    person = next(person for person in after.people if person.name == name)
    others = Gallery(tuple(other for other in after.people if other.name != name))
    doubts = [doubt for path, row in zip(pictures, rows, strict=True) for doubt in _doubts(path, row, person, others)]
    return Enrolment(person, len(after.people) > len(before.people), tuple(doubts))


def forget(name: str) -> None:
    """Delete ``name`` from the user's gallery; ``ProsthesisError`` when they are not in it."""
    sha256 = embedder_sha256(load_bundle(MODEL))
    save_gallery(load_gallery(sha256).without(name), sha256)


def enrolled() -> Gallery:
    """Return the user's gallery."""
    return load_gallery(embedder_sha256(load_bundle(MODEL)))


def read_picture(path: Path) -> U8:
    """Return a picture file as u8[h, w, 3] RGB, turned as its camera says; ``ProsthesisError`` when it cannot."""
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise ProsthesisError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    try:
        with quiet_stderr():  # libpng complains of damage as it decodes
            bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except cv2.error as error:
        raise ProsthesisError(f"{path}: too large a picture to be read, or damaged; give a smaller one") from error
    if bgr is None:
        raise ProsthesisError(f"{path}: not a picture that can be read; give a JPEG or PNG")
    rgb: U8 = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    return rgb


def _embeddings(bundle: Bundle, pictures: Sequence[Path]) -> F32:
    detector, embedder = open_engine(bundle, "onnx"), open_engine(bundle, "onnx", "cpu", 1)
    return np.stack([embed(only_face(path, detector), embedder) for path in pictures])


def only_face(path: Path, detector: Engine) -> U8:
    """Return the one face in a picture, aligned u8[112, 112, 3]; ``ProsthesisError`` when there is not just one."""
    rgb = read_picture(path)
    faces = find_faces(rgb, detector)
    if not faces:
        raise ProsthesisError(f"{path}: no face found; give a picture of one person who looks at the camera")
    if len(faces) > 1:
        raise ProsthesisError(f"{path}: {len(faces)} faces found; cut out the one to enrol")
    if faces[0].width < LEAST_PX:
        raise ProsthesisError(f"{path}: the face is {faces[0].width:.0f} pixels wide; give one of at least {LEAST_PX}")
    return aligned(rgb, faces[0].points)


def _doubts(path: Path, row: F32, person: Person, others: Gallery) -> list[str]:
    doubts = []
    rest = [float(other @ row) for other in person.embeddings if not np.array_equal(other, row)]
    if rest and max(rest) < DOUBT:
        doubts.append(f"{path}: hardly like the other pictures of {person.name} (cosine {max(rest):.2f})")
    match = others.match(row)
    if match.person is not None and match.cosine >= DOUBT:
        doubts.append(f"{path}: looks like {match.person.name} too (cosine {match.cosine:.2f})")
    return doubts
