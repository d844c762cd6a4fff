"""A head cut out along its outline: who somebody is shows in hair, jaw and proportions before it shows in features.

The outline is found by GrabCut (Rother, Kolmogorov and Blake 2004, as in OpenCV), begun from the face's box.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis.faces.detect import Face
from prosthesis.messages import F32, U8

SIDE = 48  # pixels along a side of the drawing
# the part looked at is this many face boxes wide and high, and this many pixels; its middle is a little above the box's
REACH, PIXELS, ABOVE = 2.4, 72, 0.12
# half axes in boxes: within the first all is head, beyond the second nothing is
SURELY, AT_MOST = (0.35, 0.45), (0.95, 1.15)
ROUNDS = 2
# share of the head's pixels that may be white, and grays darker than this share of white that are black
WHITE, BLACK = 0.03, 0.1
MARGIN = 1.05
LEAST_PIXELS = 50
# the search is repeated so much wider, so often at most, until the outline's area grows by less than this
GROWTH, GROWTHS, STEADY = 1.35, 5, 1.15
F64 = npt.NDArray[np.float64]


def cut_out(rgb: U8, face: Face) -> F32:
    """Return the head f32[48, 48] in 0..1: as high as the drawing, in its middle, black around, contrast stretched.

    All black when no outline is found.
    """
    width, centre = face.width, np.asarray(face.centre) - (0.0, ABOVE * face.width)
    part, mask, area = np.zeros((PIXELS, PIXELS, 3), np.uint8), np.zeros((PIXELS, PIXELS), np.uint8), 0.0
    for _ in range(GROWTHS):
        wider = _part(rgb, centre, width)
        outline = _outline(wider)
        here = float(outline.sum()) * width**2
        if here <= area * STEADY:
            break
        # the box may have been of a part of the face only: then the outline is the search's own, and grows with it
        part, mask, area = wider, outline, here
        off = np.array([float(places.mean()) for places in np.nonzero(outline)[::-1]]) + 0.5 - PIXELS / 2
        centre, width = centre + off * (REACH * width / PIXELS), width * GROWTH
    return _drawn(part, mask)


def _drawn(part: U8, mask: U8) -> F32:
    if mask.sum() < LEAST_PIXELS:
        return np.zeros((SIDE, SIDE), np.float32)
    gray = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY).astype(np.float32)
    white = float(np.quantile(gray[mask > 0], 1 - WHITE))
    light = np.clip((gray / max(white, 1.0) - BLACK) / (1 - BLACK), 0.0, 1.0) * mask
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    zoom = SIDE / (MARGIN * (bottom - top))
    # centres of pixels: (x + 0.5) * zoom = x_drawn + 0.5
    shift = [SIDE / 2 - 0.5 - zoom * ((a + b - 1) / 2) for a, b in ((left, right), (top, bottom))]
    matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
    drawn: F32 = cv2.warpAffine(light, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
    return drawn


def _part(rgb: U8, centre: F64, width: float) -> U8:
    """Return the square around the face u8[72, 72, 3], grown by the picture's edge where it reaches beyond."""
    scale = PIXELS / (REACH * width)
    x, y = centre
    matrix = np.array([[scale, 0, PIXELS / 2 - 0.5 - scale * x], [0, scale, PIXELS / 2 - 0.5 - scale * y]])
    source = cv2.GaussianBlur(rgb, (0, 0), 0.4 / scale) if scale < 0.7 else rgb
    part: U8 = cv2.warpAffine(source, matrix, (PIXELS, PIXELS), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return part


def _search() -> U8:
    """Return GrabCut's start u8[72, 72]."""
    middle = ((np.arange(PIXELS) + 0.5) / PIXELS - 0.5) * REACH
    x, y = middle[None], middle[:, None]
    mask = np.where(np.hypot(x / AT_MOST[0], y / AT_MOST[1]) > 1, cv2.GC_BGD, cv2.GC_PR_FGD).astype(np.uint8)
    mask[np.hypot(x / SURELY[0], (y - ABOVE) / SURELY[1]) < 1] = cv2.GC_FGD
    return mask


START = _search()


def _outline(part: U8) -> U8:
    """Return 1 on the head, 0 elsewhere, u8[72, 72]."""
    mask = START.copy()
    # its colours are clustered from a random start
    cv2.setRNGSeed(0)
    cv2.grabCut(part, mask, None, np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_MASK)
    head = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    _, pieces = cv2.connectedComponents(head)
    here = pieces[round(PIXELS * (0.5 + ABOVE / REACH)), PIXELS // 2]
    found: U8 = (pieces == here).astype(np.uint8) * np.uint8(here > 0)
    return found
