"""What is shown of the nearest person: their pattern, a caricature of their face or their head, and where they are."""

from __future__ import annotations

import cv2
import numpy as np

from prosthesis.faces.layout import SHAPE, Layout
from prosthesis.faces.patterns import Code
from prosthesis.faces.tracks import STRANGER, Track
from prosthesis.messages import F32
from prosthesis.view import View

# the oval of the caricature graph within its drawing: fractions (left, top, right, bottom)
OVAL = (0.14, 0.02, 0.86, 1.0)
# of a head's drawing, one after the other: all of it, then its upper and its lower part, larger
LOOKS = ((0.08, 0.0, 0.92, 1.0), (0.2, 0.0, 0.8, 0.62), (0.2, 0.38, 0.8, 1.0))
LOOK_NS = 500_000_000
BAR_LEAST, BAR_STANDING, APPROACH_FULL = 0.15, 0.6, 0.4  # shares of the bar, of its brightness; growth per second


def paint_pattern(
    track: Track,
    frame_size: tuple[int, int],
    view: View,
    layout: Layout,
    code: Code,
    numbers: dict[str, int],
) -> F32:
    """Return the map f32[64, 64] with the pattern of the person that the votes say, and the bar.

    ``frame_size`` is (width, height) in pixels of the frames in which ``track`` was found; ``numbers`` says which of
    the code's patterns is whose. While the votes are undecided there is only the bar.
    """
    shown = np.zeros(SHAPE, np.float32)
    if track.verdict is not None:
        shown[:] = code.maps[0 if track.verdict == STRANGER else numbers[track.verdict]]
    # a file's pattern may reach down here, and the bar must be read alone
    shown[layout.bar.top :] = 0
    _bar(track, frame_size, view, layout, shown)
    return shown


def paint_face(track: Track, frame_size: tuple[int, int], view: View, layout: Layout) -> F32:
    """Return the map f32[64, 64] with the caricature of the person's face, as large as fits, and the bar."""
    shown = np.zeros(SHAPE, np.float32)
    _place(track.drawing, OVAL, shown, layout)
    _bar(track, frame_size, view, layout, shown)
    return shown


def paint_head(track: Track, frame_size: tuple[int, int], view: View, layout: Layout, now_ns: int) -> F32:
    """Return the map f32[64, 64] with the person's head, or at other times a part of it, and the bar."""
    shown = np.zeros(SHAPE, np.float32)
    _place(track.drawing, LOOKS[now_ns // LOOK_NS % len(LOOKS)], shown, layout)
    _bar(track, frame_size, view, layout, shown)
    return shown


def _place(drawing: F32, part: tuple[float, float, float, float], shown: F32, layout: Layout) -> None:
    """Draw a part of the drawing over all of the picture's window."""
    height, width = drawing.shape
    left, top, right, bottom = part
    oval = drawing[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]
    rows, columns = layout.picture.slices
    resized = cv2.resize(oval, layout.picture.size, interpolation=cv2.INTER_LINEAR)
    shown[rows, columns] = np.clip(resized, 0.0, 1.0)


def _bar(track: Track, frame_size: tuple[int, int], view: View, layout: Layout, shown: F32) -> None:
    """Draw a block at the person's side of the view, as wide as the face is in it, brighter while they come nearer.

    Someone beyond the view's edge is shown at that edge.
    """
    width = frame_size[0]
    span = (view.crop[2] - view.crop[0]) * width
    middle = float(np.clip((track.face.centre[0] - view.crop[0] * width) / span, 0.0, 1.0))
    share = float(np.clip(track.face.width / span, BAR_LEAST, 1.0))
    # the block stays whole at the ends
    start = np.clip(middle - share / 2, 0.0, 1.0 - share)
    left, right = layout.bar.left, layout.bar.right
    first = left + round(float(start) * (right - left))
    last = max(first + 1, left + round(float(start + share) * (right - left)))
    nearing = float(np.clip(track.growth / APPROACH_FULL, 0.0, 1.0))
    shown[layout.bar.top : layout.bar.bottom, first:last] = BAR_STANDING + (1 - BAR_STANDING) * nearing
