"""Every shipped model at every precision: ``prosthesis results delivery``."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prosthesis.board.boards import Precision
from prosthesis.bundles.bundle import Bundle, bundle_names, load_bundle
from prosthesis.bundles.delivered import Delivered
from prosthesis.errors import ProsthesisError
from prosthesis.results import Figure, Recipe
from prosthesis_export.export import Exported, export
from prosthesis_export.frames import inputs_of
from prosthesis_export.precision.parity import session

# how a precision is called, for which board, and as what
WAYS: tuple[tuple[str, str, Precision], ...] = (
    ("FP32", "orin_nano_8gb_super", "fp32"),
    ("FP16", "orin_nano_8gb_super", "fp16"),
    ("INT8 TensorRT", "orin_nano_8gb_super", "int8"),
    ("INT8 laptop", "laptop_cpu", "int8"),
)
HEAVY_MS, ROUNDS, FEW = 2.0, 5, 4
RATIO = 0.7  # of INT8's time to FP32's, that the laptop's should not exceed
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Made:
    """One model in one way: what was made, or why it was refused and what it is with all layers lowered.

    ``loose`` is that with all layers lowered where tolerance put some back.
    """

    model: str
    way: str
    exported: Exported
    refused: str
    loose: Exported | None = None

    @property
    def delivery(self) -> Delivered:
        """What its manifest says of it."""
        delivery = self.exported.bundle.manifest.delivery
        assert delivery is not None
        return delivery


def measure(say: Say) -> list[Figure]:
    """Return a summary, then one figure of each output of each model at each precision, then times."""
    made: list[Made] = []
    times: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        for model in bundle_names():
            for way, board, precision in WAYS:
                one = make(model, way, board, precision, Path(folder), say)
                made.append(one)
                say("; ".join(f"{f.name} {f.value:.3g} {f.unit} ({f.interval})" for f in rows(one)))
            times += ratios(load_bundle(model), made[-1].exported.bundle)
        # while the bundles are there
        return [*summary(made, times), *(figure for one in made for figure in rows(one)), *times]


def make(model: str, way: str, board: str, precision: Precision, folder: Path, say: Say) -> Made:
    """Export a model, and when that is refused for its errors, say so and export it all the same."""
    try:
        found = export(model, board, precision, folder, say=say)
        delivery = found.bundle.manifest.delivery
        if delivery is None or found.whole == delivery.parity:
            return Made(model, way, found, "")
        loose = export(model, board, precision, folder / "loose", allow_mismatch=True, say=say)
        return Made(model, way, found, "", loose)
    except ProsthesisError as error:
        return Made(model, way, export(model, board, precision, folder, allow_mismatch=True, say=say), str(error))


def rows(one: Made) -> list[Figure]:
    """Return the error of each output; the first row has what is the same for all."""
    shared, out = common(one), []
    for row, whole in zip(one.delivery.parity, one.exported.whole, strict=True):
        held = "within" if row.holds else "ABOVE"
        told = f"{held} {row.tolerance:.2g}; largest difference {row.largest:.2g}"
        if whole != row:
            told += f"; {whole.error:.2g} (largest {whole.largest:.2g}) with all layers lowered"
        name = f"{one.model}, {one.way}: {row.file} {row.output}"
        out.append(Figure(name, row.error, f"{row.measure} error", interval=told + shared))
        shared = ""
    return out


def common(one: Made) -> str:
    """Return layers, size, legality and task score in words."""
    delivery, bundle = one.delivery, one.exported.bundle
    lowered, of = sum(part.lowered for part in delivery.layers), sum(part.of for part in delivery.layers)
    size = sum(bundle.graph_path(graph).stat().st_size for graph in bundle.manifest.graphs) / 1e6
    legal = {True: "legal", False: "ILLEGAL", None: "legality not asked"}[delivery.legality.legal]
    score = delivery.task_score
    points = f"; task {score.before:.1%} to {score.after:.1%} of {score.trials}" if score else ""
    loose = one.loose.bundle.manifest.delivery if one.loose else None
    if loose is not None and loose.task_score is not None:
        points += f", {loose.task_score.after:.1%} with all layers lowered"
    refused = (
        f"; REFUSED without --allow-mismatch: {one.refused.partition(' use a higher')[0].rstrip(':;')}"
        if one.refused
        else ""
    )
    return f"; {lowered} of {of} layers, {size:.2f} MB, {legal}{points}{refused}"


def ratios(before: Bundle, after: Bundle) -> list[Figure]:
    """Return how much CPU time each heavy graph takes of FP32's, run in turns on the same inputs on one thread."""
    out = []
    for graph in before.manifest.graphs:
        inputs = inputs_of(before, held_out=True).of[graph.file][:FEW]
        both = [session(bundle.graph_path(graph).read_bytes()) for bundle in (before, after)]
        spent: list[list[float]] = [[], []]
        for one in list(inputs) * ROUNDS:
            for opened, times in zip(both, spent, strict=True):
                began = time.process_time()
                opened.run(None, dict(one))
                times.append(1e3 * (time.process_time() - began))
        float_ms, int8_ms = np.array(spent[0]), np.array(spent[1])
        if np.median(float_ms) < HEAVY_MS:
            continue
        low, high = np.percentile(int8_ms / float_ms, [25, 75])
        name = f"{before.manifest.name}, INT8 laptop: {graph.file}, CPU time over FP32's"
        told = f"25 to 75 % of {len(int8_ms)} pairs; FP32 {np.median(float_ms):.1f} ms; target {RATIO}"
        out.append(Figure(name, float(np.median(int8_ms) / np.median(float_ms)), "", float(low), float(high), told))
    return out


