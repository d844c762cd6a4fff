"""The change of a task's score by precision, on the same few trials, through the percept where maps are shown.

Maps are judged by the frozen letter observer through one virtual patient. Reading is judged by words, faces by verdicts
and objects by labelled boxes: what is shown of these depends on nothing else, so their percepts change only with them.
Latents have no percept of their own without a code map; they are judged by how often a code picks out its own picture.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis.bundles.bundle import Bundle, load_bundle
from prosthesis.bundles.delivered import TaskScore
from prosthesis.encoders.face import Finder
from prosthesis.encoders.taskmap import TaskMapEncoder
from prosthesis.engines import open_engine
from prosthesis.errors import ProsthesisError
from prosthesis.faces.gallery import Gallery
from prosthesis.faces.tracks import STRANGER, vote
from prosthesis.messages import U8, Frame, readonly
from prosthesis.obstacles.boxes import ObjectFinder
from prosthesis.protocols import Engine
from prosthesis.reading.reader import Reader
from prosthesis_export.frames import faces
from prosthesis_train.data.photographs import WHEELS, Photograph, patches, read_picture, where
from prosthesis_train.observers.network import SIDE
from prosthesis_train.observers.observer import Observer, load_observer
from prosthesis_train.observers.percepts import VirtualPatient, virtual_patient
from prosthesis_train.scores.tasks.answers import right
from prosthesis_train.scores.tasks.conditions import percepts
from prosthesis_train.studies.tasks.faces import gallery_of, identity
from prosthesis_train.studies.tasks.obstacle_clips import LABELS, clip_paths, match, read_clip
from prosthesis_train.studies.tasks.reading import confident, count, real_pictures, rendered_pictures
from prosthesis_train.tasks.task import Task, Trials, open_task
from prosthesis_train.tasks.under_test import encoded

TASK, RIG, TRIALS, DROPOUT, SEED = "letters", "utah96", 104, 0.2, 3
WORDS_DRAWN = 30
CODES = 60
THRESHOLD = 0.45  # of the shipped face task
FACES, HOPPER = 12, "mpl-data/sample_data/grace_hopper.jpg"
Bool = npt.NDArray[np.bool_]
Open = Callable[[int], Engine]  # of one bundle, the engine of a graph by number


def task_score(before: Bundle, after: Bundle) -> TaskScore:
    """Return the share of trials right before and after, on the same trials; under a minute of CPU.

    Raises ``ProsthesisError`` when no score is known for the processor.
    """
    processor = before.manifest.processor.name
    if processor not in SCORES:
        raise ProsthesisError(f"no task score for processor '{processor}'; add it to prosthesis_export.taskscore")
    score, measure = SCORES[processor]
    answers = _once(before.folder)
    found = answers if _graphs(before) == _graphs(after) else score(after, _on_cpu(after))
    return TaskScore(measure=measure, before=float(answers.mean()), after=float(found.mean()), trials=len(answers))


def score_on(bundle: Bundle, open_graph: Open) -> tuple[float, str]:
    """Return the share of trials right when graphs run as ``open_graph`` opens them, by number, and what is counted.

    Raises ``ProsthesisError`` when no score is known for the processor.
    """
    processor = bundle.manifest.processor.name
    if processor not in SCORES:
        raise ProsthesisError(f"no task score for processor '{processor}'; leave out --score")
    score, measure = SCORES[processor]
    return float(score(bundle, open_graph).mean()), measure


def _on_cpu(bundle: Bundle) -> Open:
    return lambda index: open_engine(bundle, "onnx", index=index)


@lru_cache(maxsize=4)  # each precision of a bundle asks again
def _once(folder: Path) -> Bool:
    bundle = load_bundle(folder)
    return SCORES[bundle.manifest.processor.name][0](bundle, _on_cpu(bundle))


def _graphs(bundle: Bundle) -> list[str]:
    return [graph.sha256 for graph in bundle.manifest.graphs]


@cache
def _stage() -> tuple[Observer, VirtualPatient, Task, Trials]:
    task = open_task(TASK)
    patient = virtual_patient(RIG, SEED, DROPOUT, side=SIDE, look="array")
    return load_observer(TASK, RIG), patient, task, task.trials("test", TRIALS, SEED)


def _letters(bundle: Bundle, open_graph: Open) -> Bool:
    observer, patient, task, trials = _stage()
    maps = encoded(TaskMapEncoder(bundle, open_graph(0), patient.view), trials.frames)
    return right(task, observer, percepts(patient, maps, "shown", SEED)[0], trials.labels, SEED)


def _words(bundle: Bundle, open_graph: Open) -> Bool:
    """Return for each labelled word whether it was read; words read that are not there count as words missed."""
    reader = Reader(bundle, open_graph(0), open_graph(1))
    out: list[bool] = []
    for rgb, labels in (*real_pictures().values(), *rendered_pictures(WORDS_DRAWN, seed=0)):
        found = count(confident(reader.find(Frame(1, 0, readonly(rgb, np.uint8)))), labels)
        out += [True] * found.found + [False] * (found.missed + found.wrong)
    return np.array(out)


def _verdicts(bundle: Bundle, open_graph: Open) -> Bool:
    """Return for each picture whether the verdict is right: one of two enrolled, relit and shrunk, or a stranger."""
    finder = Finder(open_graph(0), open_graph(1), open_graph(2), Gallery(), 1.0)
    known = {"collins": _picture("skimage", "data/astronaut.png"), "hopper": _picture("matplotlib", HOPPER)}
    gallery = gallery_of(finder, known)
    random = np.random.default_rng(SEED)
    asked = [(name, _relit(rgb, random)) for name, rgb in known.items() for _ in range(FACES)]
    asked += [(STRANGER, rgb) for rgb in faces(held_out=True)]
    return np.array([_verdict(finder, gallery, rgb) == name for name, rgb in asked])


def _picture(home: str, path: str) -> U8:
    return read_picture(where(Photograph(home, path, True)))


def _relit(rgb: U8, random: np.random.Generator) -> U8:
    """Return a picture at 25 to 60 % of its size in other light, with noise."""
    small = cv2.resize(rgb, None, fx=(scale := random.uniform(0.25, 0.6)), fy=scale, interpolation=cv2.INTER_AREA)
    noisy = small * random.uniform(0.4, 1.2) + random.normal(0, 6, small.shape)
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)


def _verdict(finder: Finder, gallery: Gallery, rgb: U8) -> str | None:
    row = identity(finder, rgb)
    return None if row is None else vote(gallery.match(row), THRESHOLD)


def _boxes(bundle: Bundle, open_graph: Open) -> Bool:
    """Return for each labelled object whether it has its box."""
    finder = ObjectFinder(bundle, open_graph(0))
    out: list[bool] = []
    for name, path in clip_paths_here().items():
        frames, _ = read_clip(path)
        for (clip, at), labels in LABELS.items():
            if clip == name:
                hits, _ = match(list(labels), finder.find(frames[at]))
                out += [True] * hits + [False] * (len(labels) - hits)
    return np.array(out)


def clip_paths_here() -> dict[str, Path]:
    """Return the labelled clips that are installed."""
    with tempfile.TemporaryDirectory() as folder:
        return {name: path for name, path in clip_paths(Path(folder)).items() if name in ("street", "bikes")}


def _picks(bundle: Bundle, open_graph: Open) -> Bool:
    """Return for each picture, darker and with noise, whether its code is nearest to that of its own picture of all."""
    graph, engine = bundle.manifest.graphs[0], open_graph(0)
    crops = patches([p for p in WHEELS if p.held_out], CODES, bundle.manifest.input_size[0], 3, seed=SEED)

    def codes(pictures: U8) -> npt.NDArray[np.float64]:
        found = np.stack([engine.run({graph.inputs[0].name: one[None]})[graph.outputs[0].name][0] for one in pictures])
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float64)

    dark = 0.7 * crops + np.random.default_rng(SEED).normal(0, 10, crops.shape)
    alike = codes(np.clip(dark, 0, 255).astype(np.uint8)) @ codes(crops).T
    return np.asarray(alike.argmax(axis=1) == np.arange(len(crops)))


Score = Callable[[Bundle, Open], Bool]
SCORES: dict[str, tuple[Score, str]] = {
    "taskmap": (_letters, f"{TASK} named by the frozen observer through the percept, {RIG}, {DROPOUT:.0%} dropout"),
    "reading": (_words, "words read of those labelled or read, real pictures that are installed and drawn ones"),
    "faces": (_verdicts, "verdicts right: two people enrolled, relit and small, and strangers"),
    "obstacle": (_boxes, "labelled objects with their box, the street and bikes clips that are installed"),
    "latent": (_picks, f"pictures picked out of {CODES} by the code of a darker one with noise"),
}
