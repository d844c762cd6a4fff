"""A run's folder: settings and where they came from, the log, the checkpoint, sample grids."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from prosthesis.errors import ConfigError, ProsthesisError
from prosthesis_train.networks.parts import processes
from prosthesis_train.training import checkpoint, guardrails
from prosthesis_train.training.guardrails import Record
from prosthesis_train.training.progress import Progress
from prosthesis_train.training.settings import FREE, RunSettings


class Run:
    """The folder of one run; only the first process writes."""

    def __init__(self, folder: Path, settings: RunSettings, digest: str, writes: bool) -> None:
        self.folder, self.settings, self.digest, self.writes = folder, settings, digest, writes
        self.log_file = folder / "metrics.jsonl"
        self.checkpoint = folder / checkpoint.NAME
        self.history: list[Record] = []
        self.alarmed: dict[str, int] = {}
        self.seconds_before, self.began = 0.0, time.monotonic()

    def open(self) -> dict[str, Any] | None:
        """Make the folder, or return the state from which the run in it goes on.

        Raises ``ProsthesisError`` when the run there had other settings or other pictures.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise ProsthesisError(
                f"{self.folder}: cannot make the run's folder ({fault.strerror}); give another --run"
            ) from fault
        state = checkpoint.load(self.checkpoint) if self.checkpoint.exists() else None
        if state is not None:
            self._compare(state)
            self.seconds_before = float(state["seconds"])
        if self.writes:
            first = int(state["step"]) if state else 0
            self._write_settings(first)
            self._cut_log(first)
        return state

    def _compare(self, state: dict[str, Any]) -> None:
        now, then = dataclasses.asdict(self.settings), json.loads(state["settings"])
        other = [f"{k} {then.get(k)} (now {v})" for k, v in now.items() if k not in FREE and then.get(k) != v]
        if other:
            raise ConfigError(f"{self.folder}: the run there has {', '.join(other)}; give the same, or another --run")
        if state["digest"] != self.digest:
            raise ConfigError(
                f"{self.folder}: the run there saw other pictures than '{self.settings.seen}' gives now; "
                "give another --run"
            )

    def _write_settings(self, first: int) -> None:
        """Write settings and where they came from; ``sessions`` says which code did which steps."""
        file = self.folder / "settings.json"
        session = {
            "first_step": first,
            "command": " ".join(["prosthesis", *sys.argv[1:]]),
            "commit": commit(),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "processes": processes(),
        }
        told = json.loads(file.read_text(encoding="utf-8")) if first and file.exists() else {}
        sessions = [*(e for e in told.get("sessions", []) if e["first_step"] < first), session]
        about = {"settings": dataclasses.asdict(self.settings), "data_sha256": self.digest, **session}
        file.write_text(json.dumps({**about, "sessions": sessions}, indent=2) + "\n", encoding="utf-8")

    def _cut_log(self, step: int) -> None:
        """Forget what was logged after the checkpoint: those steps are done again."""
        entries = read_log(self.folder)
        kept = [e for e in entries if e["step"] <= step]
        self.log_file.write_text("".join(json.dumps(e) + "\n" for e in kept), encoding="utf-8")
        names = [f.name for f in dataclasses.fields(Record)]
        self.alarmed = {e["alarm"]: e["step"] for e in kept if "alarm" in e}
        self.history = [Record(**{n: e[n] for n in names if n in e}) for e in kept if "loss_d" in e]

    def log(self, entry: dict[str, Any]) -> None:
        """Append one entry."""
        if not self.writes:
            return
        with self.log_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def watch(self, record: Record, progress: Progress, learn: tuple[bool, bool]) -> None:
        """Log and tell of ``record`` and of what the guardrails see in the history with it.

        Raises ``ProsthesisError`` when a number is not finite any more, before anything is saved.
        """
        self.history.append(record)
        entry = {k: v for k, v in dataclasses.asdict(record).items() if v is not None}
        entry |= {"seconds": round(self.seconds(), 1)}
        if learn != (True, True):
            entry["rests"] = "D" if not learn[0] else "G"
        self.log(entry)
        progress.tell(entry)
        gone = guardrails.not_finite(record)
        for seen in [gone] if gone else guardrails.examine(self.history):
            self._report(seen)
        if gone:
            kept = (
                f"the last good checkpoint is {self.checkpoint}"
                if self.checkpoint.exists()
                else "nothing was saved yet"
            )
            raise ProsthesisError(f"{self.folder}: {gone.seen} at step {gone.step}; {kept}. Remedy: {gone.remedy}")

    def _report(self, seen: guardrails.Alarm) -> None:
        """Log an alarm, but the same kind once in 1,000 steps at most."""
        if seen.step - self.alarmed.get(seen.kind, -1000) < 1000:
            return
        self.alarmed[seen.kind] = seen.step
        self.log({"step": seen.step, "alarm": seen.kind, "seen": seen.seen, "remedy": seen.remedy})
        if self.writes:
            sys.stderr.write(f"step {seen.step}: {seen.kind}: {seen.seen}; remedy: {seen.remedy}\n")

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Save the state after ``step`` steps, atomically."""
        if not self.writes:
            return
        own = {"step": step, "seconds": self.seconds(), "digest": self.digest}
        checkpoint.save(self.checkpoint, {**state, **own, "settings": json.dumps(dataclasses.asdict(self.settings))})

    def seconds(self) -> float:
        """Return how long the run has taken, over all its sessions."""
        return self.seconds_before + time.monotonic() - self.began

    def save_grid(self, step: int, pictures: Tensor) -> None:
        """Save f32[n, c, h, w] in [-1, 1] as one picture, for the report."""
        if self.writes:
            (self.folder / "samples").mkdir(exist_ok=True)
            cv2.imwrite(str(self.folder / "samples" / f"{step:07d}.png"), grid(pictures))


def grid(pictures: Tensor, columns: int = 10) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return f32[n, c, h, w] in [-1, 1] side by side as u8[rows h, columns w, 1 or 3], BGR as OpenCV writes it."""
    n, c, h, w = pictures.shape
    rows = n // columns
    whole = pictures[: rows * columns].detach().cpu().reshape(rows, columns, c, h, w).permute(0, 3, 1, 4, 2)
    values = whole.reshape(rows * h, columns * w, c).add(1).mul(127.5).round().clamp(0, 255)
    return np.asarray(values.to(torch.uint8).numpy()[..., ::-1])


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the logged entries of a run; a last line cut off by a power cut is left out."""
    file = folder / "metrics.jsonl"
    entries: list[dict[str, Any]] = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        with contextlib.suppress(json.JSONDecodeError):
            entries.append(json.loads(line))
    return entries


def commit() -> str:
    """Return the commit of this code, with ``+`` when the files differ from it; ``unknown`` outside a clone."""
    here = Path(__file__).parent.parent

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + (
            "+" if git("status", "--porcelain", "-uno", "--", "networks", "methods", "training") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
