"""A study's folder: one small file a finished cell, so that nothing measured is ever lost or measured twice."""

from __future__ import annotations

import json
import os
from pathlib import Path

from prosthesis_train.study.cell import Row


class Store:
    """Rows in ``folder/cells``, named by their keys."""

    def __init__(self, folder: Path) -> None:
        self._cells = folder / "cells"
        self._cells.mkdir(parents=True, exist_ok=True)

    def row(self, key: str) -> Row | None:
        """Return a finished cell's row, ``None`` when it has yet to be measured."""
        try:
            row: Row = json.loads(self._path(key).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # absent, or torn by a power cut
            return None
        return row

    def keep(self, row: Row) -> None:
        """Keep a row for ever; a reader finds all of it or nothing."""
        path = self._path(row["key"])
        half = path.with_suffix(f".{os.getpid()}.part")
        half.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
        half.replace(path)

    def _path(self, key: str) -> Path:
        return self._cells / f"{key}.json"
