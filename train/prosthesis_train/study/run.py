"""A whole study: what is missing is measured, every row is kept, and table, plots and summary are made of all rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from prosthesis_train.study.cell import Row, key_of
from prosthesis_train.study.plan import Study, cells
from prosthesis_train.study.report import write_report
from prosthesis_train.study.store import Store
from prosthesis_train.study.table import tools, write_table
from prosthesis_train.study.workers import Work, cluster, here, processes

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Done:
    """All rows in the order of the study's file; ``measured`` of them now, ``failed`` with an error."""

    rows: list[Row]
    measured: int
    failed: int


def run_study(
    study: Study, folder: Path, workers: int = 1, scheduler: str | None = None, say: Say = lambda text: None
) -> Done:
    """Measure what ``folder`` does not hold yet, in this process, ``workers`` processes, or at a Dask ``scheduler``.

    Each row is kept as soon as it is there, so an interrupted study goes on where it was; a cell that failed is
    measured again. Raises ``ConfigError`` before anything is measured when a file that the study names is wrong.
    """
    store = Store(folder)
    plan = [(key_of(cell), cell) for cell in cells(study)]
    missing = [(key, cell) for key, cell in plan if not _good(store.row(key))]
    say(f"{study.name}: {len(plan)} cells, {len(plan) - len(missing)} of them measured before")
    began = told = time.monotonic()
    for count, row in enumerate(_rows(missing, workers, scheduler, say), 1):
        store.keep(row)
        now = time.monotonic()
        if row["error"]:
            say(f"{row['rig']} {row['encoder']} patient {row['patient']}: {row['error']}")
        if now - told > 2 or count == len(missing):
            told = now
            left_s = (now - began) / count * (len(missing) - count)
            say(f"{count} of {len(missing)} cells, about {left_s:.0f} s left")
    rows = [found for key, _ in plan if (found := store.row(key)) is not None]
    return Done(rows, len(missing), sum(row["error"] is not None for row in rows))


def make_study(
    study: Study, folder: Path, workers: int = 1, scheduler: str | None = None, say: Say = lambda text: None
) -> Done:
    """Run a study (``run_study``) and write ``study.json``, ``table.parquet``, pictures and ``summary.md`` of it."""
    tools()  # what is missing is said before hours of work
    done = run_study(study, folder, workers, scheduler, say)
    (folder / "study.json").write_text(study.model_dump_json(indent=1) + "\n", encoding="utf-8")
    write_table(done.rows, folder / "table.parquet")
    write_report(study, done.rows, folder)
    return done


def _rows(work: Work, workers: int, scheduler: str | None, say: Say) -> Iterator[Row]:
    if not work:
        return iter(())
    if scheduler is not None:
        return cluster(work, scheduler, say)
    return processes(work, workers) if workers > 1 else here(work)


def _good(row: Row | None) -> bool:
    return row is not None and row["error"] is None
