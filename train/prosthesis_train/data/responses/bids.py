"""Functional MRI of any BIDS data set (Gorgolewski et al. 2016): the mean of some volumes after each picture."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.images import U8, centre_square, to_side
from prosthesis_train.data.photographs import read_picture
from prosthesis_train.data.responses.files import Source
from prosthesis_train.data.responses.nifti import read_nifti
from prosthesis_train.data.responses.recordings import F64, Bools, Recordings, assemble

SOURCE = Source(
    "A BIDS data set",
    "Gorgolewski et al. 2016, Sci Data 3:160044",
    "an archive such as openneuro.org (GOD is ds001246)",
    "the terms of its dataset_description.json",
)


@dataclass(frozen=True, slots=True)
class Event:
    """A picture shown in a run: when, and its file relative to the data set's folder ``stimuli``."""

    onset_s: float
    picture: str


def bids(root: Path, subject: str, task: str, mask: Path, window_s: tuple[float, float], side: int) -> Recordings:
    """Return the voxels above 0 of ``mask``, z-scored over each run, averaged over the volumes in ``window_s``.

    Runs are the ``*_events.tsv`` of ``sub-<subject>`` and ``task-<task>`` whose ``*_bold.nii.gz`` lies beside them, so
    ``root`` may be a folder of preprocessed runs with copies of the events. Pictures are those of the column
    ``stim_file``, below ``root/stimuli`` as BIDS says; rows without one are left out. The window, say 4 to 8 s for the
    lag of blood, is after the onset; a volume counts when its beginning lies in it. No drift is removed: give
    preprocessed runs. A voxel constant over a run is NaN in it, for ``clean``.
    """
    if not window_s[0] < window_s[1]:
        raise ProsthesisError(
            f"a window goes from an earlier time to a later one, not {window_s[0]} to {window_s[1]} s"
        )
    name = f"sub-{subject} task-{task}"
    runs = sorted((root / f"sub-{subject}").glob(f"**/func/sub-{subject}_*task-{task}_*events.tsv"))
    if not runs:
        raise SOURCE.wrong(root, f"no sub-{subject}/[ses-*/]func/sub-{subject}_*task-{task}_*events.tsv")
    inside = read_nifti(SOURCE, mask)[0] > 0
    responses, shown = [], []
    for run in runs:
        events = read_events(run)
        responses.append(_responses(run, events, inside, window_s))
        shown += [event.picture for event in events]
    pictures, image = np.unique(shown, return_inverse=True)
    return assemble(
        f"{root.resolve().name} {name}",
        np.vstack(responses),
        _pictures(root, [str(p) for p in pictures], side),
        image.ravel().astype(np.int64),
        np.zeros(len(pictures), bool),
        f"BOLD z-score of the run, mean of {window_s[0]:g} to {window_s[1]:g} s",
        str(root),
        SOURCE.terms,
    )


def read_events(path: Path) -> list[Event]:
    """Return the rows that name a picture; raise ``ProsthesisError`` when there is none or an onset is no number."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    if not rows or not {"onset", "stim_file"} <= set(rows[0]):
        found = ", ".join(rows[0]) if rows else "no row"
        raise SOURCE.wrong(path, f"columns {found}; expected onset and stim_file, separated by tabs")
    try:
        out = [Event(float(r["onset"]), r["stim_file"]) for r in rows if r["stim_file"] not in ("n/a", "", None)]
    except (ValueError, TypeError) as reason:
        raise SOURCE.wrong(path, f"an onset is no number of seconds ({reason})") from reason
    if not out:
        raise SOURCE.wrong(path, "stim_file names no picture in any row")
    return out


def _responses(events_path: Path, events: list[Event], inside: Bools, window_s: tuple[float, float]) -> F64:
    stem = events_path.name.removesuffix("_events.tsv")
    beside = [events_path.with_name(f"{stem}_bold{ending}") for ending in (".nii.gz", ".nii")]
    path = next((p for p in beside if p.is_file()), beside[0])
    bold, step_s = read_nifti(SOURCE, path)
    step_s = _step_s(path, step_s)
    if bold.ndim != 4 or bold.shape[:3] != inside.shape:
        raise SOURCE.wrong(path, f"volumes {bold.shape}; expected the mask's {inside.shape} and time")
    series = bold[inside]
    spread = series.std(1, keepdims=True)
    z = (series - series.mean(1, keepdims=True)) / np.where(spread > 0, spread, np.nan)
    begins = np.arange(bold.shape[3]) * step_s
    out = []
    for event in events:
        since = begins - event.onset_s
        chosen = (since >= window_s[0]) & (since < window_s[1])
        if not chosen.any():
            ends = begins[-1] + step_s
            raise SOURCE.wrong(
                events_path,
                f"no volume begins {window_s[0]:g} to {window_s[1]:g} s after {event.onset_s:g} s of {ends:g}",
            )
        out.append(z[:, chosen].mean(1))
    return np.stack(out)


def _step_s(bold: Path, of_header: float) -> float:
    """Return RepetitionTime of the run's own sidecar where there is one, else the header's."""
    sidecar = bold.with_name(bold.name.split(".nii")[0] + ".json")
    found = json.loads(sidecar.read_text(encoding="utf-8")).get("RepetitionTime") if sidecar.is_file() else of_header
    if not isinstance(found, int | float) or not found > 0:
        raise SOURCE.wrong(bold, f"the time between volumes is {found}; expected RepetitionTime in {sidecar.name}")
    return float(found)


def _pictures(root: Path, names: list[str], side: int) -> U8:
    missing = [name for name in names if not (root / "stimuli" / name).is_file()]
    if missing:
        some = ", ".join(missing[:3])
        raise SOURCE.wrong(root / "stimuli", f"{len(missing)} of {len(names)} pictures are missing: {some}")
    return to_side((centre_square(read_picture(root / "stimuli" / name)) for name in names), side)
