"""Words read from real pictures and from words rendered over photographs, counted against labels stated here.

The real pictures are those of OpenCV's text module (Debian ``opencv-doc``: ``apt-get install opencv-doc``, or
``dpkg-deb -x`` and ``PROSTHESIS_OPENCV_DOC=folder``) and one of the pulse2percept wheel; absent ones are left out and
named.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from prosthesis.bundles.bundle import load_bundle
from prosthesis.encoders.text import Presenter, open_glyphs
from prosthesis.engines import open_engine
from prosthesis.hops import TextEncoderConfig
from prosthesis.messages import F32, U8, Frame, readonly
from prosthesis.reading.reader import Findings, Reader
from prosthesis.results import Figure
from prosthesis_train.data.glyphs import TEST_FONTS, TRAIN_FONTS, WORDS, render
from prosthesis_train.data.photographs import WHEELS, patches, read_picture
from prosthesis_train.observers.percepts import virtual_patient

OPENCV_DOC = Path(os.environ.get("PROSTHESIS_OPENCV_DOC", "/usr/share/doc/opencv-doc"))
# read by eye; a word that stands twice in a picture is listed twice. The paint of WIVENHOE PARK has come off in parts
SCENES = {
    "scenetext01": "NOTICE DOUBLE PARKING PROHIBITED AT ALL TIMES",
    "scenetext02": "SPORTS CENTRE WIVENHOE PARK CONFERENCE CENTRE CAR PARKS",
    "scenetext03": "THE COPY CENTRE",
    "scenetext04": "GM 125 GMMCO",
    "scenetext05": "NO PARKING NO PARKING",
    "scenetext06": "PRIORY GALLERIES AT THE SHIP PRIORY GALLERIES AT THE SHIP",
}
STREET = ("pulse2percept", "stimuli/data/samples/ucsb-bike.jpg", "STOP")
CONFIDENCE = 0.7  # what the encoder asks of a word before it is presented
RENDERED, PICTURE_PX, WORD_PX, SEED = 100, 384, 192, 0
FILM, FRAMES, EVERY_S, SIDE, DROPOUT = "tasks_text.jpg", 15, 0.25, 64, 0.2
FILM_RIGS = ("argus60", "utah96", "nhp1024")


@dataclass(frozen=True, slots=True)
class Count:
    """Words of the labels that were read, that were not, and words read that no label has; case does not matter."""

    found: int
    missed: int
    wrong: int

    def __add__(self, other: Count) -> Count:
        return Count(self.found + other.found, self.missed + other.missed, self.wrong + other.wrong)


def count(read: Iterable[str], labels: Iterable[str]) -> Count:
    """Compare two bags of words; punctuation around a word does not count."""
    bare = Counter(filter(None, (_bare(word) for word in read)))
    wanted = Counter(_bare(word) for word in labels)
    return Count((bare & wanted).total(), (wanted - bare).total(), (bare - wanted).total())


def _bare(word: str) -> str:
    return word.upper().strip("!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~")


def open_reader(model: str = "reading") -> Reader:
    """Return the reader of a bundle, on the CPU."""
    bundle = load_bundle(model)
    return Reader(bundle, open_engine(bundle, "onnx", index=0), open_engine(bundle, "onnx", index=1))


def confident(findings: Findings) -> list[str]:
    """Return the words that are sure enough."""
    return [word.text for line in findings.lines for word in line if word.confidence >= CONFIDENCE]


def real_pictures() -> dict[str, tuple[U8, list[str]]]:
    """Return the pictures that are installed here, by name, with their words."""
    out = {}
    for name, text in SCENES.items():
        path = OPENCV_DOC / "examples" / "text" / f"{name}.jpg"
        if path.is_file():
            out[name] = read_picture(path), text.split()
    package, place, text = STREET
    found = importlib.util.find_spec(package)
    if found is not None and found.origin is not None:
        out[Path(place).stem] = read_picture(Path(found.origin).parent / place), text.split()
    return out


def rendered_pictures(n: int = RENDERED, seed: int = SEED) -> list[tuple[U8, list[str]]]:
    """Return ``n`` photographs u8[384, 384, 3] with one word each, in ten fonts, turned by up to 10 degrees."""
    random = np.random.default_rng(seed)
    behind = patches(WHEELS, n, PICTURE_PX, 3, seed)
    fonts, out = TRAIN_FONTS + TEST_FONTS, []
    for photograph in behind:
        word = WORDS[int(random.integers(len(WORDS)))]
        ink = np.zeros((PICTURE_PX, PICTURE_PX), np.float32)
        x, y = (int(k) for k in random.integers(0, PICTURE_PX - WORD_PX + 1, 2))
        ink[y : y + WORD_PX, x : x + WORD_PX] = render(word, fonts[int(random.integers(len(fonts)))], WORD_PX, random)
        light = bool(random.random() < 0.5)
        dimmed = photograph * 0.45 + (0 if light else 140)
        level = random.uniform(180, 255) if light else random.uniform(0, 70)
        share = ink[..., None] / 255
        out.append((np.rint(dimmed * (1 - share) + level * share).astype(np.uint8), [word]))
    return out


def measure(say: Callable[[str], None]) -> list[Figure]:
    """Return counts of words and times of the two graphs."""
    reader = open_reader()
    real = real_pictures()
    absent = [name for name in (*SCENES, Path(STREET[1]).stem) if name not in real]
    if absent:
        say(f"not installed here, left out: {', '.join(absent)}")
    out, total = [], Count(0, 0, 0)
    for name, (rgb, labels) in real.items():
        counted = count(confident(reader.find(_frame(rgb))), labels)
        total += counted
        say(f"{name}: {counted}")
        out += _figures(f"{name}", counted)
    if real:
        out += _figures(f"{len(real)} real pictures together", total)
    pictures = rendered_pictures()
    counts = [count(confident(reader.find(_frame(rgb))), labels) for rgb, labels in pictures]
    out += _figures(f"{len(pictures)} rendered words over photographs", sum(counts, Count(0, 0, 0)))
    return out + _times(reader, [rgb for rgb, _ in (*real.values(), *pictures[:20])])


def draw(folder: Path) -> list[str]:
    """Draw the camera's picture, and below one another the task map and what is seen of it, ``FRAMES`` in time."""
    real = real_pictures()
    rgb = real["scenetext01"][0] if "scenetext01" in real else rendered_pictures(1)[0][0]
    findings = open_reader().find(_frame(rgb))
    rows = [_camera(rgb, findings, FRAMES * SIDE)]
    for rig in FILM_RIGS:
        patient = virtual_patient(rig, SEED, dropout=DROPOUT, map_side=SIDE, side=SIDE)
        config = TextEncoderConfig(type="text")
        presenter = Presenter(config, patient.view, open_glyphs(config, patient.view, patient.calibration))
        for _ in range(2):  # a word counts when it was read twice
            presenter.take(findings, rgb.shape[1] / rgb.shape[0])
        maps = np.stack([presenter.paint(rgb, round(k * EVERY_S * 1e9)) for k in range(FRAMES)])
        seen = patient.percepts(torch.from_numpy(maps)).numpy()
        rows += [_row(maps), _row(seen)]
    cv2.imwrite(
        str(folder / FILM), np.vstack([np.pad(row, ((0, 3), (0, 0), (0, 0)), constant_values=90) for row in rows])
    )
    return [FILM]


