"""``prosthesis export``: a model to a bundle for one board, through every gate, with parity, task score, estimate."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnx

import prosthesis
from prosthesis.board.boards import BoardConfig, Precision, load_board
from prosthesis.bundles.bundle import MANIFEST, Bundle, Graph, Manifest, load_bundle
from prosthesis.bundles.delivered import Calibrated, Delivered, Estimated, Layers, Legality, Parity, TaskScore
from prosthesis.errors import ConfigError, ProsthesisError
from prosthesis_export import gates
from prosthesis_export.estimate.estimate import estimate
from prosthesis_export.estimate.roofline import Range
from prosthesis_export.frames import Inputs, Inputset, inputs_of
from prosthesis_export.legality import legality, together
from prosthesis_export.precision.graphs import layers, prepare
from prosthesis_export.precision.lower import Lowered, lower
from prosthesis_export.precision.parity import Reference, parity, reference
from prosthesis_export.sources import open_source
from prosthesis_export.taskscore import task_score

Recipe = Literal["fp32", "fp16", "int8-cpu", "int8-tensorrt"]
OUT = Path("bundles")
MOST_POINTS = 2.0  # of a task score that a lower precision may cost
# of the tolerances, each tried until the task score holds: parity of a text finder says little of words that are read
SHARES = (1.0, 0.5, 0.25, 0.125, 0.0)
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """A bundle made, and what its errors would be with every layer but the outputs' lowered."""

    bundle: Bundle
    whole: tuple[Parity, ...]


def export(
    model: str | Path,
    board: str,
    precision: Precision | None = None,
    out: Path = OUT,
    allow_mismatch: bool = False,
    say: Say = lambda text: None,
) -> Exported:
    """Write ``out/MODEL-BOARD-PRECISION`` and return it.

    ``precision`` is by default fp16 where the board runs it, else fp32. Raises ``ConfigError`` for a model, board or
    precision that there is not, ``GateError`` for a graph that must not be delivered, and ``ProsthesisError`` when
    parity or task score miss their tolerance, unless ``allow_mismatch``.
    """
    config = load_board(board)
    chosen = _precision(config, precision)
    with tempfile.TemporaryDirectory() as scratch:
        source = open_source(model, Path(scratch))
        recipe = _recipe(config, chosen)
        say(f"{source.manifest.name}: {chosen} for {config.name} ({recipe})")
        made = Path(scratch) / "made"
        made.mkdir()
        delivery, whole = _make(source, made, config, chosen, recipe, allow_mismatch, say)
        _refuse(delivery, allow_mismatch)
        target = out / f"{source.manifest.name}-{config.name}-{chosen}"
        if target.exists():
            shutil.rmtree(_ours(target))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(made, target)
    return Exported(load_bundle(target), whole)


def _precision(board: BoardConfig, asked: Precision | None) -> Precision:
    known = board.processor.operations
    chosen: Precision = asked or ("fp16" if "fp16" in known else "fp32")
    if chosen not in known:
        raise ConfigError(f"board '{board.name}' does not run {chosen}; use one of: {', '.join(known)}")
    return chosen


def _recipe(board: BoardConfig, precision: Precision) -> Recipe:
    if precision != "int8":
        return precision
    return "int8-cpu" if board.processor.type == "cpu" else "int8-tensorrt"


def _ours(folder: Path) -> Path:
    if not (folder / MANIFEST).is_file():
        raise ConfigError(f"{folder}: is there and is no bundle; give another --out")
    return folder


def _make(
    source: Bundle, folder: Path, board: BoardConfig, precision: Precision, recipe: Recipe, loose: bool, say: Say
) -> tuple[Delivered, tuple[Parity, ...]]:
    on_gpu, ours = board.processor.type == "gpu", not source.manifest.weights
    for graph in source.manifest.graphs:
        gates.check(source.graph_path(graph).read_bytes(), graph, ours, on_gpu)
    inputs = inputs_of(source, held_out=True)
    calibration = inputs_of(source, held_out=False) if precision == "int8" else None
    for share in (math.inf,) if loose else SHARES:
        parts = [_graph(source, graph, recipe, inputs, calibration, share, say) for graph in source.manifest.graphs]
        manifest = _write_graphs(source, folder, [content for content, _ in parts])
        say("  task score")
        score = task_score(source, load_bundle(folder))
        if not _falls(score):
            break
        say(f"  it falls from {score.before:.1%} to {score.after:.1%}: more layers stay as they were")
    for graph in manifest.graphs:
        gates.check((folder / graph.file).read_bytes(), graph, ours, on_gpu)
    delivery = Delivered(
        board=board.name,
        precision=precision,
        recipe=recipe,
        source_sha256=tuple(graph.sha256 for graph in source.manifest.graphs),
        layers=tuple(part.layers for _, part in parts),
        calibration=_calibrated(calibration),
        parity=tuple(row for _, part in parts for row in part.parity),
        task_score=score,
        legality=together(
            [_legality(content, graph, on_gpu) for graph, (content, _) in zip(manifest.graphs, parts, strict=True)]
        ),
        estimate=_estimated(folder, board.name, precision),
        made_with=_versions(),
    )
    _write(folder, manifest.model_copy(update={"delivery": delivery}))
    return delivery, tuple(row for _, part in parts for row in part.whole)


