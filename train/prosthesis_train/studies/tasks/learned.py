"""Learned codes and the learned encoder: what who was taught a code tells apart, and what training end to end gave.

Codes are judged apart from ordinary letters: by an observer taught on other patients of the rig, with the exposures
stated, and by the plainest pupil within one patient. The encoder is judged by the frozen observers, on the frames on
which the classical ones are.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from prosthesis.bundles.bundle import bundle_names
from prosthesis.results import Figure
from prosthesis_train.data.sights import sights
from prosthesis_train.methods import codes, encoder, personal
from prosthesis_train.observers.observer import FROZEN
from prosthesis_train.observers.percepts import VirtualPatient
from prosthesis_train.observers.taught import Teaching, answers, bits_per_symbol, learning_curve, lessons, teach
from prosthesis_train.scores.tasks.scoring import REFERENCE, Cell
from prosthesis_train.studies.tasks.recognition import BASELINES, cached
from prosthesis_train.tasks.fonts import glyph, paths

RIGS = ("argus60", "utah96", "icvp400")
SYMBOLS = ("letters", "identities")
DROPOUT = 0.2
TEACHERS, FIRST_TEACHER, TAUGHT_DROPOUTS = 48, 20_000, (0.1, 0.2, 0.3)
TESTED, FIRST_TESTED, ANSWERS_EACH = 12, 30_000, 4  # answers of each symbol by each patient
TEACHING = Teaching()
OWN_EXPOSURES = (1, 2, 4)
SYMBOLS_PER_S = 2.0  # a symbol is shown for 0.5 s, as percepts are computed for
TARGETS = {("letters", "utah96"): 0.98, ("identities", "utah96"): 0.90}
ENCODER, ENCODER_RIG, ENCODER_TASK = "learned-letters-32", "utah96", "letters"
RUN = Path("runs/encoder-letters-32-0")
ADAPTED, ADAPT_CROPS = 3, 200
Say = Callable[[str], None]


def measure(say: Say) -> list[Figure]:
    """Return the figures of codes, encoder and adaptation."""
    out: list[Figure] = []
    for rig in RIGS:
        teachers = patients(rig, FIRST_TEACHER, TEACHERS, TAUGHT_DROPOUTS)
        tested = patients(rig, FIRST_TESTED, TESTED, (DROPOUT,))
        say(f"{rig}: {len(teachers)} patients teach, {len(tested)} others are tested")
        for symbols in SYMBOLS:
            maps = torch.from_numpy(codes.load(f"{symbols}-{rig}").maps)
            out += code_figures(f"learned {symbols}", rig, maps, teachers, tested, TARGETS.get((symbols, rig)))
        out += code_figures("one ordinary font's letters", rig, ordinary(), teachers, tested, None)
    out += encoder_figures(say)
    if (RUN / "checkpoint.pt").is_file():
        out += adaptation_figures(say)
    return out


def patients(rig: str, first: int, count: int, dropouts: Sequence[float]) -> list[VirtualPatient]:
    """Return ``count`` patients of a rig, dropouts in turn."""
    return [codes.seen_closely(rig, first + k, dropouts[k % len(dropouts)]) for k in range(count)]


def ordinary(cells: int = 32) -> torch.Tensor:
    """Return the capitals of one bold font as maps f32[26, cells, cells], as large as fits."""
    font = next(path for path in paths("train") if path.stem == "DejaVuSans-Bold")
    out = np.zeros((26, cells, cells), np.float32)
    for k, letter in enumerate(codes.SYMBOLS["letters"]):
        drawn = glyph(letter, font)
        scale = 0.8 * cells / max(drawn.shape)
        height, width = (max(1, round(edge * scale)) for edge in drawn.shape)
        top, left = (cells - height) // 2, (cells - width) // 2
        small = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA)
        out[k, top : top + height, left : left + width] = small / 255.0
    return torch.from_numpy(out)


def code_figures(
    name: str, rig: str, maps: torch.Tensor, teachers: Sequence[VirtualPatient], tested: Sequence[VirtualPatient],
    target: float | None,
) -> list[Figure]:  # fmt: skip
    """Return how a code is told apart at one rig: by an observer taught on others, and within one patient."""
    random, k = torch.Generator().manual_seed(TEACHING.seed), len(maps)
    observer = teach(*lessons(teachers, maps, TEACHING.exposures, random, TEACHING.lost), TEACHING)
    asked, labels = lessons(tested, maps, ANSWERS_EACH, random)
    said, truth = answers(observer, asked), labels.numpy()
    each = (said == truth).reshape(len(tested), -1).mean(1)
    low, high = between_patients(each)
    bits = bits_per_symbol(truth, said, k)
    exposures = TEACHING.exposures * len(teachers)
    at = f"{name} at {rig}, {DROPOUT:.0%} dropout"
    how = f"95 %, bootstrap over {len(tested)} patients x {ANSWERS_EACH * k} answers"
    taught = f"taught on {len(teachers)} other patients, {exposures} exposures of each symbol"
    aim = f" (target {target:.0%})" if target else ""
    out = [
        Figure(f"{at}: told apart, {taught}{aim}, chance {1 / k:.1%}", float(each.mean()), "", low, high, how),
        Figure(f"{at}: information, {taught}", bits, "bits a symbol"),
        Figure(f"{at}: information at {SYMBOLS_PER_S:g} symbols/s, {taught}", bits * SYMBOLS_PER_S, "bits/s"),
    ]
    for count, share in learning_curve(tested, maps, OWN_EXPOSURES, random).items():
        out.append(Figure(f"{at}: nearest mean of {count} exposures of each symbol in the same patient", share, ""))
    with torch.no_grad():
        used = float(np.mean([float(codes.charge_share(patient, maps)) for patient in tested]))
    return [*out, Figure(f"{at}: charge, as a share of a white map's", used, "")]


def between_patients(each: np.ndarray[tuple[int], np.dtype[np.float64]], draws: int = 2000) -> tuple[float, float]:
    """Return the bootstrap's 95 % interval of the mean over patients f64[n]."""
    random = np.random.default_rng(0)
    means = each[random.integers(len(each), size=(draws, len(each)))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def encoder_figures(say: Say) -> list[Figure]:
    """Return what the frozen observer reads through the learned encoder, and through each classical one."""
    if ENCODER not in bundle_names() or not (FROZEN / f"{ENCODER_TASK}-{ENCODER_RIG}.npz").is_file():
        say(f"no bundle {ENCODER} or no frozen observer of {ENCODER_TASK} at {ENCODER_RIG}: left out")
        return []
    out = []
    for name in (ENCODER, *BASELINES):
        cells: list[Cell] = cached(ENCODER_TASK, ENCODER_RIG, name, say)
        cell = next(c for c in cells if c.condition == "shown" and c.dropout == REFERENCE)
        what = f"ordinary {ENCODER_TASK} at {ENCODER_RIG} through {name}, {REFERENCE:.0%} dropout, frozen observer"
        out.append(Figure(what, cell.accuracy, "", cell.low, cell.high, "95 % over patients"))
    return out


def adaptation_figures(say: Say) -> list[Figure]:
    """Return what adapting the encoder to single patients' calibrations gained, through the true patients."""
    mapper, observer, settings = encoder.load(RUN)
    train, test = (
        sights(settings.task, n, 2 * settings.cells, settings.cells, held_out, 1)
        for n, held_out in ((1000, False), (ADAPT_CROPS, True))
    )
    before, after = [], []
    for patient in patients(settings.rig, FIRST_TESTED, ADAPTED, (DROPOUT,)):
        before.append(personal.through(mapper, observer, patient, test))
        own = personal.adapt(mapper, observer, personal.believed(patient), train, personal.Settings())
        after.append(personal.through(own, observer, patient, test))
        say(f"adapted: read {before[-1][0]:.3f} to {after[-1][0]:.3f}")
    out = []
    for column, what in enumerate(("share read by the observer trained beside", "loss of the picture")):
        for when, values in (("before", before), ("after", after)):
            some = [value[column] for value in values]
            name = f"{ENCODER} {when} adapting to one patient's calibration: {what}"
            out.append(Figure(name, float(np.mean(some)), "", min(some), max(some), f"range of {ADAPTED} patients"))
    return out


def draw(folder: Path) -> list[str]:
    """Draw each rig's learned letters, what one patient sees of them, and the ten identities."""
    rows, titles = [], []
    for rig in RIGS:
        patient = patients(rig, FIRST_TESTED, 1, (DROPOUT,))[0]
        for symbols in SYMBOLS:
            maps = codes.load(f"{symbols}-{rig}").maps[:10]
            with torch.no_grad():
                seen = patient.percepts(torch.from_numpy(maps)).numpy()
            rows += [np.concatenate(list(maps), 1), np.concatenate(list(seen), 1)]
            titles += [f"{rig}: {symbols}", "percept"]
    canvas = importlib.import_module("matplotlib.figure").Figure(figsize=(9, 1.0 * len(rows)), layout="constrained")
    for axes, row, title in zip(canvas.subplots(len(rows), 1), rows, titles, strict=True):
        axes.imshow(row, cmap="gray", vmin=0, vmax=max(float(row.max()), 1e-6), interpolation="nearest")
        axes.set_title(title, fontsize=7, loc="left")
        axes.axis("off")
    canvas.savefig(folder / "tasks_learned.png", dpi=80)
    return ["tasks_learned.png"]
