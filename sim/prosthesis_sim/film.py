"""Films and pictures of a recording: camera, task map, electrodes and percept side by side, at the recording's pace.

They show what the device knows: electrodes stand where its calibration puts their phosphenes, not where they truly are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis.config import Rig
from prosthesis.errors import ProsthesisError
from prosthesis.messages import (
    U8,
    Delivered,
    Frame,
    HopTimes,
    MachineCode,
    Message,
    Percept,
    Receipt,
    Telemetry,
)
from prosthesis.processes import quiet_stderr
from prosthesis.recording.recorder import entries
from prosthesis.timing import NS_PER_MS, NS_PER_S
from prosthesis.view import Field, View, make_view

F64 = npt.NDArray[np.float64]
Colour = tuple[int, int, int]

FPS = 25.0
# the first that the installed OpenCV can write and read back: browsers play all but the last. PyPI's wheels have no
# H.264 encoder; their VP9 takes 140 ms a picture on a laptop core, their VP8 18 ms
# no VP9 in .mp4: it takes three times as long as the film
CODECS = {".mp4": ("avc1", "mp4v"), ".webm": ("VP80", "VP90")}

WIDTH, HEIGHT, PANEL, GAP, TOP = 1280, 424, 300, 16, 76
NIGHT, WELL, INK, MUTED, LINE = (15, 18, 22), (24, 28, 34), (230, 237, 243), (139, 148, 158), (62, 70, 80)
AMBER, RED = (255, 184, 77), (248, 81, 73)
SHOWN = ("frame", "machine_code", "delivered", "receipt", "telemetry", "percept", "world_hops")


@dataclass(frozen=True, slots=True)
class Moment:
    """What was newest on each topic ``t_s`` seconds after the first frame."""

    t_s: float
    newest: dict[str, Message]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where electrodes are drawn, in pixels of the panel, and how large."""

    x_px: F64
    y_px: F64
    radius_px: float


class Painter(Protocol):
    """What draws moments: from which topics, and pictures of which (width, height)."""

    topics: tuple[str, ...]
    size: tuple[int, int]

    def draw(self, moment: Moment) -> U8:
        """Return one moment as u8[height, width, 3] RGB."""
        ...


def make_film(log: Path, out: Path, painter: Painter) -> str:
    """Write the film of a recording to ``out`` (.webm or .mp4) and return its codec, as in ``CODECS``.

    Raises ``ProsthesisError`` when the recording has no frames or cannot be read, or when OpenCV cannot write films.
    """
    codec = _choose_codec(out)
    writer = None
    try:
        for moment in moments(log, (k / FPS for k in itertools.count()), painter.topics):
            if writer is None:
                writer = _open_writer(out, codec, painter.size)
            writer.write(cv2.cvtColor(painter.draw(moment), cv2.COLOR_RGB2BGR))
    finally:
        if writer is not None:
            writer.release()
    return codec


def still(log: Path, rig: Rig | None, t_s: float) -> U8:
    """Return the film's picture ``t_s`` seconds after the first frame, u8[424, 1280, 3] RGB."""
    return stills(log, Stage(rig), [t_s])[0]


def stills(log: Path, painter: Painter, times_s: Sequence[float]) -> list[U8]:
    """Return one picture for each of the rising ``times_s``; times past the end show the end."""
    pictures = [painter.draw(moment) for moment in moments(log, times_s, painter.topics)][: len(times_s)]
    return pictures + pictures[-1:] * (len(times_s) - len(pictures))


def moments(log: Path, times_s: Iterable[float], topics: Sequence[str] = SHOWN) -> Iterator[Moment]:
    """Yield what was newest at each of the rising ``times_s`` within the recording, and at its end."""
    due = iter(times_s)
    newest: dict[str, Message] = {}
    start_ns = now_ns = -1
    next_s: float | None = 0.0
    for entry in entries(log, topics):
        if start_ns < 0 and entry.topic == "frame":
            start_ns, next_s = entry.log_ns, next(due, None)
        while start_ns >= 0 and next_s is not None and entry.log_ns > start_ns + next_s * NS_PER_S:
            yield Moment(next_s, dict(newest))
            next_s = next(due, None)
        newest[entry.topic], now_ns = entry.message, entry.log_ns
    if start_ns < 0:
        raise ProsthesisError(f"{log}: this recording has no frames to show; record one with 'run --record'")
    yield Moment((now_ns - start_ns) / NS_PER_S, newest)