def _camera(rgb: U8, findings: Findings, width: int) -> U8:
    """Return the picture beside itself with the words that were found, blue first as OpenCV writes it."""
    height = rgb.shape[0] * width // (2 * rgb.shape[1])
    plain = cv2.resize(rgb[..., ::-1], (width // 2, height), interpolation=cv2.INTER_AREA)
    marked = plain.copy()
    for word in (word for line in findings.lines for word in line if word.confidence >= CONFIDENCE):
        cv2.polylines(marked, [np.rint(word.corners * marked.shape[1::-1]).astype(np.int32)], True, (0, 220, 0), 1)
    return np.asarray(np.hstack([plain, marked, np.zeros((height, width - 2 * (width // 2), 3), np.uint8)]), np.uint8)


def _row(pictures: F32) -> U8:
    levels = np.clip(np.hstack(list(pictures)) * 255, 0, 255).astype(np.uint8)
    return np.asarray(np.repeat(levels[..., None], 3, axis=2), np.uint8)


def _frame(rgb: U8) -> Frame:
    return Frame(1, 0, readonly(rgb, np.uint8))


def _figures(name: str, counted: Count) -> list[Figure]:
    labelled = counted.found + counted.missed
    low, high = _wilson(counted.found, labelled)
    return [
        Figure(f"{name}: words found of {labelled}", counted.found, "words", low, high, "95 %, Wilson, words alike"),
        Figure(f"{name}: words read that are not there", counted.wrong, "words"),
    ]


def _wilson(k: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share, as counts of ``n``."""
    z = 1.959964
    centre, spread = k + z * z / 2, z * np.sqrt(k * (n - k) / n + z * z / 4)
    return float(n * (centre - spread) / (n + z * z)), float(n * (centre + spread) / (n + z * z))


def _times(reader: Reader, pictures: Sequence[U8]) -> list[Figure]:
    spent: dict[str, list[float]] = {"detector, a frame": [], "recogniser, a line": [], "whole, a frame": []}
    for rgb in pictures:
        began = time.perf_counter()
        lines = reader.lines(rgb)
        spent["detector, a frame"].append(time.perf_counter() - began)
        for line in lines[:2]:
            began = time.perf_counter()
            reader.read(rgb, line)
            spent["recogniser, a line"].append(time.perf_counter() - began)
        began = time.perf_counter()
        reader.find(_frame(rgb))
        spent["whole, a frame"].append(time.perf_counter() - began)
    out = []
    for name, seconds in spent.items():
        ms = 1000 * np.asarray(seconds)
        low, high = np.percentile(ms, [5, 95])
        out.append(Figure(f"{name}", float(np.median(ms)), "ms", float(low), float(high), f"5 to 95 %, n {len(ms)}"))
    return out
