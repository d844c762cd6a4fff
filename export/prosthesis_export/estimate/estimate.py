"""The estimate of a bundle on a board: time, energy, memory and frame rate as ranges, and what dominates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prosthesis.board.boards import BoardConfig, JetpackConfig, Mode, Precision, load_board, load_jetpack
from prosthesis.bundles.bundle import load_bundle
from prosthesis_export.estimate.counting import count, written_in
from prosthesis_export.estimate.fit import caveat, efficiency_of
from prosthesis_export.estimate.layers import Layer
from prosthesis_export.estimate.resources import energy_j, idle_w, memory_bytes, usable_bytes
from prosthesis_export.estimate.roofline import Cost, Range, costs

# of kernels; published MobileNets, which have a sixth, were outside of their ranges
DEPTHWISE_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class GraphCost:
    """One graph of a bundle, its layers' costs in the order they run."""

    file: str
    costs: tuple[Cost, ...]

    @property
    def seconds(self) -> float:
        """The middle estimate of one run."""
        return sum(cost.seconds for cost in self.costs)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a bundle costs when every graph runs once a frame. ``notes`` say what is not certain, one thing each."""

    bundle: str
    board: str
    mode: str
    precision: Precision
    graphs: tuple[GraphCost, ...]
    latency_s: Range
    energy_j: Range
    memory_bytes: Range
    usable_bytes: float
    frames_per_s: Range
    notes: tuple[str, ...]

    @property
    def fits(self) -> str:
        """``yes``, ``no``, or ``perhaps`` where the range straddles what there is."""
        if self.memory_bytes.high <= self.usable_bytes:
            return "yes"
        return "no" if self.memory_bytes.low > self.usable_bytes else "perhaps"

    def dominant(self, count: int) -> list[tuple[str, Cost]]:
        """Return the ``count`` most expensive layers with their graphs' files."""
        all_costs = [(graph.file, cost) for graph in self.graphs for cost in graph.costs]
        return sorted(all_costs, key=lambda item: -item[1].seconds)[:count]


def estimate(bundle: str | Path, board: str, mode: str | None = None, precision: Precision | None = None) -> Estimate:
    """Estimate a shipped bundle, or one by its folder's path, on a board; by default in the board's usual mode.

    ``precision`` is by default int8 for quantised graphs, else fp16 where the board runs it, else fp32. Raises
    ``ConfigError`` that lists what there is when board or mode are not known, or says what to use when the board cannot
    run the precision.
    """
    loaded = load_bundle(bundle)
    config = load_board(board)
    mode_name, settings = config.mode(mode)
    paths = [loaded.graph_path(graph) for graph in loaded.manifest.graphs]
    baked = next((found for found in map(written_in, paths) if found), None)
    chosen = precision or baked or ("fp16" if "fp16" in config.processor.operations else "fp32")
    counted = [(path.name, count(path)) for path in paths]
    return _estimate(loaded.manifest.name, counted, config, (mode_name, settings), chosen)


def _estimate(
    name: str,
    counted: Sequence[tuple[str, list[Layer]]],
    board: BoardConfig,
    named_mode: tuple[str, Mode],
    precision: Precision,
) -> Estimate:
    mode_name, mode = named_mode
    efficiency = efficiency_of(board)
    graphs = tuple(
        GraphCost(file, tuple(costs(layers, board, mode, precision, efficiency))) for file, layers in counted
    )
    latency = efficiency.spread(sum(graph.seconds for graph in graphs))
    every = [layer for _, layers in counted for layer in layers]
    return Estimate(
        bundle=name,
        board=board.name,
        mode=mode_name,
        precision=precision,
        graphs=graphs,
        latency_s=latency,
        energy_j=energy_j(every, board, mode, precision, latency),
        memory_bytes=memory_bytes([layers for _, layers in counted], board, precision),
        usable_bytes=usable_bytes(board),
        frames_per_s=Range(1 / latency.high, 1 / latency.middle, 1 / latency.low),
        notes=tuple(_notes(every, board, mode)),
    )


def _notes(layers: Sequence[Layer], board: BoardConfig, mode: Mode) -> list[str]:
    notes = [caveat(board)] if caveat(board) else []
    software = [load_jetpack(name) for name in board.jetpacks]
    if software and not any(jetpack.runs_the_device for jetpack in software):
        notes.append(_estimate_only(software[-1]))
    depthwise = sum(layer.kind == "depthwise" for layer in layers)
    if depthwise > DEPTHWISE_SHARE * len(layers):
        notes.append(
            f"{depthwise} of {len(layers)} kernels are depthwise convolutions: published times of such networks were "
            "outside of the range, two thirds to two and a half times the middle estimate"
        )
    weak = [figure for figure in ("units", "clock", "operations", "bandwidth", "modes") if _weak(board, figure)]
    if weak:
        notes.append(f"not certain of this board: {', '.join(weak)} (see its file)")
    if board.idle_w is None and board.processor.type == "gpu":
        low, high = idle_w(board)
        notes.append(f"idle power not known, {low:.1f} to {high:.1f} W assumed")
    if board.memory.shared and board.processor.type == "gpu" and board.memory.gb <= 8:
        notes.append("building an engine on the board takes more memory than running it: close the desktop first")
    return notes


def _weak(board: BoardConfig, figure: str) -> bool:
    return board.confidence(figure) == "low"


def _estimate_only(jetpack: JetpackConfig) -> str:
    return (
        f"estimate only: its newest JetPack, {jetpack.name}, has Python {jetpack.python}, and the device package needs "
        "3.10; choose an Orin or Thor to run on"
    )
