"""Any folder of pictures: each is cut to the square about its centre and resized; every tenth is held out."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.images import U8, ImageSet, centre_square, to_channels, to_side
from prosthesis_train.data.photographs import read_picture

ENDINGS = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def pictures_of(folder: Path, side: int, channels: int) -> ImageSet:
    """Return the pictures below ``folder``, subfolders included, of whatever sizes.

    Raises ``ProsthesisError`` when there is none, or naming all that cannot be read.
    """
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
    if len(paths) < 2:
        raise ProsthesisError(f"{folder}: {len(paths)} pictures; two or more are needed ({', '.join(ENDINGS)})")
    pictures = np.stack(_read_all(paths, folder, side, channels))
    held = np.array([_held_out(picture) for picture in pictures])
    if held.all() or not held.any():
        held[:] = False
        held[-1] = True  # a handful: one is for testing
    return ImageSet(
        name=folder.resolve().name,
        train=pictures[~held],
        test=pictures[held],
        train_labels=None,
        test_labels=None,
        classes=(),
        licence="yours",
        source=f"a folder of {len(paths)} pictures",
    )


def _read_all(paths: list[Path], folder: Path, side: int, channels: int) -> list[U8]:
    out, bad = [], []
    for path in paths:
        try:
            out.append(to_channels(to_side([centre_square(read_picture(path))], side), channels)[0])
        except ProsthesisError:
            bad.append(str(path.relative_to(folder)))
    if bad:
        shown = ", ".join(bad[:10]) + (f" and {len(bad) - 10} more" if len(bad) > 10 else "")
        raise ProsthesisError(
            f"{folder}: {len(bad)} of {len(paths)} pictures cannot be read: {shown}; mend or move them"
        )
    return out


def _held_out(picture: U8) -> bool:
    # by content: copies of one picture under two names fall on the same side of the split
    return hashlib.sha256(picture.tobytes()).digest()[0] % 10 == 0
