"""Checkpoints that a power cut cannot spoil: written beside, flushed to the disk, then renamed."""

from __future__ import annotations

import contextlib
import os
import zipfile
from pathlib import Path
from typing import Any

import torch

from prosthesis.errors import ProsthesisError

NAME = "checkpoint.pt"


def save(path: Path, state: dict[str, Any]) -> None:
    """Write ``state``; whatever happens meanwhile, ``path`` holds the whole old one or the whole new one.

    Raises ``ProsthesisError`` when the disk refuses; the old one stays.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _flush_folder(path.parent)
    except (OSError, RuntimeError) as fault:  # torch reports a full disk as a RuntimeError
        with contextlib.suppress(OSError):
            beside.unlink()
        kept = "the last checkpoint is kept" if path.exists() else "there is none yet"
        raise ProsthesisError(
            f"{path}: cannot write the checkpoint ({_first_line(fault)}); {kept}. "
            "Free space, then give the same command"
        ) from fault


def load(path: Path) -> dict[str, Any]:
    """Return the state in ``path``; raises ``ProsthesisError`` when the file is missing or damaged."""
    if not path.exists():
        raise ProsthesisError(f"{path}: there is no checkpoint; train first, or name the run's folder")
    try:
        # torch does not check the sums that it writes
        with zipfile.ZipFile(path) as file:
            bad = file.testzip()
        if bad:
            raise zipfile.BadZipFile(f"wrong check sum in {bad}")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as fault:  # zip, unpickler and torch each have errors of their own
        raise ProsthesisError(
            f"{path}: the checkpoint is damaged ({_first_line(fault)}); put back a copy, or move it away to start anew"
        ) from fault
    if not isinstance(state, dict) or "step" not in state:
        raise ProsthesisError(f"{path}: this is not a checkpoint of ours; move it away to start anew")
    return state


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _first_line(fault: BaseException) -> str:
    return str(fault).strip().split("\n")[0][:120]
