"""The closed loop of a recording: what was asked of the sites, what they did, and what a reader makes of it.

A reader at the far end takes the recorded rates back through the code map to a code, and the generator paints it. Only
taps are read: nothing here steers anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from prosthesis.config import Rig
from prosthesis.messages import F32, U8, BrainCode, Evoked, MachineCode, Message
from prosthesis.recording.recorder import entries
from prosthesis_sim.film import (
    AMBER,
    GAP,
    INK,
    MUTED,
    NIGHT,
    PANEL,
    Moment,
    Stage,
    caption,
    draw_electrodes,
    fitted,
    percept_panel,
    well,
    write,
)

F64 = npt.NDArray[np.float64]
HEAD, ROW = 52, PANEL + 30
LABELS = (
    "camera",
    "code of the camera, painted",
    "activity wanted",
    "phosphenes seen",
    "read back, painted",
    "activity evoked",
)


@dataclass(frozen=True, slots=True)
class Reader:
    """The way back: ``read`` takes rates above rest f[n] in Hz to a code f32[d], ``paint`` a code to u8[h, w, 3].

    ``evoked_hz`` f64[n] is each site's calibrated maximum, ``enabled`` which are in use.
    """

    read: Callable[[npt.NDArray[np.floating]], F32]
    paint: Callable[[F32], U8]
    evoked_hz: F64
    enabled: npt.NDArray[np.bool_]


class LoopStage:
    """Six panels a moment: camera, its code painted, activity wanted; percept, what is read back, activity evoked."""

    topics: tuple[str, ...] = ("frame", "machine_code", "brain_code", "percept", "evoked", "world_hops", "telemetry")
    size: tuple[int, int] = (3 * (PANEL + GAP) + GAP, HEAD + 2 * ROW + 44)

    def __init__(self, rig: Rig, reader: Reader) -> None:
        self._stage, self._reader = Stage(rig), reader
        self._layout = self._stage.layout(rig.electrodes)
        self._empty = np.full((self.size[1], self.size[0], 3), NIGHT, np.uint8)
        write(self._empty, GAP, 28, f"{rig.config.name}: {rig.electrodes} electrodes, closed loop", INK, 0.62)
        write(self._empty, self.size[0] - GAP, 28, "research simulator, not a medical device", MUTED, right=True)
        for index, label in enumerate(LABELS):
            write(self._empty, *_corner(index, -8), label, AMBER, 0.48)

    def draw(self, moment: Moment) -> U8:
        """See ``Painter``."""
        canvas: U8 = self._empty.copy()
        newest = moment.newest
        panels = (
            self._stage.camera(newest.get("frame")),
            self._painted(newest.get("machine_code")),
            self._wanted(newest.get("brain_code")),
            percept_panel(newest.get("percept")),
            self._read_back(newest.get("evoked")),
            self._evoked(newest.get("evoked")),
        )
        for index, (panel, note) in enumerate(panels):
            left, top = _corner(index, 0)
            canvas[top : top + PANEL, left : left + PANEL] = panel
            write(canvas, left + PANEL, top - 8, note, MUTED, right=True)
        write(canvas, GAP, self.size[1] - 14, caption(moment), INK)
        return canvas

    def _painted(self, code: Message | None) -> tuple[U8, str]:
        if not isinstance(code, MachineCode) or code.kind != "latent":
            return well(), "none"
        return fitted(self._reader.paint(code.values), 1.0)[0], ""

    def _wanted(self, brain: Message | None) -> tuple[U8, str]:
        if not isinstance(brain, BrainCode):
            return well(), "none"
        return self._sites(brain.activity), f"{brain.clipped} clipped"

    def _read_back(self, evoked: Message | None) -> tuple[U8, str]:
        if not isinstance(evoked, Evoked):
            return well(), "none"
        return fitted(self._reader.paint(self._reader.read(evoked.rate_hz)), 1.0)[0], ""

    def _evoked(self, evoked: Message | None) -> tuple[U8, str]:
        if not isinstance(evoked, Evoked):
            return well(), "none"
        return self._sites(share_of(evoked, self._reader)), f"{np.count_nonzero(evoked.rate_hz > 0)} active"

    def _sites(self, share: npt.NDArray[np.floating]) -> U8:
        return draw_electrodes(self._layout, np.clip(share, 0.0, 1.0), np.zeros(len(share), bool))


def _corner(index: int, below: int) -> tuple[int, int]:
    row, column = divmod(index, 3)
    return GAP + column * (PANEL + GAP), HEAD + 24 + row * ROW + below


def share_of(evoked: Evoked, reader: Reader) -> F64:
    """Return evoked rates as shares of the calibrated maxima, f64[n]; 0 at sites not in use."""
    share = np.divide(evoked.rate_hz, reader.evoked_hz, out=np.zeros(len(evoked.rate_hz)), where=reader.evoked_hz > 0)
    return np.where(reader.enabled, share, 0.0)


@dataclass(frozen=True, slots=True)
class LoopSummary:
    """How near the loop came, over ``frames`` of which both ends were recorded.

    ``sites_r`` is the mean over frames of the correlation over sites of wanted and evoked activity, ``pooled_r`` that
    over all frames and sites, ``code_r`` the mean correlation of the camera's code with the one read back,
    ``code_r_other`` the same with another frame's code (half the recording away): what is said of every frame alike.
    """

    frames: int
    sites_r: float
    pooled_r: float
    code_r: float
    code_r_other: float


@dataclass(slots=True)
class _Heard:
    wanted: dict[int, F32] = field(default_factory=dict)
    codes: dict[int, F32] = field(default_factory=dict)
    evoked: dict[int, Evoked] = field(default_factory=dict)


def summarise_loop(log: Path, reader: Reader) -> LoopSummary:
    """Compare, frame by frame, what was asked of the sites with the last that was recorded before the next frame."""
    heard = _Heard()
    for entry in entries(log, ("machine_code", "brain_code", "evoked")):
        match entry.message:
            case BrainCode() as brain:
                heard.wanted[brain.seq] = brain.activity
            case MachineCode() as code:
                heard.codes[code.seq] = code.values
            case Evoked() as recorded:
                heard.evoked[recorded.seq] = recorded
            case _:
                pass
    both = sorted(heard.wanted.keys() & heard.codes.keys() & heard.evoked.keys())
    if len(both) < 2:
        nan = float("nan")
        return LoopSummary(len(both), nan, nan, nan, nan)
    on = reader.enabled
    wanted = np.stack([heard.wanted[seq][on] for seq in both]).astype(np.float64)
    evoked = np.stack([share_of(heard.evoked[seq], reader)[on] for seq in both])
    codes = np.stack([heard.codes[seq] for seq in both])
    back = np.stack([reader.read(heard.evoked[seq].rate_hz) for seq in both])
    other = np.roll(codes, len(both) // 2, axis=0)
    return LoopSummary(
        len(both),
        float(np.nanmean(rowwise_r(wanted, evoked))),
        float(rowwise_r(wanted.reshape(1, -1), evoked.reshape(1, -1))[0]),
        float(np.nanmean(rowwise_r(codes, back))),
        float(np.nanmean(rowwise_r(other, back))),
    )


def rowwise_r(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> F64:
    """Return Pearson's r of each row of ``a`` f[b, n] with that of ``b``; NaN where one does not vary."""
    x, y = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    scale = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    r: F64 = np.divide((x * y).sum(axis=1), scale, out=np.full(len(x), np.nan), where=scale > 0)
    return r
