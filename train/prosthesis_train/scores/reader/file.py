"""A reading as a NumPy archive, so that any laboratory can write one: ``numpy.savez(path, shown=..., ...)``."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis_train.scores.reader.reading import Array, Reading

KEYS = tuple(field.name for field in fields(Reading))
NEEDED = ("shown", "decoded_codes", "training_trials")


def load_reading(path: Path, encode: Callable[[Array], Array] | None = None) -> Reading:
    """Read a reading; ``encode`` makes the true codes of the pictures when the file has none.

    Raises ``ProsthesisError`` when it is missing, damaged, lacks an array or holds one that does not fit.
    """
    found = _arrays(path)
    unknown = sorted(set(found) - set(KEYS))
    if unknown:
        raise ProsthesisError(f"{path}: unknown arrays {', '.join(unknown)}; known are {', '.join(KEYS)}")
    missing = [name for name in NEEDED if name not in found]
    if missing:
        raise ProsthesisError(f"{path}: arrays {', '.join(missing)} are missing; docs/scores.md lists what belongs in")
    name, trials = str(found.pop("name", np.array(path.stem))), found.pop("training_trials")
    if trials.size != 1 or trials.dtype.kind not in "iu":
        raise ProsthesisError(f"{path}: training_trials: not one whole number")
    try:
        if "true_codes" not in found:
            if encode is None:
                raise ProsthesisError("true_codes: missing, and the model has no encoder to make them")
            found["true_codes"] = encode(found["shown"])
        return Reading(name=name, training_trials=int(trials), **found)
    except ProsthesisError as error:
        raise ProsthesisError(f"{path}: {error}") from error


def save_reading(path: Path, reading: Reading) -> None:
    """Write a reading; what it does not have is left out."""
    held = {name: getattr(reading, name) for name in KEYS}
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in held.items() if value is not None}
    np.savez_compressed(path, **arrays)


def _arrays(path: Path) -> dict[str, Array]:
    try:
        with path.open("rb") as file:  # np.load leaves a damaged file open
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ProsthesisError(f"{path}: one array, not an archive of named ones; write it with numpy.savez")
            return {name: archive[name] for name in archive.files}
    except OSError as error:
        raise ProsthesisError(f"{path}: cannot be read ({error.strerror or error}); give an .npz file") from error
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ProsthesisError(f"{path}: not an .npz of plain arrays ({error}); write it with numpy.savez") from error
