"""What a run tells while it goes: a line with the time left, JSON lines, and TensorBoard where it is installed."""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any


class Progress:
    """Tells of logged steps; ``as_json`` prints each as one JSON line on standard output."""

    def __init__(self, folder: Path, steps: int, start: int, as_json: bool, quiet: bool = False) -> None:
        self.steps, self.start, self.as_json, self.quiet = steps, start, as_json, quiet
        self.began = time.monotonic()
        self.board = None if quiet else _tensorboard(folder)

    def tell(self, entry: dict[str, Any]) -> None:
        """Tell of one logged step."""
        if self.quiet:
            return
        if self.as_json:
            sys.stdout.write(json.dumps(entry) + "\n")
            sys.stdout.flush()
        else:
            self._line(entry)
        if self.board is not None:
            for name, value in entry.items():
                if isinstance(value, float):
                    self.board.add_scalar(name, value, entry["step"])

    def _line(self, entry: dict[str, Any]) -> None:
        numbers = "  ".join(f"{k} {v:.3f}" for k, v in entry.items() if isinstance(v, float) and k != "seconds")
        end = "\r" if sys.stderr.isatty() else "\n"
        sys.stderr.write(f"step {entry['step']}/{self.steps}  {numbers}  {self.left(entry['step'])} left{end}")

    def left(self, step: int) -> str:
        """Return the time left as h:mm:ss, at the pace of this session."""
        done = max(1, step - self.start)
        seconds = int((time.monotonic() - self.began) / done * (self.steps - step))
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"

    def close(self) -> None:
        """Flush what is kept open."""
        if self.board is not None:
            self.board.close()


def _tensorboard(folder: Path) -> Any:
    try:
        module = importlib.import_module("torch.utils.tensorboard")
    except ImportError:
        return None
    return module.SummaryWriter(str(folder))