class Stage:
    """The empty scene for one rig, and the pictures drawn into it.

    Without a rig, electrodes are drawn in rows by number, and the View's crop is not.
    """

    topics: tuple[str, ...] = SHOWN
    size: tuple[int, int] = (WIDTH, HEIGHT)

    def __init__(self, rig: Rig | None) -> None:
        self._rig = rig
        self._view = _view(rig)
        self._layouts: dict[int, Layout] = {}
        self._empty = _empty_scene(rig)

    def draw(self, moment: Moment) -> U8:
        """See ``Painter``."""
        canvas: U8 = self._empty.copy()
        newest = moment.newest
        for index, (panel, note) in enumerate(
            (
                self.camera(newest.get("frame")),
                _task_map(newest.get("machine_code")),
                self._electrodes(newest.get("delivered"), newest.get("receipt")),
                percept_panel(newest.get("percept")),
            )
        ):
            left = GAP + index * (PANEL + GAP)
            canvas[TOP : TOP + PANEL, left : left + PANEL] = panel
            write(canvas, left + PANEL, TOP - 10, note, MUTED, right=True)
        write(canvas, GAP, HEIGHT - 18, caption(moment), INK)
        return canvas

    def camera(self, frame: Message | None) -> tuple[U8, str]:
        """Return the camera's panel with the View's crop, and its note."""
        if not isinstance(frame, Frame) or frame.rgb.size == 0:
            return well(), "no picture"
        panel, (left, top, width, height) = fitted(frame.rgb, frame.rgb.shape[1] / frame.rgb.shape[0])
        if self._view is not None:
            x0, y0, x1, y1 = self._view.crop
            first = (round(left + x0 * width), round(top + y0 * height))
            last = (round(left + x1 * width) - 1, round(top + y1 * height) - 1)
            cv2.rectangle(panel, first, last, AMBER, 1, cv2.LINE_AA)
        note = "x".join(f"{angle:g}" for angle in self._rig.config.camera.field_deg) + " deg" if self._rig else ""
        return panel, note

    def _electrodes(self, delivered: Message | None, receipt: Message | None) -> tuple[U8, str]:
        if not isinstance(delivered, Delivered):
            return well(), "silent"
        n = len(delivered.amplitude_ua)
        refused = (
            receipt.refusal > 0 if isinstance(receipt, Receipt) and len(receipt.refusal) == n else np.zeros(n, bool)
        )
        share = delivered.amplitude_ua / self._full_scale_ua(delivered)
        panel = draw_electrodes(self.layout(n), share, refused)
        return panel, f"{np.count_nonzero(delivered.amplitude_ua)} of {n} on"

    def _full_scale_ua(self, delivered: Delivered) -> Any:
        if self._rig is not None and self._rig.electrodes == len(delivered.amplitude_ua):
            return np.maximum(self._rig.calibration.column("max_ua"), 1e-6)
        return max(float(delivered.amplitude_ua.max(initial=0.0)), 1e-6)

    def layout(self, n: int) -> Layout:
        """Return where ``n`` electrodes are drawn."""
        if n not in self._layouts:
            self._layouts[n] = self._layout(n)
        return self._layouts[n]

    def _layout(self, n: int) -> Layout:
        if self._rig is not None and self._view is not None and self._rig.electrodes == n:
            calibration = self._rig.calibration
            unused = ~np.asarray(calibration.enabled)  # they have no phosphene, so no place either
            x, y = (np.where(unused, np.nan, calibration.column(name)) for name in ("x_deg", "y_deg"))
            return layout(x, y, self._view.field)
        columns = max(1, int(np.ceil(np.sqrt(n))))
        x, y = np.arange(n) % columns + 0.5, columns - 0.5 - np.arange(n) // columns
        return layout(x, y, Field(0, columns, 0, columns))


def layout(x_deg: npt.NDArray[Any], y_deg: npt.NDArray[Any], field: Field) -> Layout:
    """Place electrodes at ``x_deg``, ``y_deg`` [n] in the panel that shows ``field``; those at NaN are not drawn.

    They are drawn as large as the closest pairs allow.
    """
    x_px = (x_deg - field.x0_deg) / (field.x1_deg - field.x0_deg) * PANEL
    y_px = (field.y1_deg - y_deg) / (field.y1_deg - field.y0_deg) * PANEL
    x, y = x_px[~np.isnan(x_px)], y_px[~np.isnan(x_px)]
    distance = np.hypot(np.subtract.outer(x, x), np.subtract.outer(y, y))
    np.fill_diagonal(distance, np.inf)
    nearest = float(np.median(distance.min(axis=0, initial=PANEL))) if x.size else PANEL
    return Layout(x_px, y_px, float(np.clip(0.42 * nearest, 2.0, PANEL / 20)))


def draw_electrodes(places: Layout, share: npt.NDArray[Any], refused: npt.NDArray[np.bool_]) -> U8:
    """Return the electrodes' panel: ``share`` [n] of each one's maximum as colour, silent an outline, refused red."""
    panel = well()
    glow = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_INFERNO)[:, 0, ::-1]
    level = np.clip(80 + 175 * np.nan_to_num(share), 80, 255).astype(int)
    radius = round(places.radius_px * 8)
    for i in np.argsort(share):  # the brightest on top
        if np.isnan(places.x_px[i]):
            continue
        centre = (round(places.x_px[i] * 8), round(places.y_px[i] * 8))  # eighths of a pixel
        if share[i] > 0:
            colour = tuple(int(part) for part in glow[level[i]])
            cv2.circle(panel, centre, radius, colour, -1, cv2.LINE_AA, 3)
        elif not refused[i]:
            cv2.circle(panel, centre, radius, LINE, 1, cv2.LINE_AA, 3)
        if refused[i]:
            cv2.circle(panel, centre, radius, RED, 2, cv2.LINE_AA, 3)
    return panel


