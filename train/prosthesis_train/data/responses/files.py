"""Opening what a user brings: clear errors for a missing file, key or shape."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.errors import MissingExtraError, ProsthesisError

Array = npt.NDArray[Any]


def there(path: Path, what: str, how: str) -> Path:
    """Return ``path`` if it is a file; ``how`` says where to get it and under which terms."""
    if not path.is_file():
        raise ProsthesisError(f"{path}: no such file; {what} is expected there. {how}")
    return path


def read_mat(path: Path, how: str) -> dict[str, Array]:
    """Return the variables of a MATLAB file, of version 7.3 (HDF5, axes reversed as MATLAB has them) or older."""
    with path.open("rb") as file:
        head = file.read(128)
    if b"MATLAB 7.3" in head or head[:4] == b"\x89HDF":
        return read_hdf5(path, how)
    from scipy.io import loadmat

    try:
        return {k: v for k, v in loadmat(str(path)).items() if not k.startswith("__")}
    except (ValueError, NotImplementedError, TypeError, EOFError) as error:
        raise ProsthesisError(f"{path}: not a MATLAB file ({error}). {how}") from error


def read_hdf5(path: Path, how: str) -> dict[str, Array]:
    """Return the top-level datasets of an HDF5 file with axes reversed, as MATLAB wrote them."""
    try:
        import h5py  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ModuleNotFoundError as missing:
        raise MissingExtraError(f"{path.name} is HDF5 and needs h5py; pip install h5py") from missing
    try:
        with h5py.File(path, "r") as file:
            return {k: np.asarray(v[()]).T for k, v in file.items() if isinstance(v, h5py.Dataset)}
    except OSError as error:
        raise ProsthesisError(f"{path}: not an HDF5 file ({error}). {how}") from error


def take(content: Mapping[str, Array], key: str, ndim: int, path: Path, how: str) -> Array:
    """Return ``content[key]``, which must have ``ndim`` axes."""
    if key not in content:
        raise ProsthesisError(f"{path}: no '{key}'; there are: {', '.join(sorted(content)) or 'none'}. {how}")
    found = np.asarray(content[key])
    if found.ndim != ndim or not found.size:
        raise ProsthesisError(f"{path}: '{key}' is {list(found.shape)}, and {ndim} axes are expected. {how}")
    return found


def numbers_from_0(images: Array, first: int, path: Path) -> npt.NDArray[np.int64]:
    """Return image numbers counted from ``first`` as counted from 0."""
    numbers = np.asarray(images, np.float64).ravel()
    if not np.isfinite(numbers).all() or (numbers % 1 != 0).any() or numbers.min() < first:
        raise ProsthesisError(f"{path}: image numbers must be whole and count from {first}; check the file")
    return numbers.astype(np.int64) - first
