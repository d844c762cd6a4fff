"""Generic Object Decoding: five people's visual cortex looking at photographs of objects (Horikawa & Kamitani 2017).

The layout of BrainDecoderToolbox2 files, .h5 and .mat, is that which the authors' bdpy reads; the names of columns
are those of their demonstration. That pictures are called nCATEGORY_IMAGE is unverified.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from prosthesis_train.data.images import U8, centre_square, imported, to_side
from prosthesis_train.data.photographs import read_picture
from prosthesis_train.data.responses.files import Source, hdf5
from prosthesis_train.data.responses.recordings import F64, I64, Recordings, assemble

FIT, TEST = 1, 2  # of the column DataType; 3 is imagery, which has no picture and is left out
SOURCE = Source(
    "GOD",
    "Horikawa & Kamitani 2017, Nat Commun 8:15037",
    "figshare.com/articles/Generic_Object_Decoding/7387130 (Subject1.h5 to Subject5.h5), pictures by the form that "
    "github.com/KamitaniLab/GenericObjectDecoding names",
    "the responses' licence is stated at figshare; the pictures are ImageNet's and may not be passed on",
)


def god(path: Path, pictures: Path, roi: str, side: int) -> Recordings:
    """Return the trials that show a picture, in the voxels of ``roi`` (V1, V2, V3, V4, LOC, FFA, PPA, LVC, HVC, VC).

    ``pictures`` is the folder of the photographs, of any file type; they become u8[images,side,side,3], cut to the
    square about their centre. The pictures of the test session (fifty, 35 times each) are held out.
    """
    data, keys, values = read_bdata(path)
    kind, label = (_column(path, data, keys, values, name) for name in ("DataType", "Label"))
    columns = _columns(path, keys, values, f"ROI_{roi}")
    shown = np.isin(kind, (FIT, TEST))
    if not shown.any():
        raise SOURCE.wrong(path, f"no trial of DataType {FIT} or {TEST}; there are {np.unique(kind)}")
    labels, first, image = np.unique(label[shown], return_index=True, return_inverse=True)
    return assemble(
        f"{SOURCE.name} {path.stem} {roi}",
        np.asarray(data[np.ix_(shown, columns)], np.float64),
        _pictures(path, pictures, labels, side),
        image.ravel().astype(np.int64),
        kind[shown][first] == TEST,
        "BOLD signal, as published",
        f"{SOURCE.paper}; {SOURCE.where}",
        SOURCE.terms,
    )


def read_bdata(path: Path) -> tuple[F64, list[str], F64]:
    """Return a BrainDecoderToolbox2 file: samples f64[n,columns], keys of metadata, their values f64[keys,columns].

    A column belongs to a key where the value is 1. Newer files write ``dataset``, older ones ``dataSet``.
    """
    SOURCE.file(path, "Subject1.h5 or the like")
    data, keys, values = _from_mat(path) if path.suffix == ".mat" else _from_hdf5(path)
    if data.ndim != 2 or values.shape != (len(keys), data.shape[1]):
        raise SOURCE.wrong(path, f"samples {data.shape} and metadata {values.shape} of {len(keys)} keys do not fit")
    return data, keys, values


def _from_hdf5(path: Path) -> tuple[F64, list[str], F64]:
    with hdf5(SOURCE, path) as file:
        for data, meta in (("dataset", "metadata"), ("dataSet", "metaData")):
            if data in file and meta in file and {"key", "value"} <= set(file[meta]):
                keys = [k.decode() if isinstance(k, bytes) else str(k) for k in np.ravel(file[meta]["key"])]
                return np.asarray(file[data], np.float64), keys, np.asarray(file[meta]["value"], np.float64)
        raise SOURCE.wrong(path, f"no dataset and metadata/key, metadata/value; the file has {', '.join(sorted(file))}")


def _from_mat(path: Path) -> tuple[F64, list[str], F64]:
    io = imported("scipy.io", "train", "a MATLAB file")
    try:
        mat: dict[str, Any] = io.loadmat(path, simplify_cells=True)
    except (ValueError, NotImplementedError) as reason:
        raise SOURCE.wrong(path, f"not a MATLAB file of version 7 or below ({reason})") from reason
    for data, meta in (("dataset", "metadata"), ("dataSet", "metaData")):
        if data in mat and meta in mat and {"key", "value"} <= set(mat[meta]):
            keys = [str(k).strip() for k in np.ravel(mat[meta]["key"])]
            return np.asarray(mat[data], np.float64), keys, np.asarray(mat[meta]["value"], np.float64)
    raise SOURCE.wrong(path, "no dataSet and metaData.key, metaData.value")


def _columns(path: Path, keys: list[str], values: F64, name: str) -> I64:
    if name not in keys:
        raise SOURCE.wrong(path, f"no columns '{name}'; there are {', '.join(keys)}")
    return np.flatnonzero(values[keys.index(name)] == 1).astype(np.int64)


def _column(path: Path, data: F64, keys: list[str], values: F64, name: str) -> F64:
    found = _columns(path, keys, values, name)
    if len(found) != 1:
        raise SOURCE.wrong(path, f"'{name}' is {len(found)} columns; expected one")
    return np.asarray(data[:, found[0]])


def _pictures(path: Path, folder: Path, labels: F64, side: int) -> U8:
    """Return the pictures of labels like 1443537.022563, which is n01443537_22563."""
    files = {p.stem: p for p in folder.rglob("n*_*") if p.is_file()}
    stems = [f"n{int(category):08d}_{int(image)}" for category, image in (f"{v:.6f}".split(".") for v in labels)]
    missing = [stem for stem in stems if stem not in files]
    if missing:
        some = ", ".join(missing[:3])
        raise SOURCE.wrong(path, f"{len(missing)} of {len(stems)} pictures are not below {folder}: {some}")
    return to_side((centre_square(read_picture(files[stem])) for stem in stems), side)
