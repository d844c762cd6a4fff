"""Films of the three tasks: camera | task map | percept, of what the shipped task files do with a picture or a clip.

A percept is that of its map shown for half a second from rest (``observers.percepts``): what lingers from one frame to
the next is not in it. ``prosthesis demo --task NAME`` films the live path, with the tissue's time.
"""

from __future__ import annotations

import importlib.resources as resources
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from prosthesis.bundles.bundle import load_bundle
from prosthesis.cameras.opencv import CLIPS
from prosthesis.config import TaskConfig, find
from prosthesis.encoders import open_encoder
from prosthesis.encoders.face import make_finder, make_painter
from prosthesis.encoders.obstacle import ObstacleEncoder
from prosthesis.encoders.text import Presenter, open_glyphs
from prosthesis.errors import ProsthesisError
from prosthesis.faces.align import aligned
from prosthesis.faces.detect import find_faces
from prosthesis.faces.enrol import read_picture
from prosthesis.faces.gallery import Gallery, embed
from prosthesis.faces.tracks import Track, follow
from prosthesis.hops import FaceEncoderConfig, LayeredEncoderConfig, ObstacleEncoderConfig, TextEncoderConfig
from prosthesis.messages import F32, U8, Frame, readonly
from prosthesis.results import Figure
from prosthesis.yamlfile import load_model
from prosthesis_train.observers.percepts import VirtualPatient, virtual_patient
from prosthesis_train.studies.tasks import approaches
from prosthesis_train.studies.tasks.approaches import render
from prosthesis_train.studies.tasks.faces import in_scene
from prosthesis_train.studies.tasks.obstacle_clips import read_clip, watch
from prosthesis_train.studies.tasks.obstacles import scene_of
from prosthesis_train.studies.tasks.reading import open_reader, real_pictures, rendered_pictures

RIG, PATIENT, DROPOUT = "utah96", 0, 0.2
FPS, NS = 8.0, 1_000_000_000
TEXT_S, FACE_S = 14.0, 5.0
HEIGHT, WIDTH = 240, 426
Say = Callable[[str], None]
Scene = Iterator[tuple[U8, F32]]


def measure(say: Say) -> list[Figure]:
    """Return nothing: films are to be looked at."""
    return []


def draw(folder: Path) -> list[str]:
    """Write ``tasks_text.webm``, ``tasks_face.webm`` and ``tasks_obstacle.webm``."""
    patient = virtual_patient(RIG, PATIENT, DROPOUT, side=HEIGHT, look="field")
    scenes = {"text": text_scene, "face": face_scene, "obstacle": obstacle_scene}
    for name, scene in scenes.items():
        write(folder / f"tasks_{name}.webm", scene(patient), patient)
    return [f"tasks_{name}.webm" for name in scenes]


def write(path: Path, scene: Scene, patient: VirtualPatient) -> None:
    """Write frames beside their maps and percepts; ``ProsthesisError`` when OpenCV cannot."""
    out = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), FPS, (WIDTH + 2 * HEIGHT, HEIGHT))
    if not out.isOpened():
        raise ProsthesisError(f"{path}: this OpenCV cannot write WebM; is the folder writable?")
    for rgb, task_map in scene:
        with torch.no_grad():
            percept = patient.percepts(torch.tensor(task_map[None]))[0].numpy()
        camera = cv2.resize(rgb, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        picture = np.hstack([camera, _gray(task_map), _gray(percept)])
        out.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    out.release()


def text_scene(patient: VirtualPatient) -> Scene:
    """Yield a sign and its letters in turn."""
    config, real = _layered("text").task, real_pictures()
    assert isinstance(config, TextEncoderConfig)
    rgb = real["scenetext01"][0] if "scenetext01" in real else rendered_pictures(1)[0][0]
    presenter = Presenter(config, patient.view, open_glyphs(config, patient.view, patient.calibration))
    findings = open_reader().find(Frame(1, 0, readonly(rgb, np.uint8)))
    for _ in range(2):  # a word counts when it was read twice
        presenter.take(findings, rgb.shape[1] / rgb.shape[0])
    for k in range(round(TEXT_S * FPS)):
        yield rgb, presenter.paint(rgb, round(k / FPS * NS))


def face_scene(patient: VirtualPatient) -> Scene:
    """Yield an enrolled woman who comes nearer, and then a stranger."""
    config, bundle = _layered("face").task, load_bundle("faces")
    assert isinstance(config, FaceEncoderConfig)
    known = read_picture(Path(str(resources.files("skimage"))) / "data/astronaut.png")
    stranger = read_picture(Path(str(resources.files("matplotlib"))) / "mpl-data/sample_data/grace_hopper.jpg")
    nobody = make_finder(bundle, config, Gallery())
    face = find_faces(known, nobody.detector)[0]
    gallery = Gallery().enrolled("astronaut", embed(aligned(known, face.points), nobody.embedder)[None])
    finder = make_finder(bundle, config, gallery)
    painter = make_painter(config, gallery, patient.view, patient.calibration)
    for rgb in (known, stranger):
        whole, tracks = find_faces(rgb, finder.detector)[0], tuple[Track, ...]()
        count = round(FACE_S * FPS)
        for k, width in enumerate(np.geomspace(26.0, 60.0, count)):
            frame = in_scene(rgb, whole.centre, whole.width, float(width), (150.0 + 40.0 * k / count, 90.0))
            found = finder.find(Frame(k, round(k / FPS * NS), frame))
            tracks = follow(tracks, found.seen, found.t_ns, config.threshold)
            yield frame, painter.paint(tracks, found.frame_size, found.t_ns)


def obstacle_scene(patient: VirtualPatient) -> Scene:
    """Yield the street clip (1.5 s, at a third of its pace), and a rendered approach that ends in an alarm."""
    encoder = open_encoder(ObstacleEncoderConfig(type="obstacle"), patient.view)
    assert isinstance(encoder, ObstacleEncoder)
    approach = scene_of("approaches", 0)
    street, rendered = read_clip(CLIPS / "street.mp4"), [render(approach, k) for k in range(approach.frames)]
    for frames, fps, every in ((*street, 1), (rendered, approaches.FPS, round(approaches.FPS / FPS))):
        found, _, _, _ = watch(frames, fps)
        for k in range(0, len(frames), every):
            yield frames[k], encoder.paint(found[k], round((k + 1) / fps * NS))


def _layered(task: str) -> LayeredEncoderConfig:
    encoder = load_model(TaskConfig, find("tasks", task)).encoder
    assert isinstance(encoder, LayeredEncoderConfig)
    return encoder


def _gray(picture: F32) -> U8:
    large = cv2.resize(np.clip(picture, 0, 1), (HEIGHT, HEIGHT), interpolation=cv2.INTER_NEAREST)
    return np.asarray(np.repeat((large * 255).astype(np.uint8)[..., None], 3, axis=2), np.uint8)
