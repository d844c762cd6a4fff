"""Spikes of any NWB file (Rübel et al. 2022): counts in a window after each picture of a table of presentations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.images import U8
from prosthesis_train.data.responses.files import Source, dataset, hdf5
from prosthesis_train.data.responses.recordings import F64, I64, Recordings, assemble

SOURCE = Source(
    "An NWB file",
    "Rübel et al. 2022, eLife 11:e78362",
    "an archive such as dandiarchive.org",
    "the terms of its dandiset or author",
)


def nwb(path: Path, table: str, column: str, pictures: U8, window_s: tuple[float, float]) -> Recordings:
    """Return spike counts of ``/units`` between ``window_s`` after each ``start_time`` of ``/intervals/<table>``.

    ``column`` of the table numbers the picture of each row in ``pictures`` u8[images,h,w,c] from 0; rows below 0 are
    blanks and are left out (so in the Allen Institute's ``natural_scenes_presentations``, column ``frame``). A spike
    counts from the window's beginning up to, not including, its end.
    """
    if not window_s[0] < window_s[1]:
        raise ProsthesisError(
            f"a window goes from an earlier time to a later one, not {window_s[0]} to {window_s[1]} s"
        )
    with hdf5(SOURCE, path) as file:
        times, ends = _units(path, file)
        rows = _table(path, file, table)
        starts = np.asarray(dataset(SOURCE, path, rows, "start_time"), np.float64)
        number = np.asarray(dataset(SOURCE, path, rows, column))
    if not np.issubdtype(number.dtype, np.number) or number.shape != starts.shape or not np.isfinite(starts).all():
        found = f"{number.dtype}{number.shape}"
        raise SOURCE.wrong(path, f"'{column}' of {table} is {found}; expected a number for each of {len(starts)} rows")
    shown = np.flatnonzero(np.nan_to_num(number.astype(np.float64), nan=-1) >= 0)
    if not shown.size:
        raise SOURCE.wrong(path, f"no row of {table} shows a picture: '{column}' is below 0 or missing everywhere")
    return assemble(
        f"{path.stem} {table}",
        counts(times, ends, starts[shown], window_s),
        pictures,
        number[shown].astype(np.int64),
        np.zeros(len(pictures), bool),
        f"spikes from {window_s[0]:g} to {window_s[1]:g} s",
        str(path),
        SOURCE.terms,
    )


def counts(times: F64, ends: I64, starts: F64, window_s: tuple[float, float]) -> F64:
    """Return spikes f64[rows,units] in the half-open window after each start; ``ends`` close each unit's ``times``."""
    edges = starts[:, None] + np.asarray(window_s)
    out = np.empty((len(starts), len(ends)))
    for unit, (begin, end) in enumerate(zip((0, *ends[:-1]), ends, strict=True)):
        out[:, unit] = np.diff(np.searchsorted(np.sort(times[begin:end]), edges, side="left"), axis=1)[:, 0]
    return out


def _units(path: Path, file: Any) -> tuple[F64, I64]:
    if "units" not in file:
        raise SOURCE.wrong(path, "no /units; expected sorted units with spike_times, not traces")
    times = np.asarray(dataset(SOURCE, path, file["units"], "spike_times"), np.float64)
    ends = np.asarray(dataset(SOURCE, path, file["units"], "spike_times_index"), np.int64)
    if not ends.size or (np.diff(ends) < 0).any() or ends[-1] != len(times):
        raise SOURCE.wrong(path, f"spike_times_index does not divide the {len(times)} spike times among units")
    return times, ends


def _table(path: Path, file: Any, table: str) -> Any:
    tables = sorted(file["intervals"]) if "intervals" in file else []
    if table not in tables:
        raise SOURCE.wrong(path, f"no table '{table}' in /intervals; there are {', '.join(tables) or 'none'}")
    return file["intervals"][table]
