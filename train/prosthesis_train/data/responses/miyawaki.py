"""Ten figures seen by one subject's V1, eight times each (Miyawaki et al. 2008), as shared by VBCCA."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.responses.files import read_mat, take, there
from prosthesis_train.data.responses.recordings import Recordings

VARIABLE = "PROSTHESIS_MIYAWAKI"
SHA256 = "a65908b290870694af100b51c6c143c0217146494350a5b8219eb1b2ed137788"
HOW = (
    "Get sample/data/V1_mean_figure.mat of github.com/KamitaniLab/VBCCA (BSD-3-Clause) and name it in "
    f"the variable {VARIABLE}."
)


def miyawaki(path: Path | None = None) -> Recordings:
    """Return 80 trials of 797 voxels and 10 stimuli of 10 x 10 pixels from ``path``, or what ``VARIABLE`` names.

    Raises ``ProsthesisError`` when the file is absent or another one.
    """
    path = there(path or Path(os.environ.get(VARIABLE, "V1_mean_figure.mat")), "the Miyawaki V1 figures", HOW)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise ProsthesisError(f"{path}: its SHA-256 is {found[:8]}..., and {SHA256[:8]}... is expected. {HOW}")
    content = read_mat(path, HOW)
    shown, answers = take(content, "I2", 2, path, HOW), take(content, "R2", 2, path, HOW)
    figures, image = np.unique(shown.T, axis=0, return_inverse=True)
    # MATLAB's columns run first, so a picture is the transpose of its pixels in order
    stimuli = (figures.reshape(-1, 10, 10).transpose(0, 2, 1) / max(int(figures.max()), 1)).astype(np.float32)
    return Recordings(
        "miyawaki", answers.T.astype(np.float64), image.ravel().astype(np.int64), stimuli, "BSD-3-Clause", HOW
    )
