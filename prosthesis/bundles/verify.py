"""Does this machine compute what the desk computed? The bundle's recording is replayed and every output compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from prosthesis.bundles.bundle import Bundle, load_bundle
from prosthesis.bundles.reference import load_reference
from prosthesis.engines import open_engine

Measure = Literal["largest", "relative"]
# where the manifest names no tolerance: one step of a stimulator's 10-bit DAC over the output's range
STEPS = 1023


@dataclass(frozen=True, slots=True)
class Verdict:
    """One output over all recorded inputs: ``error`` by ``measure`` against ``tolerance``, from ``source``.

    ``largest`` is the greatest absolute difference and ``worst`` the number of the input it came with; ``equal`` counts
    the inputs whose outputs are the desk's bit for bit.
    """

    file: str
    output: str
    inputs: int
    equal: int
    measure: Measure
    error: float
    tolerance: float
    source: str
    largest: float
    worst: int

    @property
    def holds(self) -> bool:
        """Whether the output is the desk's, bit for bit or within tolerance."""
        return self.equal == self.inputs or self.error <= self.tolerance


@dataclass(frozen=True, slots=True)
class Verification:
    """All outputs of a bundle on this machine, and who computed on either side."""

    bundle: str
    provider: str
    desk: str
    verdicts: tuple[Verdict, ...]

    @property
    def holds(self) -> bool:
        """Whether every output does."""
        return all(verdict.holds for verdict in self.verdicts)


def verify(
    name_or_path: str | Path, engine_name: str = "onnx", provider: str = "cpu", folder: Path | None = None
) -> Verification:
    """Replay the bundle's recording on an engine of this machine; errors are ``ProsthesisError``."""
    bundle = load_bundle(name_or_path)
    reference = load_reference(bundle, folder)
    verdicts, used = [], ""
    for index, graph in enumerate(bundle.manifest.graphs):
        engine = open_engine(bundle, engine_name, provider, index)
        used = engine.provider
        got = [engine.run(given) for given in reference.inputs[graph.file]]
        wanted = reference.outputs[graph.file]
        for tensor in graph.outputs:
            pair = [[outputs[tensor.name] for outputs in side] for side in (got, wanted)]
            verdicts.append(judge(bundle, graph.file, tensor.name, pair[0], pair[1]))
    made = reference.card.made_with
    desk = f"{reference.card.engine} {made.get('onnxruntime', '')} on {made.get('machine', '?')}"
    return Verification(bundle.manifest.name, used, desk, tuple(verdicts))


def judge(
    bundle: Bundle, file: str, output: str, got: Sequence[npt.NDArray[Any]], wanted: Sequence[npt.NDArray[Any]]
) -> Verdict:
    """Compare one output's values, input by input, with those wanted; NaN equals NaN and nothing else."""
    equal = sum(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(got, wanted, strict=True)
    )
    if any(a.shape != b.shape for a, b in zip(got, wanted, strict=True)):
        return Verdict(file, output, len(got), equal, "largest", np.inf, 0.0, "shapes differ", np.inf, 0)
    a, b = (np.stack(side).astype(np.float64) for side in (got, wanted))
    measure, tolerance, source = _tolerance(bundle, file, output, b)
    away = np.where(np.isnan(a) & np.isnan(b), 0.0, np.abs(a - b))
    away = np.where(np.isnan(away), np.inf, away)
    each = away.reshape(len(got), -1).max(axis=1)
    error = float(each.max()) if measure == "largest" else relative(a, b)
    return Verdict(
        file, output, len(got), equal, measure, error, tolerance, source, float(each.max()), int(each.argmax())
    )


def relative(got: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]) -> float:
    """Return the RMS of the difference over that of ``wanted`` about its mean; 0 for equal, infinite for NaN."""
    if np.array_equal(got, wanted, equal_nan=True):
        return 0.0
    error = float(np.sqrt(np.mean((got - wanted) ** 2)))
    spread = float(wanted.std())
    return error / spread if np.isfinite(error) and spread > 0 else np.inf


def _tolerance(bundle: Bundle, file: str, output: str, wanted: npt.NDArray[np.float64]) -> tuple[Measure, float, str]:
    delivery = bundle.manifest.delivery
    for parity in delivery.parity if delivery else ():
        if (parity.file, parity.output) == (file, output):
            return parity.measure, parity.tolerance, "manifest"
    largest = float(np.nanmax(np.abs(wanted))) if np.isfinite(wanted).any() else 0.0
    return "largest", largest / STEPS, f"1/{STEPS} of the largest value"


def table(result: Verification) -> str:
    """Return the verification as text."""
    lines = [f"{result.bundle}: {result.provider} here, {result.desk} at the desk"]
    for v in result.verdicts:
        if v.equal == v.inputs:
            words = f"bit for bit on {v.inputs} inputs"
        else:
            words = (
                f"{v.measure} error {v.error:.3g}, tolerance {v.tolerance:.3g} ({v.source}); {v.equal} of {v.inputs} "
                f"bit for bit, largest difference {v.largest:.3g} on input {v.worst}"
            )
        lines.append(f"{'ok' if v.holds else 'DIFFERS':8}{v.file} {v.output}: {words}")
    return "\n".join(lines)
