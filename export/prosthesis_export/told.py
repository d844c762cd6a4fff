"""What ``prosthesis export`` prints: layers, errors, task score, legality and estimate of what it made."""

from __future__ import annotations

from prosthesis.bundles.delivered import Delivered, Legality, Parity
from prosthesis_export.export import Exported


def text(made: Exported) -> str:
    """Return the report of one export."""
    delivery = made.bundle.manifest.delivery
    assert delivery is not None
    lines = [f"{made.bundle.folder}: {delivery.precision} for {delivery.board} ({delivery.recipe})"]
    lines += [f"  {part.file}: {part.lowered} of {part.of} layers in {delivery.precision}" for part in delivery.layers]
    lines += [f"  {told(row)}" for row in delivery.parity]
    if made.whole != delivery.parity:
        lines.append("  with every layer but the outputs' lowered it would be:")
        lines += [f"    {told(row)}" for row in made.whole]
    return "\n".join([*lines, *_rest(delivery)])


def told(row: Parity) -> str:
    """Return one output's error as a line."""
    held = "within" if row.holds else "ABOVE"
    return (
        f"{row.file} '{row.output}': {row.measure} error {row.error:.2g}, {held} {row.tolerance:.2g} "
        f"(largest difference {row.largest:.3g}, {row.inputs} real inputs)"
    )


def legal(answer: Legality) -> str:
    """Return the legality as a few words."""
    if answer.legal is None:
        return answer.checker
    return f"legal ({answer.checker})" if answer.legal else f"ILLEGAL ({answer.checker}): {'; '.join(answer.errors)}"


def _rest(delivery: Delivered) -> list[str]:
    score, cost = delivery.task_score, delivery.estimate
    out = []
    if delivery.calibration is not None:
        known = delivery.calibration
        out.append(f"  calibrated on {known.inputs} inputs, {known.source}; sha256 {known.sha256[:16]}")
    if score is not None:
        out.append(
            f"  task: {score.before:.1%} before, {score.after:.1%} after ({score.change_points:+.1f} points of "
            f"{score.trials} trials): {score.measure}"
        )
    out.append(f"  TensorRT: {legal(delivery.legality)}")
    energy = f"{cost.energy_mj[0]:.3g} to {cost.energy_mj[2]:.3g} mJ a frame" if cost.energy_mj else "energy not known"
    out.append(
        f"  estimate, {cost.mode}: {cost.latency_ms[0]:.3g} to {cost.latency_ms[2]:.3g} ms, {energy}; "
        f"fits in memory: {cost.fits}"
    )
    return out
