"""Fashion-MNIST (Xiao et al. 2017, MIT licence): 60,000 and 10,000 gray pictures of ten kinds of clothes."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.images import I64, U8, ImageSet, to_channels, to_side

# where Debian's package dataset-fashion-mnist puts the files
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
FOLDER_VARIABLE = "PROSTHESIS_FASHION_MNIST"
CLASSES = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
REMEDY = f"apt-get install dataset-fashion-mnist, or name the folder of your download in {FOLDER_VARIABLE}"


def fashion(side: int = 32, channels: int = 1, folder: Path | None = None) -> ImageSet:
    """Return Fashion-MNIST, padded from 28 to 32 pixels with its own black, then enlarged if ``side`` asks for more.

    ``folder`` holds the four published files; without it the one that the environment names, then Debian's.
    Raises ``ProsthesisError`` when a file is missing or damaged.
    """
    folder = folder or Path(os.environ.get(FOLDER_VARIABLE, DEBIAN))
    train, test = (_pictures(folder / f"{part}-images-idx3-ubyte", side, channels) for part in ("train", "t10k"))
    train_labels, test_labels = (_labels(folder / f"{part}-labels-idx1-ubyte") for part in ("train", "t10k"))
    if len(train) != len(train_labels) or len(test) != len(test_labels):
        raise ProsthesisError(f"{folder}: numbers of pictures and labels differ; {REMEDY}")
    return ImageSet(
        name="fashion",
        train=train,
        test=test,
        train_labels=train_labels,
        test_labels=test_labels,
        classes=CLASSES,
        licence="MIT",
        source="Fashion-MNIST, Zalando Research 2017",
    )


def _pictures(path: Path, side: int, channels: int) -> U8:
    images = np.pad(_idx(path, 3), ((0, 0), (2, 2), (2, 2)))[..., None]
    return to_channels(images if side == 32 else to_side(images, side), channels)


def _labels(path: Path) -> I64:
    return _idx(path, 1).astype(np.int64)


def _idx(path: Path, dimensions: int) -> U8:
    """Return the array of an IDX file, plain or gzipped (format: yann.lecun.com/exdb/mnist)."""
    content = _content(path)
    head = 4 + 4 * dimensions
    if content[:4] != bytes([0, 0, 8, dimensions]) or len(content) < head:
        raise ProsthesisError(f"{path}: not an IDX file of bytes in {dimensions} dimensions; {REMEDY}")
    shape = np.frombuffer(content[4:head], ">u4").astype(int)
    if len(content) != head + int(np.prod(shape)):
        raise ProsthesisError(f"{path}: {len(content)} bytes, its head says {head + int(np.prod(shape))}; {REMEDY}")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)


def _content(path: Path) -> bytes:
    zipped = path.with_name(path.name + ".gz")
    try:
        return gzip.decompress(zipped.read_bytes()) if zipped.is_file() else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ProsthesisError(f"{zipped}: damaged ({error}); {REMEDY}") from error
    except OSError as error:
        raise ProsthesisError(f"{path}: Fashion-MNIST is not there ({error.strerror}); {REMEDY}") from error
