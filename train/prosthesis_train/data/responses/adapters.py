"""Published sets that cannot be shipped: each adapter checks the file a user brings and says where to get it.

The layouts of the original files are from their documentation and papers and were not verified on the files
themselves; where a set has no one-file layout, the keys here are ours and the message says how to make the file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.responses.files import numbers_from_0, read_hdf5, read_mat, take, there
from prosthesis_train.data.responses.recordings import Recordings

GOD = (
    "Generic Object Decoding (Horikawa & Kamitani 2017): github.com/KamitaniLab/GenericObjectDecoding; fMRI on figshare, "
    "images by request, under their own terms. Save as .npz: responses [trials, voxels], image [trials] from 0."
)
NSD = (
    "Natural Scenes Dataset (Allen et al. 2022): naturalscenesdataset.org, after agreeing to its terms. Save betas as "
    ".npz: responses [trials, voxels], image [trials] of 73k numbers from 1, as in its experiment design."
)
VIM1 = (
    "vim-1 (Kay et al. 2008): crcns.org, data set vim-1, with an account and under its terms. EstimatedResponses.mat "
    "(MATLAB 7.3) holds dataTrnS1 [voxels, 1750] and dataValS1 [voxels, 120]."
)
DIGITS69 = (
    "69 digits (van Gerven et al. 2010): ask Donders for it, under its data use agreement; it may not be passed on. The "
    "copies in use hold X [100, 784], pixels 0..255 or 0..1, and Y [100, 3092], voxels of V1 to V3."
)
NWB = (
    "NWB or BIDS: export with pynwb or your GLM, under the set's own terms. Save as .npz: responses [trials, units] (spike "
    "counts or betas), image [trials] from 0, and stimuli [images, h, w] in 0..1 if you have them."
)


def god(path: Path) -> Recordings:
    """Return Generic Object Decoding responses; repeats are trials that share an image."""
    return _from_npz("god", path, GOD, first=0, few=2)


def nsd(path: Path) -> Recordings:
    """Return Natural Scenes betas; most images were shown three times."""
    return _from_npz("nsd", path, NSD, first=1, few=1, most_repeats=3)


def nwb(path: Path) -> Recordings:
    """Return recordings exported from NWB or BIDS."""
    return _from_npz("nwb", path, NWB, first=0, few=1)


def vim1(path: Path, subject: int = 1) -> Recordings:
    """Return Kay's mean responses: 1750 images for training, then 120 for validation, each one row.

    Voxels without an estimate are left out and counted as dropped.
    """
    content = read_mat(there(path, "EstimatedResponses.mat", VIM1), VIM1)
    parts = [take(content, f"data{part}S{subject}", 2, path, VIM1) for part in ("Trn", "Val")]
    images = [1750, 120]
    if [p.shape[1] for p in parts] != images or parts[0].shape[0] != parts[1].shape[0]:
        shapes = " and ".join(str(list(p.shape)) for p in parts)
        raise ProsthesisError(f"{path}: responses are {shapes}, not [voxels, 1750] and [voxels, 120]. {VIM1}")
    responses = np.concatenate(parts, axis=1).T.astype(np.float64)
    known = np.isfinite(responses).all(axis=0)
    image = np.arange(len(responses), dtype=np.int64)
    return Recordings("vim1", responses[:, known], image, None, "CRCNS terms", VIM1, int((~known).sum()))


def digits69(path: Path) -> Recordings:
    """Return 100 trials of 100 digits of 28 x 28 pixels."""
    content = read_mat(there(path, "the 69 digits", DIGITS69), DIGITS69)
    pixels, answers = take(content, "X", 2, path, DIGITS69), take(content, "Y", 2, path, DIGITS69)
    if pixels.shape != (100, 784) or len(answers) != 100:
        raise ProsthesisError(
            f"{path}: 'X' is {list(pixels.shape)} and 'Y' {list(answers.shape)}, not [100, 784] and [100, voxels]. {DIGITS69}"
        )
    scale = 255.0 if pixels.max() > 1 else 1.0
    stimuli = (pixels.reshape(100, 28, 28).transpose(0, 2, 1) / scale).astype(np.float32)
    return Recordings("digits69", answers.astype(np.float64), np.arange(100), stimuli, "Donders agreement", DIGITS69)


def _from_npz(name: str, path: Path, how: str, first: int, few: int, most_repeats: int | None = None) -> Recordings:
    """Read ``responses``, ``image`` and perhaps ``stimuli`` from ``.npz`` or HDF5; some image ``few`` times or more."""
    there(path, f"the set '{name}'", how)
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as file:
                content = dict(file)
        except (ValueError, OSError) as error:
            raise ProsthesisError(f"{path}: not a NumPy archive ({error}). {how}") from error
    elif path.suffix in (".h5", ".hdf5", ".nwb"):
        content = {k: v.T for k, v in read_hdf5(path, how).items()}
    else:
        raise ProsthesisError(f"{path}: .npz or .h5 is expected. {how}")
    answers = take(content, "responses", 2, path, how).astype(np.float64)
    image = numbers_from_0(take(content, "image", 1, path, how), first, path)
    stimuli = np.asarray(content["stimuli"], np.float32) if "stimuli" in content else None
    times = np.unique(image, return_counts=True)[1]
    if times.max() < few or (most_repeats is not None and times.max() > most_repeats):
        wanted = f"{few} to {most_repeats}" if most_repeats else f"{few} or more"
        raise ProsthesisError(f"{path}: an image was shown {times.max()} times at most; {wanted} are expected. {how}")
    return Recordings(name, answers, image, stimuli, "the set's own terms", how)
