"""Natural Scenes Dataset: eight people, 7 T, up to 30,000 trials each (Allen et al. 2022).

Paths, keys, 1-based numbers and the scale of 300 are those of public code that reads the set; no file was seen here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.images import U8, to_side
from prosthesis_train.data.responses.files import Source, dataset, hdf5, read_mat
from prosthesis_train.data.responses.nifti import read_nifti
from prosthesis_train.data.responses.recordings import F64, I64, Bools, Recordings, assemble

TRIALS = 750  # of a session
SCALE = 300.0  # betas are stored as whole numbers, this many to a percent of signal change
BETAS = "betas_fithrf_GLMdenoise_RR"
SOURCE = Source(
    "NSD",
    "Allen et al. 2022, Nat Neurosci 25:116",
    "naturalscenesdataset.org (s3://natural-scenes-dataset): nsddata, nsddata_betas and nsddata_stimuli",
    "the NSD Data Access Agreement, accepted there; not redistributable",
)


def nsd(
    root: Path, subject: int, sessions: Sequence[int], roi: str, side: int, say: Callable[[str], None]
) -> Recordings:
    """Return single-trial betas (percent signal change) of the voxels where ``roi`` (say ``nsdgeneral``) is above 0.

    ``root`` is laid out as the bucket, ``sessions`` count from 1, pictures become u8[images,side,side,3]. The 1,000
    pictures that all subjects share are held out. Reads a gigabyte or so a session and tells ``say`` of each.
    """
    if subject not in range(1, 9) or not sessions or min(sessions) < 1:
        raise ProsthesisError(f"NSD has subjects 1 to 8 and sessions from 1, not {subject} and {list(sessions)}")
    mask = roi_mask(root, subject, roi)
    shown, shared = _design(root, subject, sessions)
    betas = []
    for session in sessions:
        say(f"NSD: subject {subject}, session {session}")
        betas.append(_betas(root, subject, session, mask))
    numbers, image = np.unique(shown, return_inverse=True)
    return assemble(
        f"{SOURCE.name} subject {subject} {roi}",
        np.vstack(betas),
        _pictures(root, numbers, side),
        image.ravel().astype(np.int64),
        np.isin(numbers, shared),
        "percent signal change",
        f"{SOURCE.paper}; {SOURCE.where}",
        SOURCE.terms,
    )


def roi_mask(root: Path, subject: int, roi: str) -> Bools:
    """Return where a region of interest is above 0, in the order of the HDF5 files: bool[z,y,x]."""
    path = root / f"nsddata/ppdata/subj{subject:02d}/func1pt8mm/roi/{roi}.nii.gz"
    mask = (read_nifti(SOURCE, path)[0] > 0).transpose()
    if mask.ndim != 3 or not mask.any():
        raise SOURCE.wrong(path, f"a mask {mask.shape} with {int(mask.sum())} voxels above 0; expected three axes")
    return np.asarray(mask)


def _design(root: Path, subject: int, sessions: Sequence[int]) -> tuple[I64, I64]:
    """Return the pictures of the sessions' trials and those that all subjects share, numbered from 0 of 73,000."""
    path = root / "nsddata/experiments/nsd/nsd_expdesign.mat"
    mat = read_mat(SOURCE, path, ("masterordering", "subjectim", "sharedix"))
    order, images = mat["masterordering"].ravel().astype(np.int64), mat["subjectim"].astype(np.int64)
    if len(images) != 8 or order.max() > images.shape[1] or max(sessions) * TRIALS > len(order):
        raise SOURCE.wrong(
            path,
            f"masterordering of {len(order)} up to {order.max()}, subjectim {images.shape}, session {max(sessions)}; "
            f"expected {TRIALS} trials a session and (8, 10000)",
        )
    trials = np.concatenate([np.arange(TRIALS) + (session - 1) * TRIALS for session in sessions])
    return images[subject - 1, order[trials] - 1] - 1, mat["sharedix"].ravel().astype(np.int64) - 1


def _betas(root: Path, subject: int, session: int, mask: Bools) -> F64:
    folder = root / f"nsddata_betas/ppdata/subj{subject:02d}/func1pt8mm/{BETAS}"
    path = folder / f"betas_session{session:02d}.hdf5"
    with hdf5(SOURCE, path) as file:
        betas = dataset(SOURCE, path, file, "betas")
        if betas.shape != (TRIALS, *mask.shape):
            raise SOURCE.wrong(path, f"betas {betas.shape}; expected {(TRIALS, *mask.shape)}, as the mask's")
        return np.stack([betas[trial][mask] for trial in range(TRIALS)]).astype(np.float64) / SCALE


def _pictures(root: Path, numbers: I64, side: int) -> U8:
    path = root / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"
    with hdf5(SOURCE, path) as file:
        brick = dataset(SOURCE, path, file, "imgBrick")
        if brick.ndim != 4 or brick.shape[3] != 3 or brick.dtype != np.uint8 or numbers.max() >= len(brick):
            expected = f"u8[{numbers.max() + 1} or more, height, width, 3]"
            raise SOURCE.wrong(path, f"imgBrick {brick.dtype}{brick.shape}; expected {expected}")
        return to_side((np.asarray(brick[number]) for number in numbers), side)
