"""What frozen observers read off percepts: every task at every rig through every baseline, with controls.

Encoders of a task's own are added where they are: ``OWN`` names them by task, as ``prosthesis score task`` does. Cells
are cached as JSON, so that a run that was cut goes on where it stopped; tasks without an observer at a rig are left
out and named.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path

from prosthesis.bundles.bundle import MANIFEST, MODELS, bundle_names
from prosthesis.config import load_rig
from prosthesis.recording.identity import rig_text
from prosthesis.results import Figure
from prosthesis_train.observers.observer import FROZEN
from prosthesis_train.scores.tasks.scoring import DROPOUTS, REFERENCE, SEEDS, Cell, score
from prosthesis_train.tasks.under_test import under_test

RIGS = ("argus60", "utah96", "icvp400", "nhp1024")
TASKS = (
    *("letters", "words", "digits", "objects", "faces", "landolt", "grating"),
    *("obstacle-side", "obstacle-distance", "obstacle-contact", "motion"),
)
# the last knows the patient, and is no network
BASELINES = ("luminance-32", "contrast-32", "edges-32", "saliency-32", "fitted")
# encoders of ours by task
OWN: dict[str, tuple[str, ...]] = {
    "letters": ("text-letters", "learned-letters-32"),
    "words": ("text-letters", "learned-letters-32"),
    "faces": ("prosthesis_train.studies.tasks.face_maps:maps", "prosthesis_train.studies.tasks.face_maps:caricatures"),
    "obstacle-side": ("obstacle-flow", "learned-obstacle-32"),
    "obstacle-distance": ("obstacle-flow", "learned-obstacle-32"),
    "obstacle-contact": ("obstacle-flow", "learned-obstacle-32"),
}
TRIALS = 104
# issue 6's targets at 20 % dropout: task, question, rig, least accuracy
TARGETS = (
    ("letters", "", "utah96", 0.95),
    ("words", "spelt", "utah96", 0.80),
    ("letters", "", "argus60", 0.80),
    ("letters", "", "icvp400", 0.99),
    ("faces", "which of 4", "utah96", 0.55),
    ("faces", "which of 4", "icvp400", 0.75),
    ("obstacle-side", "", "argus60", 0.90),
)
CELLS = Path("runs/tasks/recognition")
Say = Callable[[str], None]


def measure(say: Say) -> list[Figure]:
    """Return each target beside the best that was reached, ours beside the classical, and every cell."""
    found = [cell for cells in _measured(say) for cell in cells]
    targets = [_against(*target, found) for target in TARGETS]
    return [*targets, *_compared(found), *(_figure(cell) for cell in found)]


def draw(folder: Path) -> list[str]:
    """Draw accuracy at the reference dropout, a panel a task, a group a rig, a bar an encoder, chance as a line."""
    cells = [c for found in _measured(lambda text: None) for c in found if _shown(c)]
    tasks = list(dict.fromkeys(c.task for c in cells))
    canvas = importlib.import_module("matplotlib.figure").Figure(figsize=(12, 2.6 * len(tasks)), layout="constrained")
    for axes, task in zip(canvas.subplots(len(tasks), 1, squeeze=False)[:, 0], tasks, strict=True):
        some = [c for c in cells if c.task == task]
        encoders = list(dict.fromkeys(c.encoder for c in some))
        for k, encoder in enumerate(encoders):
            mine = [c for c in some if c.encoder == encoder]
            where = [RIGS.index(c.rig) + (k - len(encoders) / 2) * 0.8 / len(encoders) for c in mine]
            spread = [[c.accuracy - c.low for c in mine], [c.high - c.accuracy for c in mine]]
            axes.bar(where, [c.accuracy for c in mine], 0.8 / len(encoders), yerr=spread, label=encoder, capsize=2)
        axes.axhline(some[0].chance, color="black", linestyle=":")
        axes.set(title=f"{task} {some[0].question}", ylim=(0, 1), xticks=range(len(RIGS)), xticklabels=RIGS)
        axes.legend(fontsize=7, ncols=4)
    canvas.savefig(folder / "tasks_recognition.png", dpi=80)
    return ["tasks_recognition.png"]


def _measured(say: Say) -> Iterator[list[Cell]]:
    for rig, task in product(RIGS, TASKS):
        observed = _observed(task)
        if not (FROZEN / f"{observed}-{rig}.npz").is_file():
            say(f"{task} at {rig}: no observer; python -m prosthesis_train.observers.train {observed} {rig}")
            continue
        for encoder in (*BASELINES, *OWN.get(task, ())):
            yield cached(task, rig, encoder, say)


def cached(task: str, rig: str, encoder: str, say: Say) -> list[Cell]:
    """Return the cells of one task, rig and encoder, measured once by this observer through this model of this rig."""
    path = CELLS / f"{task}-{rig}-{encoder.replace('/', '_').replace(':', '_')}-{_digest(task, rig, encoder)}.json"
    if not path.is_file():
        say(f"{task} at {rig} through {encoder}")
        cells = score(task, rig, under_test(encoder), SEEDS, DROPOUTS, TRIALS, say)
        CELLS.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([asdict(cell) for cell in cells]), encoding="utf-8")
    return [Cell(**(said | {"each": tuple(said["each"])})) for said in json.loads(path.read_text(encoding="utf-8"))]


def _digest(task: str, rig: str, encoder: str) -> str:
    """Return what tells rigs, observers and shipped models of the same name apart."""
    parts = [rig_text(load_rig(rig)).encode(), (FROZEN / f"{_observed(task)}-{rig}.npz").read_bytes()]
    if encoder in bundle_names():
        parts.append((MODELS / encoder / MANIFEST).read_bytes())
    return hashlib.sha256(b"".join(parts)).hexdigest()[:8]


def _observed(task: str) -> str:
    return "letters" if task == "words" else task


def _shown(cell: Cell) -> bool:
    """Return whether this is a task's first question, at the reference dropout, no control."""
    first = cell.question in ("", "which of 4", "spelt")
    return cell.condition == "shown" and cell.dropout == REFERENCE and first


