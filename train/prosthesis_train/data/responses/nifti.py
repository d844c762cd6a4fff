"""NIfTI-1 images, read without a package of their own: one file, .nii or .nii.gz, real numbers."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from prosthesis_train.data.responses.files import Source
from prosthesis_train.data.responses.recordings import F64

# NIfTI-1 standard, field datatype (nifti.nimh.nih.gov, nifti1.h)
TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
HEADER = 348


def read_nifti(source: Source, path: Path) -> tuple[F64, float]:
    """Return the scaled values f64[x,y,z] or f64[x,y,z,t], and the fourth pixel size (s between volumes; 0 for one)."""
    source.file(path, "a NIfTI-1 image, .nii or .nii.gz")
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as reason:
        raise source.wrong(path, f"not a whole gzip file ({reason})") from reason
    order = next((o for o in "<>" if len(raw) > HEADER and struct.unpack_from(o + "i", raw)[0] == HEADER), None)
    if order is None or raw[344:347] != b"n+1":
        raise source.wrong(path, "not a NIfTI-1 image in one file")
    dims = struct.unpack_from(order + "8h", raw, 40)
    kind = struct.unpack_from(order + "h", raw, 70)[0]
    sizes = struct.unpack_from(order + "8f", raw, 76)
    start, slope, intercept = struct.unpack_from(order + "3f", raw, 108)
    if kind not in TYPES or not 1 <= dims[0] <= 7 or min(dims[1 : dims[0] + 1]) < 1:
        raise source.wrong(path, f"a NIfTI-1 image of data type {kind} and dimensions {dims}, which this cannot read")
    shape, each = dims[1 : dims[0] + 1], np.dtype(order + TYPES[kind])
    needed = int(start) + int(np.prod(shape)) * each.itemsize
    if len(raw) < needed:
        raise source.wrong(path, f"cut off: {len(raw)} bytes of {needed}")
    values = np.frombuffer(raw, each, int(np.prod(shape)), int(start)).reshape(shape, order="F").astype(np.float64)
    # a slope of 0 means not scaled
    return (values * slope + intercept if slope else values), float(sizes[4]) if len(shape) > 3 else 0.0
