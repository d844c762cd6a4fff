"""The same inputs through every engine that is here: latency, memory, energy, and how far outputs are from the first's.

Each engine runs in a process of its own, so that its memory is its own and one that crashes costs one row.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.board.power import Meter
from prosthesis.bundles.bundle import Bundle, load_bundle
from prosthesis.bundles.reference import FOLDER, Inputs, clip_inputs, load_reference
from prosthesis.bundles.verify import relative
from prosthesis.engines import open_engine
from prosthesis.errors import ConfigError, ProsthesisError
from prosthesis.protocols import Engine
from prosthesis.timing import Percentiles, percentiles

# by name: engine and provider as ``open_engine`` takes them
ENGINES: dict[str, tuple[str, str]] = {
    "onnx": ("onnx", "cpu"),
    "openvino": ("openvino", "cpu"),
    "cuda": ("onnx", "cuda"),
    "onnx-tensorrt": ("onnx", "tensorrt"),
    "tensorrt": ("tensorrt", ""),
}
# what to look for before a process is started for nothing
PACKAGES = {"openvino": ("openvino",), "tensorrt": ("tensorrt", "cuda"), "cuda": ("onnxruntime",)}
TORCH = "torch"
SCORES = "prosthesis.taskscores"  # entry points: the desk's task score of a bundle, on engines that are given to it
RUNS, WARM_UP, LIMIT_S = 100, 10, 900.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One bundle on one engine; all graphs of the bundle once are one run.

    ``absent`` says why there are no figures. ``memory_mb`` is what the process grew by at its peak, ``energy_mj`` the
    whole board's for one run, ``None`` where it has no sensor. ``largest`` and ``relative`` are the greatest
    differences from the first row's outputs, ``None`` for that row and where outputs are not the same. ``score`` is
    the task's on this engine, and ``exported`` what the bundle's manifest says of it before and after export.
    """

    bundle: str
    engine: str
    provider: str = ""
    absent: str = ""
    latency: Percentiles | None = None
    memory_mb: float | None = None
    watts: float | None = None
    energy_mj: float | None = None
    largest: float | None = None
    relative: float | None = None
    elsewhere: str = ""
    score: float | None = None
    exported: str = ""


def compare(
    bundles: Sequence[str],
    engines: Sequence[str],
    runs: int = RUNS,
    scored: bool = False,
    say: Say = lambda text: None,
) -> list[Row]:
    """Run each bundle on each engine and return a row each, absent ones too; errors are ``ProsthesisError``.

    ``scored`` asks the desk's task score on each engine too, which takes up to a minute each.
    Inputs are the first bundle's recording, or frames of the shipped clip when it has none. Bundles after the first
    are other deliveries of it: their inputs must be the same.
    """
    loaded = [load_bundle(name) for name in bundles]
    inputs = _inputs(loaded[0])
    _check(bundles, loaded, engines)
    rows: list[Row] = []
    first: dict[str, npt.NDArray[Any]] | None = None
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "inputs.npz"
        _save(
            given,
            {
                f"{g}/{k}/{n}": a
                for g, some in enumerate(inputs.values())
                for k, i in enumerate(some)
                for n, a in i.items()
            },
        )
        for name, bundle in zip(bundles, loaded, strict=True):
            for engine in engines:
                say(f"{name} on {engine}")
                row, outputs = _row(name, bundle, engine, runs, scored, given)
                if outputs is not None and first is not None:
                    largest, spread = _differences(outputs, first)
                    row = replace(row, largest=largest, relative=spread)
                first = first if first is not None else outputs
                rows.append(row)
    return rows


def measure_here(
    bundle_path: str, engine_name: str, provider: str, runs: int, scored: bool, given: str, results: str
) -> dict[str, Any]:
    """Measure one engine in this process, write its outputs to ``results`` and return what was measured."""
    bundle = load_bundle(Path(bundle_path))
    with np.load(given, allow_pickle=False) as stored:
        arrays = {key: stored[key] for key in stored.files}
    before_mb = _peak_mb()
    engines = [open_engine(bundle, engine_name, provider, index) for index in range(len(bundle.manifest.graphs))]
    count = 1 + max(int(key.split("/")[1]) for key in arrays)
    turns = [
        [{t.name: arrays[f"{g}/{k}/{t.name}"] for t in graph.inputs} for g, graph in enumerate(bundle.manifest.graphs)]
        for k in range(count)
    ]
    outputs = {
        f"{g}/{k}/{name}": value
        for k, turn in enumerate(turns)
        for g, (engine, values) in enumerate(zip(engines, turn, strict=True))
        for name, value in engine.run(values).items()
    }
    _save(Path(results), outputs)
    samples: list[int] = []
    for number in range(WARM_UP):
        _once(engines, turns[number % count])
    with Meter() as meter:
        for number in range(runs):
            began = time.monotonic_ns()
            _once(engines, turns[number % count])
            samples.append(time.monotonic_ns() - began)
    peak_mb = _peak_mb()
    return {
        "provider": engines[0].provider,
        "elsewhere": "; ".join(filter(None, (getattr(engine, "elsewhere", "") for engine in engines))),
        "latency": asdict(percentiles(samples)),
        "memory_mb": peak_mb - before_mb,
        "watts": meter.drawn.watts if meter.drawn else None,
        "energy_mj": meter.drawn.watts * meter.drawn.seconds / runs * 1e3 if meter.drawn else None,
        "score": _score(bundle, engines) if scored else None,
    }


