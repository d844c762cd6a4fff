"""One set of pictures: what it holds, where it comes from, and a digest of every pixel and of the split."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis.errors import MissingExtraError, ProsthesisError

U8 = npt.NDArray[np.uint8]
I64 = npt.NDArray[np.int64]
NAMES = ("fashion", "glyphs", "photographs", "wallpapers", "walks", "scenes")


@dataclass(frozen=True, slots=True)
class ImageSet:
    """``train`` u8[n,h,w,c] and ``test`` u8[m,h,w,c], with labels i64[n] and i64[m] where the source has classes."""

    name: str
    train: U8
    test: U8
    train_labels: I64 | None
    test_labels: I64 | None
    classes: tuple[str, ...]
    licence: str
    source: str

    @property
    def digest(self) -> str:
        """Return the SHA-256 of pixels, labels and split: equal in every process that made the same set."""
        out = hashlib.sha256()
        for part in (self.train, self.test, self.train_labels, self.test_labels):
            out.update(b"-" if part is None else f"{part.dtype}{part.shape}".encode())
            out.update(b"" if part is None else np.ascontiguousarray(part).tobytes())
        return out.hexdigest()


def open_images(name_or_folder: str, side: int, channels: int) -> ImageSet:
    """Return a set by name, or the pictures of a folder, as ``side`` x ``side`` pixels of 1 or 3 ``channels``.

    Raises ``ProsthesisError`` when there is no such set or folder, or its pictures cannot be had.
    """
    if channels not in (1, 3):
        raise ProsthesisError(f"pictures have 1 channel (gray) or 3 (RGB), not {channels}")
    match name_or_folder:
        case "fashion":
            from prosthesis_train.data.fashion import fashion

            return fashion(side, channels)
        case "glyphs":
            from prosthesis_train.data.glyphs import glyphs

            return glyphs(side, channels)
        case "photographs" | "wallpapers":
            from prosthesis_train.data.photographs import photographs

            return photographs(side, channels, wallpapers=name_or_folder == "wallpapers")
        case "walks":
            from prosthesis_train.data.walks import walks

            return walks(side, channels)
        case "scenes":
            from prosthesis_train.data.scenes import scenes

            return scenes(side, channels)
        case folder if Path(folder).is_dir():
            from prosthesis_train.data.folder import pictures_of

            return pictures_of(Path(folder), side, channels)
    raise ProsthesisError(f"no picture set or folder '{name_or_folder}'; there are: {', '.join(NAMES)}, or ./a_folder")


def to_side(images: Iterable[U8], side: int) -> U8:
    """Return square pictures u8[n,side,side,c]: area interpolation when made smaller, so nothing aliases."""
    return np.stack([_one_to_side(image, side) for image in images])


def _one_to_side(image: U8, side: int) -> U8:
    if image.shape[0] == side:
        return image
    how = cv2.INTER_AREA if image.shape[0] > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (side, side), interpolation=how), np.uint8).reshape(side, side, -1)


def to_channels(images: U8, channels: int) -> U8:
    """Return pictures u8[n,h,w,channels]: RGB to gray by Rec. 601 luma, gray to RGB by repeating."""
    if images.shape[-1] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=-1)
    return np.stack([cv2.cvtColor(np.ascontiguousarray(i), cv2.COLOR_RGB2GRAY)[..., None] for i in images])


def centre_square(image: U8) -> U8:
    """Return the largest square about the centre of a picture u8[h,w,c]."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def imported(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional ``module``; raise ``MissingExtraError`` with the install line when it is absent."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        package = module.split(".")[0]
        raise MissingExtraError(f"{purpose} needs {package}; pip install 'prosthesis[{extra}]'") from missing
