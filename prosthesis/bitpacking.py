"""Codes of a few bits each as bit strings: all of a tile in order (dense), or the electrodes that are driven (sparse).

Most significant bit first, one after the other, zeros up to the next whole byte.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from prosthesis.messages import U8

U16 = npt.NDArray[np.uint16]
_WORD = 32


def index_bits(tile_electrodes: int) -> int:
    """Return how many bits an electrode's index in its tile takes."""
    return (tile_electrodes - 1).bit_length()


def pack_codes(codes: U16, bits: int) -> U8:
    """Return ``codes`` u16[n] < 2**bits, n a multiple of 8, as a bit string u8[n * bits / 8].

    >>> packed = pack_codes(np.arange(8, dtype=np.uint16), bits=3)
    >>> packed.tobytes().hex(), unpack_codes(packed.tobytes(), bits=3).tolist()
    ('053977', [0, 1, 2, 3, 4, 5, 6, 7])
    """
    spread = np.unpackbits(codes.astype(">u2").view(np.uint8)).reshape(-1, 16)
    return np.packbits(spread[:, 16 - bits :])


def unpack_codes(data: bytes, bits: int) -> U16:
    """Invert ``pack_codes``."""
    flat = np.unpackbits(np.frombuffer(data, np.uint8)).reshape(-1, bits)
    spread = np.zeros((len(flat), 16), np.uint8)
    spread[:, 16 - bits :] = flat
    return np.packbits(spread).view(">u2").astype(np.uint16)


def pack_pairs(codes: U16, bits: int, tile_electrodes: int) -> list[bytes]:
    """Return for each whole tile of ``codes`` the (index in its tile, code) of every code that is not 0."""
    (place,) = codes.nonzero()
    pairs = (place % tile_electrodes).astype(">u4") << bits | codes[place] & ((1 << bits) - 1)
    spread = np.unpackbits(pairs.astype(">u4").view(np.uint8)).reshape(-1, _WORD)
    flat = spread[:, _WORD - index_bits(tile_electrodes) - bits :]
    starts = np.searchsorted(place, np.arange(0, len(codes) + 1, tile_electrodes)).tolist()
    return [np.packbits(flat[start:end]).tobytes() for start, end in itertools.pairwise(starts)]


def are_pairs(data: bytes, bits: int, tile_electrodes: int) -> bool:
    """Tell whether ``data`` is the shortest list, of rising indices, that ``pack_pairs`` makes of a tile."""
    size, length = index_bits(tile_electrodes) + bits, 8 * len(data)
    count, spare = divmod(length, size)
    number = int.from_bytes(data, "big")
    if spare and number & ((1 << spare) - 1):
        return False
    number >>= spare
    whole, mask, above = (1 << size) - 1, (1 << bits) - 1, tile_electrodes << bits
    if count and not number & whole and spare + size < 8:
        number >>= size  # what fills the last byte can be as long as a pair of few bits
        count -= 1
    for _ in range(count):  # from the last pair to the first: each index is below the one after it
        pair = number & whole
        if pair >= above or not pair & mask:
            return False
        above, number = pair & ~mask, number >> size
    return len(data) == -(-count * size // 8)


def unpack_pairs(lists: Sequence[bytes], bits: int, tile_electrodes: int) -> U16:
    """Return the codes u16[tiles, tile_electrodes] of lists that ``are_pairs``."""
    size = index_bits(tile_electrodes) + bits
    lengths = np.array([len(data) for data in lists])
    counts = 8 * lengths // size
    tile = np.repeat(np.arange(len(lists)), counts)
    first = 8 * (np.cumsum(lengths) - lengths) - size * (np.cumsum(counts) - counts)
    at = first[tile] + size * np.arange(len(tile))
    flat = np.unpackbits(np.frombuffer(b"".join(lists), np.uint8))
    spread = np.zeros((len(at), _WORD), np.uint8)
    spread[:, _WORD - size :] = flat[at[:, None] + np.arange(size)]
    pairs = np.packbits(spread).view(">u4").astype(np.uint32)
    pairs, tile = pairs[pairs > 0], tile[pairs > 0]
    codes = np.zeros((len(lists), tile_electrodes), np.uint16)
    codes[tile, pairs >> bits] = pairs & ((1 << bits) - 1)
    return codes
