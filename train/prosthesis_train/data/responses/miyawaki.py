"""Human V1 looking at ten figures of 10 x 10 squares, eight times each (Miyawaki et al. 2008)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from prosthesis_train.data.responses.files import Source, read_mat, sha256_of
from prosthesis_train.data.responses.recordings import Recordings, assemble

SIDE, FIGURES, REPEATS, VOXELS = 10, 10, 8, 797
SHA256 = "a65908b290870694af100b51c6c143c0217146494350a5b8219eb1b2ed137788"
SOURCE = Source(
    "Miyawaki V1 figures",
    "Miyawaki et al. 2008, Neuron 60:915",
    "github.com/KamitaniLab/VBCCA, sample/data/V1_mean_figure.mat",
    "BSD-3 stated for that repository",
)


def miyawaki(path: Path) -> Recordings:
    """Return 80 trials of 797 voxels and ten pictures u8[10,10,10,1] of 0 and 255.

    Trials 0 to 39 are five geometric shapes, trials 40 to 79 five letters: shape or letter goes with the time of the
    recording, so that telling one from the other is no evidence of vision. Pixels run down the columns, as letters
    that stand upright show. Raises ``ProsthesisError`` for a file with any other SHA-256 than the published one's.
    """
    SOURCE.file(path, "V1_mean_figure.mat, 495 kB")
    found = sha256_of(path)
    if found != SHA256:
        raise SOURCE.wrong(path, f"SHA-256 {found[:12]}..., expected {SHA256[:12]}...: another file, or a damaged one")
    return from_arrays(path)


def from_arrays(path: Path) -> Recordings:
    """Return the recordings of a file of this layout, whatever its digest."""
    mat = read_mat(SOURCE, path, ("I2", "R2"))
    trials = FIGURES * REPEATS
    if mat["I2"].shape != (SIDE * SIDE, trials) or mat["R2"].shape != (VOXELS, trials):
        shapes = f"I2 {mat['I2'].shape}, R2 {mat['R2'].shape}"
        raise SOURCE.wrong(path, f"{shapes}; expected I2 ({SIDE * SIDE}, {trials}) and R2 ({VOXELS}, {trials})")
    pictures = np.ascontiguousarray(mat["I2"].T.reshape(trials, SIDE, SIDE, 1).swapaxes(1, 2) * np.uint8(255))
    out = assemble(
        SOURCE.name,
        np.ascontiguousarray(mat["R2"].T, np.float64),
        pictures.astype(np.uint8),
        np.arange(trials, dtype=np.int64),
        np.zeros(trials, bool),
        "BOLD signal change, as published",
        f"{SOURCE.paper}; {SOURCE.where}",
        SOURCE.terms,
    )
    if len(out.stimuli) != FIGURES or (out.repeats != REPEATS).any():
        seen = f"{len(out.stimuli)} figures shown {out.repeats.min()} to {out.repeats.max()} times"
        raise SOURCE.wrong(path, f"{seen}; expected {FIGURES} figures, {REPEATS} times each")
    return out