def _score(bundle: Bundle, engines: Sequence[Engine]) -> float:
    """Return the task score by the desk, which the device does not know."""
    (point, *_) = entry_points(group=SCORES) or (None,)
    if point is None:
        raise ConfigError(
            "task scores are the desk's: pip install 'prosthesis[laptop,train,export]', or leave out --score"
        )
    return float(point.load()(bundle, engines.__getitem__)[0])


def _once(engines: Sequence[Any], turn: Sequence[Any]) -> None:
    for engine, values in zip(engines, turn, strict=True):
        engine.run(values)


def _peak_mb() -> float:
    # Linux counts it in KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _inputs(bundle: Bundle) -> Inputs:
    if (bundle.folder / FOLDER).is_dir():
        return load_reference(bundle).inputs
    return clip_inputs(bundle)


def _check(names: Sequence[str], bundles: Sequence[Bundle], engines: Sequence[str]) -> None:
    known = (*ENGINES, TORCH)
    for engine in engines:
        if engine not in known:
            raise ConfigError(f"engine '{engine}': unknown to 'compare'; use {', '.join(known)}")
    shapes = [[[(t.name, t.shape, t.dtype) for t in g.inputs] for g in b.manifest.graphs] for b in bundles]
    for name, shape in zip(names, shapes, strict=True):
        if shape != shapes[0]:
            raise ConfigError(f"'{name}' takes other inputs than '{names[0]}'; compare deliveries of one model")


def _row(
    name: str, bundle: Bundle, engine: str, runs: int, scored: bool, given: Path
) -> tuple[Row, dict[str, Any] | None]:
    told = bundle.manifest.delivery.task_score if bundle.manifest.delivery else None
    row = Row(name, engine, exported=f"{told.before:.3f} -> {told.after:.3f}" if told else "")
    if engine == TORCH:
        return replace(row, absent="bundles carry no PyTorch network; 'prosthesis export' states its parity"), None
    missing = [package for package in PACKAGES.get(engine, ()) if find_spec(package) is None]
    if missing:
        return replace(row, absent=f"{', '.join(missing)} not installed; see docs/deploy.md"), None
    results = given.with_name("outputs.npz")
    call = (str(bundle.folder.resolve()), *ENGINES[engine], runs, scored, str(given), str(results))
    command = [sys.executable, "-c", f"from prosthesis.bundles import compare; compare.child{call!r}"]
    try:
        # an engine's build and warnings are for the person: stderr stays theirs
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return replace(row, absent=f"took longer than {LIMIT_S:.0f} s"), None
    try:
        found = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return replace(row, absent=f"the process died with exit code {done.returncode}"), None
    if "absent" in found:
        return replace(row, absent=found["absent"]), None
    with np.load(results, allow_pickle=False) as stored:
        outputs = {key: stored[key] for key in stored.files}
    results.unlink()
    return replace(row, **(found | {"latency": Percentiles(**found["latency"])})), outputs


def child(*call: Any) -> None:
    """Be the process of one engine: print one line of JSON."""
    try:
        told = measure_here(*call)
    except ProsthesisError as error:
        told = {"absent": str(error)}
    sys.stdout.write(json.dumps(told) + "\n")


def _differences(outputs: dict[str, Any], first: dict[str, Any]) -> tuple[float | None, float | None]:
    if outputs.keys() != first.keys() or any(outputs[key].shape != first[key].shape for key in first):
        return None, None
    names = sorted({(key.split("/")[0], key.split("/")[2]) for key in first})
    largest, worst = 0.0, 0.0
    for graph, name in names:
        keys = [key for key in first if (key.split("/")[0], key.split("/")[2]) == (graph, name)]
        a, b = (np.stack([side[key] for key in keys]).astype(np.float64) for side in (outputs, first))
        largest = max(largest, float(np.abs(a - b).max()))
        worst = max(worst, relative(a, b))
    return largest, worst


def _save(path: Path, arrays: dict[str, Any]) -> None:
    with path.open("wb") as out:
        np.savez(out, **arrays)


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text, absent engines beneath with the reason."""
    wide = max(12, *(len(row.bundle) for row in rows))
    lines = [
        f"{'bundle':{wide}}  {'engine':14}{'p50':>8}{'p95':>8}{'p99':>8} ms{'peak':>8} MB{'energy':>9} mJ"
        f"{'largest':>10}{'relative':>10}{'score':>8}  at export"
    ]
    for row in rows:
        if row.latency is None:
            continue
        t = row.latency
        lines.append(
            f"{row.bundle:{wide}}  {row.engine:14}{t.p50_ms:8.2f}{t.p95_ms:8.2f}{t.p99_ms:8.2f}   "
            f"{_number(row.memory_mb, '8.0f')}   {_number(row.energy_mj, '9.1f')}   "
            f"{_number(row.largest, '10.2g')}{_number(row.relative, '10.2g')}{_number(row.score, '8.3f')}  "
            f"{row.exported or '-'}"
        )
        lines += [f"{'':{wide}}    {row.provider}" + (f"; {row.elsewhere}" if row.elsewhere else "")]
    lines += [f"{row.bundle} on {row.engine}: absent: {row.absent}" for row in rows if row.absent]
    return "\n".join(lines)


def _number(value: float | None, form: str) -> str:
    wide = form.partition(".")[0]
    return f"{'-':>{wide}}" if value is None or math.isnan(value) else f"{value:{form}}"
