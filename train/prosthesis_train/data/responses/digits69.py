"""The '69' set: one person's V1 to V3 looking at a hundred written sixes and nines (van Gerven et al. 2010).

Keys, shapes and the pixels' order are those that public code reads from the file; the file itself was not seen here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from prosthesis_train.data.responses.files import Source, read_mat
from prosthesis_train.data.responses.recordings import Recordings, assemble

SIDE, VOXELS, TRAIN, TEST = 28, 3092, 90, 10
SOURCE = Source(
    "69 digits",
    "van Gerven et al., Handwritten digits in fMRI ('69' data set)",
    "the Donders Repository, hdl.handle.net/11633/di.dcc.DSC_2018.00112_485, after registration; digit69_28x28.mat is "
    "a conversion by others",
    "a data use agreement; copies that circulate have no licence",
)
KEYS = {
    "fmriTrn": (TRAIN, VOXELS),
    "fmriTest": (TEST, VOXELS),
    "stimTrn": (TRAIN, SIDE * SIDE),
    "stimTest": (TEST, SIDE * SIDE),
}


def digits69(path: Path) -> Recordings:
    """Return 100 trials, each of a picture u8[28,28,1] of its own; the last ten are held out.

    Gray values are 0..255, pixels run down the columns.
    """
    mat = read_mat(SOURCE, path, tuple(KEYS))
    for key, shape in KEYS.items():
        if mat[key].shape != shape:
            raise SOURCE.wrong(path, f"{key} is {mat[key].shape}; expected {shape}")
    flat = np.vstack([mat["stimTrn"], mat["stimTest"]])
    if flat.min() < 0 or not 1 < flat.max() <= 255:
        raise SOURCE.wrong(path, f"gray values {flat.min():g} to {flat.max():g}; expected 0 to 255")
    pictures = np.ascontiguousarray(flat.reshape(-1, SIDE, SIDE, 1).swapaxes(1, 2))
    return assemble(
        SOURCE.name,
        np.vstack([mat["fmriTrn"], mat["fmriTest"]]).astype(np.float64),
        pictures.round().astype(np.uint8),
        np.arange(TRAIN + TEST, dtype=np.int64),
        np.arange(TRAIN + TEST) >= TRAIN,
        "as in the file",
        f"{SOURCE.paper}; {SOURCE.where}",
        SOURCE.terms,
    )
