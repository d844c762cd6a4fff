"""Reading what others wrote: each file is checked for being there, its keys and shapes, with words that help."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.errors import MissingExtraError, ProsthesisError
from prosthesis_train.data.images import imported


@dataclass(frozen=True, slots=True)
class Source:
    """A published set: its name, the paper, where a user gets it and under which terms."""

    name: str
    paper: str
    where: str
    terms: str

    def wrong(self, path: Path, expected: str) -> ProsthesisError:
        """Return the error of a file that is not what was expected."""
        return ProsthesisError(f"{path}: {expected}. {self.name} comes from {self.where} ({self.terms})")

    def file(self, path: Path, what: str) -> Path:
        """Return ``path`` when there is such a file."""
        if not path.is_file():
            raise self.wrong(path, f"no such file; expected {what}")
        return path


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    out = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            out.update(part)
    return out.hexdigest()


def read_mat(source: Source, path: Path, keys: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """Return variables of a MATLAB file of any version, in the order of ``keys``, each with its axes in MATLAB's order.

    Version 7.3 is HDF5 and needs h5py, version 7 and below scipy.
    """
    io = imported("scipy.io", "train", "a MATLAB file")
    source.file(path, f"a MATLAB file with {', '.join(keys)}")
    try:
        found = {k: np.asarray(v) for k, v in io.loadmat(path, variable_names=list(keys)).items() if k in keys}
    except NotImplementedError:  # how scipy says that the file is of version 7.3
        with hdf5(source, path) as file:
            found = {k: np.asarray(file[k]).transpose() for k in keys if k in file}
    except ValueError as reason:
        raise source.wrong(path, f"not a MATLAB file ({reason}); expected one with {', '.join(keys)}") from reason
    missing = [k for k in keys if k not in found]
    if missing:
        raise source.wrong(path, f"no variable {', '.join(missing)}; expected {', '.join(keys)}")
    return {k: found[k] for k in keys}


@contextmanager
def hdf5(source: Source, path: Path) -> Iterator[Any]:
    """Open an HDF5 file to read; raise ``MissingExtraError`` without h5py."""
    h5py = _h5py(path)
    source.file(path, "an HDF5 file")
    try:
        file = h5py.File(path, "r")
    except OSError as reason:
        raise source.wrong(path, "not an HDF5 file, or cut off") from reason
    with file:
        yield file


def dataset(source: Source, path: Path, file: Any, name: str) -> Any:
    """Return a data set of an open HDF5 file, not yet read."""
    if name not in file:
        raise source.wrong(path, f"no data set '{name}'; the file has {', '.join(sorted(file)) or 'nothing'}")
    return file[name]


def _h5py(path: Path) -> ModuleType:
    try:
        return importlib.import_module("h5py")
    except ModuleNotFoundError as missing:
        raise MissingExtraError(f"{path}: HDF5 files need h5py; pip install 'prosthesis[recordings]'") from missing