def _graph(
    source: Bundle,
    graph: Graph,
    recipe: Recipe,
    inputs: Inputset,
    calibration: Inputset | None,
    share: float,
    say: Say,
) -> tuple[bytes, Lowered]:
    say(f"  {graph.file}: parity on {len(inputs.of[graph.file])} real inputs")
    original = source.graph_path(graph).read_bytes()
    known: Reference = reference(original, inputs.of[graph.file])
    model = onnx.load_from_string(original)
    if recipe == "fp32":
        lowered = _as_it_is(graph, model, original, known)
    else:
        some: list[Inputs] = calibration.of[graph.file] if calibration else []
        lowered = lower(graph, model, recipe, some, known, share)
    return gates.cleaned(lowered.model).SerializeToString(deterministic=True), lowered


def _write_graphs(source: Bundle, folder: Path, contents: Sequence[bytes]) -> Manifest:
    graphs = []
    for graph, content in zip(source.manifest.graphs, contents, strict=True):
        (folder / graph.file).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        graphs.append(graph.model_copy(update={"sha256": digest, "opset": _opset(content)}))
    manifest = source.manifest.model_copy(update={"graphs": tuple(graphs)})
    _write(folder, manifest)
    return manifest


def _legality(content: bytes, graph: Graph, on_gpu: bool) -> Legality:
    return legality(content, graph.file) if on_gpu else Legality(checker="not asked: no TensorRT there", legal=None)


def _falls(score: TaskScore) -> bool:
    return -score.change_points > MOST_POINTS


def _as_it_is(graph: Graph, model: Any, content: bytes, known: Reference) -> Lowered:
    rows = parity(graph, content, known, "fp32")
    return Lowered(model, Layers(file=graph.file, lowered=0, of=len(layers(prepare(model)))), rows, rows)


def _refuse(delivery: Delivered, loose: bool) -> None:
    """Refuse what misses a tolerance; what TensorRT refuses is refused always."""
    if delivery.legality.legal is False:
        raise ProsthesisError(
            f"TensorRT does not take it: {'; '.join(delivery.legality.errors)}; use another precision"
        )
    if loose:
        return
    missed = [row for row in delivery.parity if not row.holds]
    remedy = "use a higher precision, or --allow-mismatch to write it anyway"
    if missed:
        told = "; ".join(f"{r.file} '{r.output}' {r.measure} {r.error:.2g} of {r.tolerance:.2g}" for r in missed)
        raise ProsthesisError(f"differs from its source by more than its tolerance: {told}; {remedy}")
    score: TaskScore | None = delivery.task_score
    if score is not None and _falls(score):
        raise ProsthesisError(
            f"task score falls from {score.before:.1%} to {score.after:.1%} ({score.measure}); "
            f"at most {MOST_POINTS:.0f} points of {score.trials} trials may be lost: {remedy}"
        )


def _write(folder: Path, manifest: Manifest) -> None:
    text = json.dumps(manifest.model_dump(mode="json", exclude_defaults=True), indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _opset(content: bytes) -> int:
    return int(onnx.load_from_string(content).opset_import[0].version)


def _calibrated(inputs: Inputset | None) -> Calibrated | None:
    if inputs is None:
        return None
    return Calibrated(inputs=inputs.count, sha256=inputs.sha256, source=inputs.source)


def _estimated(folder: Path, board: str, precision: Precision) -> Estimated:
    found = estimate(folder, board, None, precision)

    def ends(values: Range, factor: float) -> tuple[float, float, float]:
        return tuple(float(f"{factor * value:.4g}") for value in (values.low, values.middle, values.high))  # type: ignore[return-value]

    return Estimated(
        mode=found.mode,
        latency_ms=ends(found.latency_s, 1e3),
        energy_mj=ends(found.energy_j, 1e3) if math.isfinite(found.energy_j.middle) else None,
        memory_mb=ends(found.memory_bytes, 1e-6),
        frames_per_s=ends(found.frames_per_s, 1.0),
        fits=found.fits,
    )


def _versions() -> dict[str, str]:
    packages = {name: importlib.metadata.version(name) for name in ("onnx", "onnxruntime")}
    return {"prosthesis": prosthesis.__version__, **packages}
