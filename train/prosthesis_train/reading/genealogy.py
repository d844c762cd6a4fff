"""Who descends from whom in an evolution, as numbers, as a picture of each generation's best, and as a film."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.images import U8
from prosthesis_train.reading.evolution import ANEW, F32, F64, I64, Evolution

FPS = 5.0
CODECS = {".mp4": "mp4v", ".webm": "VP80"}  # PyPI's OpenCV has no H.264 encoder; browsers play .webm only
TILE, GAP, TOP, COLUMNS = 64, 4, 28, 8
NIGHT, INK, AMBER = (15, 18, 22), (230, 237, 243), (255, 184, 77)


def lineage(evolution: Evolution, row: int, generation: int = -1) -> I64:
    """Return the first parents of a code back to the first brood: rows i64[g], ``ANEW`` before it was drawn."""
    last = range(len(evolution.codes))[generation]
    rows = np.full(last + 1, ANEW)
    for g in range(last, -1, -1):
        rows[g] = row
        row = int(evolution.parents[g, row, 0])
        if row == ANEW:
            break
    return rows


def founders_left(evolution: Evolution) -> I64:
    """Return i64[g]: how many codes of the first brood have first-parent descendants in each later one."""
    n = evolution.codes.shape[1]
    founder = np.arange(n)
    left = [n]
    for parents in evolution.parents[1:, :, 0]:
        founder = np.where(parents == ANEW, ANEW, founder[parents])
        left.append(len(set(founder.tolist()) - {ANEW}))
    return np.array(left)


def best_picture(evolution: Evolution, images: Callable[[F64], F32], columns: int = 15) -> U8:
    """Return u8[h,w] RGB: the best image of each generation in rows, its rate beneath."""
    best = [evolution.best(g) for g in range(len(evolution.codes))]
    rates = np.nanmax(evolution.scores, axis=1)
    tiles = [_tile(image, f"{rate:.0f}") for image, rate in zip(images(np.stack(best)), rates, strict=True)]
    tiles += [np.full_like(tiles[0], NIGHT)] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[k : k + columns], axis=1) for k in range(0, len(tiles), columns)]
    return np.concatenate(rows)


def film(evolution: Evolution, images: Callable[[F64], F32], out: Path, every: int = 1) -> str:
    """Write one picture ``every`` so many generations, the last one's best ancestor framed, and return the codec.

    Raises ``ProsthesisError`` when ``out`` is neither .mp4 nor .webm, or OpenCV cannot write it.
    """
    if out.suffix not in CODECS:
        raise ProsthesisError(f"{out}: films are {' or '.join(CODECS)}; choose another name")
    out.parent.mkdir(parents=True, exist_ok=True)
    line = lineage(evolution, int(np.nanargmax(evolution.scores[-1])))
    height, width = _frame(evolution, images, 0, line[0]).shape[:2]
    codec = CODECS[out.suffix]
    writer = cv2.VideoWriter(str(out), cv2.VideoWriter.fourcc(*codec), FPS, (width, height))
    if not writer.isOpened():
        raise ProsthesisError(f"{out}: this OpenCV cannot write {codec}; is the folder writable?")
    for g in range(0, len(evolution.codes), every):
        writer.write(cv2.cvtColor(_frame(evolution, images, g, line[g]), cv2.COLOR_RGB2BGR))
    writer.release()
    return codec


def _frame(evolution: Evolution, images: Callable[[F64], F32], generation: int, framed: int) -> U8:
    codes, scores = evolution.codes[generation], evolution.scores[generation]
    rows = -(-len(codes) // COLUMNS)
    canvas: U8 = np.full((TOP + rows * (TILE + GAP) + GAP, COLUMNS * (TILE + GAP) + GAP, 3), NIGHT, np.uint8)
    order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")
    for place, (image, row) in enumerate(zip(images(codes[order]), order, strict=True)):
        top, left = TOP + place // COLUMNS * (TILE + GAP), GAP + place % COLUMNS * (TILE + GAP)
        canvas[top : top + TILE, left : left + TILE] = _enlarged(image)
        if row == framed:
            cv2.rectangle(canvas, (left - 2, top - 2), (left + TILE + 1, top + TILE + 1), AMBER, 2)
    _write(canvas, f"generation {generation}: mean {np.nanmean(scores):.0f} Hz, best {np.nanmax(scores):.0f} Hz", 18)
    return canvas


def _tile(image: F32, text: str) -> U8:
    tile: U8 = np.full((TILE + GAP + 18, TILE + GAP, 3), NIGHT, np.uint8)
    tile[:TILE, :TILE] = _enlarged(image)
    _write(tile, text, TILE + 14)
    return tile


def _enlarged(image: F32) -> U8:
    gray = (np.clip(image, 0, 1) * 255).astype(np.uint8)
    return np.repeat(np.asarray(cv2.resize(gray, (TILE, TILE)), np.uint8)[..., None], 3, axis=2)


def _write(canvas: U8, text: str, y: int) -> None:
    cv2.putText(canvas, text, (GAP, y), cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)