def _view(rig: Rig | None) -> View | None:
    try:
        return make_view(rig.config.view, rig.config.camera, rig.calibration) if rig else None
    except ProsthesisError:  # nothing enabled: a film of silence is still a film
        return None


def _empty_scene(rig: Rig | None) -> U8:
    canvas = np.full((HEIGHT, WIDTH, 3), NIGHT, np.uint8)
    title = f"{rig.config.name}: {rig.electrodes} electrodes" if rig else "recording"
    write(canvas, GAP, 30, title, INK, 0.62)
    write(canvas, WIDTH - GAP, 30, "research simulator, not a medical device", MUTED, right=True)
    for index, label in enumerate(("camera", "task map", "electrodes", "percept")):
        write(canvas, GAP + index * (PANEL + GAP), TOP - 10, label, AMBER, 0.52)
    return canvas


def _task_map(code: Message | None) -> tuple[U8, str]:
    if not isinstance(code, MachineCode) or len(code.shape) != 2 or 0 in code.shape:
        return well(), "none"
    rows, columns = code.shape
    panel, _ = fitted(gray_rgb(code.values.reshape(rows, columns)), columns / rows, cv2.INTER_NEAREST)
    return panel, f"{columns}x{rows}"


def percept_panel(percept: Message | None) -> tuple[U8, str]:
    """Return the percept's panel and its note."""
    if not isinstance(percept, Percept) or percept.image.size == 0:
        return well(), "dark"
    x_deg, y_deg = percept.extent_deg
    panel, _ = fitted(gray_rgb(percept.image), x_deg / y_deg if y_deg > 0 else 1.0)
    return panel, f"{percept.visible} spots, {x_deg:.3g}x{y_deg:.3g} deg"


def gray_rgb(values: npt.NDArray[np.float32]) -> U8:
    """Return values in 0..1 as RGB."""
    gray = (np.clip(np.nan_to_num(values), 0.0, 1.0) * 255).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)


def fitted(rgb: U8, aspect: float, enlarge: int = cv2.INTER_LINEAR) -> tuple[U8, tuple[int, int, int, int]]:
    """Return a panel with ``rgb`` in its middle, and where it is: left, top, width, height."""
    width, height = (PANEL, max(1, round(PANEL / aspect))) if aspect >= 1 else (max(1, round(PANEL * aspect)), PANEL)
    left, top = (PANEL - width) // 2, (PANEL - height) // 2
    method = cv2.INTER_AREA if rgb.shape[1] > width else enlarge
    panel = well()
    panel[top : top + height, left : left + width] = cv2.resize(rgb, (width, height), interpolation=method)
    return panel, (left, top, width, height)


def well() -> U8:
    """Return an empty panel."""
    return np.full((PANEL, PANEL, 3), WELL, np.uint8)


def caption(moment: Moment) -> str:
    """Return the line under a picture."""
    frame, hops = moment.newest.get("frame"), moment.newest.get("world_hops")
    health = moment.newest.get("telemetry")
    words = [f"{moment.t_s:6.2f} s"]
    if isinstance(frame, Frame):
        words.append(f"frame {frame.seq}")
    if isinstance(hops, HopTimes):
        words.append(f"capture to percept {(hops.stamps_ns[-1] - hops.t_ns) / NS_PER_MS:.1f} ms")
    if isinstance(health, Telemetry):
        words.append(f"implant {health.state.name.lower()}")
    return "    ".join(words)


def write(canvas: U8, x: int, y: int, text: str, colour: Colour, scale: float = 0.46, right: bool = False) -> None:
    """Write ``text`` into ``canvas``, from ``x`` or up to it."""
    if right:
        x -= cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0]
    cv2.putText(canvas, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)


def _choose_codec(out: Path) -> str:
    """Return the first codec for ``out`` that works here, found by writing two pictures beside it and reading them."""
    codecs = CODECS.get(out.suffix)
    if codecs is None:
        raise ProsthesisError(f"{out}: films are {' or '.join(CODECS)}; choose another name")
    out.parent.mkdir(parents=True, exist_ok=True)
    trial = out.with_name(f".trial-{out.name}")
    try:
        with quiet_stderr():
            for codec in codecs:
                if _works(trial, codec):
                    return codec
    finally:
        trial.unlink(missing_ok=True)
    raise ProsthesisError(f"{out}: this OpenCV writes none of {', '.join(codecs)}; is the folder writable?")


def _works(trial: Path, codec: str) -> bool:
    writer = cv2.VideoWriter(str(trial), cv2.VideoWriter.fourcc(*codec), FPS, (WIDTH, HEIGHT))
    for _ in range(2):
        writer.write(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    writer.release()
    reader = cv2.VideoCapture(str(trial))
    ok = reader.read()[0]
    reader.release()
    return bool(ok)


def _open_writer(out: Path, codec: str, size: tuple[int, int]) -> Any:
    with quiet_stderr():
        return cv2.VideoWriter(str(out), cv2.VideoWriter.fourcc(*codec), FPS, size)