def summary(made: Sequence[Made], times: Sequence[Figure]) -> list[Figure]:
    """Return counts against what was aimed at."""
    asked = [one for one in made if one.delivery.legality.legal is not None]
    scores = [one.delivery.task_score for one in made if one.delivery.precision == "int8"]
    worst = min((score.change_points for score in scores if score is not None), default=0.0)
    fast = sum(figure.value <= RATIO for figure in times)
    none = sum(
        sum(part.lowered for part in one.delivery.layers) == 0 for one in made if one.delivery.precision != "fp32"
    )
    return [
        Figure("exports within every tolerance", sum(not one.refused for one in made), f"of {len(made)}"),
        Figure(
            "exports for TensorRT that are legal",
            sum(bool(o.delivery.legality.legal) for o in asked),
            f"of {len(asked)}",
        ),
        Figure("FP16 and INT8 exports in which tolerance left no layer lowered", none, ""),
        Figure("worst change of a task score by INT8", worst, "points", interval="at most 2 may be lost"),
        Figure(f"heavy graphs with INT8 at most {RATIO} of FP32's CPU time", fast, f"of {len(times)}"),
    ]


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _measure() -> Sequence[Figure]:
    return measure(_say)


RECIPE = Recipe(
    "Every shipped model at every precision",
    "Each row is one output of one graph, on real inputs that calibration did not see. Maps of brightness are judged "
    "by their largest difference, of which two steps of a 10-bit converter (0.002) are allowed; all else by the root "
    "mean square of the error over that of the output about its mean, of which 0.1 is allowed in INT8 and 0.01 in "
    "FP16. Output layers stay float, and so do as many more as these tolerances demand. Where the task score falls by"
    " more than 2 points all the same, 1/2, 1/4, 1/8 and none of the tolerances are tried in turn. Legality is what "
    "TensorRT-RTX's importer and builder say with no GPU; nothing here ran on a Jetson. ONNX Runtime's CPU provider "
    "computes FP16 in FP32, so errors of FP16 are those of its weights and of rounding between layers. Task scores "
    "are of the same trials before and after.",
    _measure,
)
