"""Kay's vim-1: two people's visual cortex looking at 1,870 gray photographs (Kay et al. 2008).

Keys, axes and area numbers are those that public code reads from the files; the files themselves were not seen here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.responses.files import Source, read_mat
from prosthesis_train.data.responses.recordings import Recordings, assemble

AREAS = ("other", "V1", "V2", "V3", "V3A", "V3B", "V4", "LatOcc")  # by the numbers of roiS1 and roiS2
SOURCE = Source(
    "vim-1",
    "Kay et al. 2008, Nature 452:352",
    "crcns.org/data-sets/vc/vim-1, after registration: EstimatedResponses.mat and Stimuli.mat",
    "the terms of CRCNS, accepted there; not redistributable",
)


def vim1(folder: Path, subject: int, area: str) -> Recordings:
    """Return a subject's (1 or 2) responses of an area of ``AREAS``, z-scores by the set's authors.

    One response a picture, already averaged over repeats (two for fitting, thirteen for testing: unverified), so that
    only ``images`` and ``published`` splits exist; voxels that are not finite are left to ``clean``. Stimuli are
    f32[images,128,128,1] in the file's own gray units (their range is unverified).
    """
    if subject not in (1, 2) or area not in AREAS:
        raise ProsthesisError(f"vim-1 has subjects 1 and 2 and areas {', '.join(AREAS)}; not {subject}, '{area}'")
    names = tuple(f"{what}S{subject}" for what in ("dataTrn", "dataVal", "roi"))
    responses = folder / "EstimatedResponses.mat"
    train, test, roi = read_mat(SOURCE, responses, names).values()
    roi = roi.ravel()
    if train.ndim != 2 or test.ndim != 2 or len({len(train), len(test), len(roi)}) != 1:
        shapes = f"{train.shape}, {test.shape} and {roi.shape}"
        raise SOURCE.wrong(
            responses, f"{', '.join(names)} are {shapes}; expected (voxels, pictures) twice and (voxels)"
        )
    voxels = roi == AREAS.index(area)
    if not voxels.any():
        raise SOURCE.wrong(responses, f"no voxel of subject {subject} is in {area}")
    pictures = _pictures(folder / "Stimuli.mat", train.shape[1], test.shape[1])
    return assemble(
        f"{SOURCE.name} subject {subject} {area}",
        np.hstack([train[voxels], test[voxels]]).T.astype(np.float64),
        pictures,
        np.arange(len(pictures), dtype=np.int64),
        np.arange(len(pictures)) >= train.shape[1],
        "z-score",
        f"{SOURCE.paper}; {SOURCE.where}",
        SOURCE.terms,
    )


def _pictures(path: Path, train: int, test: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    mat = read_mat(SOURCE, path, ("stimTrn", "stimVal"))
    for key, n in (("stimTrn", train), ("stimVal", test)):
        if mat[key].ndim != 3 or len(mat[key]) != n:
            raise SOURCE.wrong(path, f"{key} is {mat[key].shape}; expected ({n}, height, width), one for each response")
    return np.concatenate([mat["stimTrn"], mat["stimVal"]])[..., None].astype(np.float32)