def _figure(cell: Cell) -> Figure:
    what = f"{cell.task} {cell.question}".strip()
    name = f"{what}, {cell.rig}, {cell.encoder}, {cell.dropout:.0%} dropout, {cell.condition}"
    of = f"95 % over {len(cell.each)} patients x {cell.trials} answers"
    column = f"{cell.dropout:.0%} dropout" if cell.condition == "shown" else f"{cell.condition}, {cell.dropout:.0%}"
    low, middle, high = (_percent(share) for share in (cell.low, cell.accuracy, cell.high))
    return Figure(
        name, middle, "%", low, high, of,
        grid=f"{what}: per cent right, chance {cell.chance:.1%}",
        row=f"{cell.rig}, {_short(cell.encoder)}{' (told)' if cell.told else ''}",
        column=column,
    )  # fmt: skip


def _compared(cells: list[Cell]) -> list[Figure]:
    """Return the best of ours beside the best classical encoder and ``fitted``, for each task and rig that has ours."""
    out: list[Figure] = []
    shown = [c for c in cells if _shown(c)]
    for task, rig in product(OWN, RIGS):
        some = [c for c in shown if (c.task, c.rig) == (task, rig)]
        own = [c for c in some if c.encoder in OWN[task]]
        if not own:
            continue
        ours = max(own, key=lambda c: c.accuracy)
        classical = max((c for c in some if c.encoder in BASELINES[:-1]), key=lambda c: c.accuracy)
        verdict = "beats" if ours.low > classical.high else "loses to" if ours.high < classical.low else "is level with"
        row = f"{task} at {rig}: {_short(ours.encoder)} {verdict} {classical.encoder}"
        beside = [c for c in some if c.encoder == BASELINES[-1]]
        for column, cell in (("best classical", classical), ("ours", ours), *(("fitted", c) for c in beside)):
            figure = replace(_figure(cell), grid=f"Ours and the best classical encoder, {REFERENCE:.0%} dropout")
            out.append(replace(figure, row=row, column=column))
    return out


def _percent(share: float) -> float:
    return round(100 * share, 1)


def _short(encoder: str) -> str:
    """Return a function without its package."""
    return encoder.rsplit(".", 1)[-1] if ":" in encoder else encoder


def _against(task: str, question: str, rig: str, least: float, cells: list[Cell]) -> Figure:
    """Return the best accuracy that any encoder reached, named with its target."""
    some = [c for c in cells if (c.task, c.question, c.rig) == (task, question, rig) and _shown(c)]
    name = f"{task} at {rig}, {REFERENCE:.0%} dropout, at least {least:.0%}"
    if not some:
        return Figure(f"{name}; no observer yet", float("nan"), "")
    best = max(some, key=lambda c: c.accuracy)
    low, middle, high = (_percent(share) for share in (best.low, best.accuracy, best.high))
    of = f"95 % over {len(best.each)} patients x {best.trials} answers"
    return Figure(f"{name}; best: {_short(best.encoder)}", middle, "%", low, high, of)
