"""What an air costs and loses, in closed form: both ends of the link, and the channel's tests, count by this."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prosthesis.config import RadioConfig

OVERHEAD_BYTES = 32 + 16 + 4  # of a sealed packet: header, tag, CRC-32
MAX_TILES = 255  # the air frame counts them in one byte
MAX_TILE_ELECTRODES = 1024
BLOCK = 255  # bytes of a Reed-Solomon block over GF(256), parity included


def blocks(size: int, parity: int) -> list[int]:
    """Return how many bytes of a packet of ``size`` each Reed-Solomon block holds, without its ``parity`` bytes."""
    most = BLOCK - parity
    return [min(most, size - start) for start in range(0, size, most)]


def air_bytes(size: int, parity: int) -> int:
    """Return how many bytes a packet of ``size`` takes on the air."""
    return size + parity * len(blocks(size, parity)) if parity else size


def packet_loss(size: int, radio: RadioConfig) -> float:
    """Return the share of packets of ``size`` bytes that do not arrive whole: lost, or with errors left in them."""
    if not radio.parity:
        whole = math.exp(8 * size * math.log1p(-radio.bit_error))
    else:
        byte_error = -math.expm1(8 * math.log1p(-radio.bit_error))
        whole = math.prod(
            _at_most(radio.parity // 2, block + radio.parity, byte_error) for block in blocks(size, radio.parity)
        )
    return 1 - (1 - radio.loss) * whole


def best_tile_electrodes(electrodes: int, bits: int, radio: RadioConfig) -> int:
    """Return how many electrodes a tile should hold: most arrive in a second of air time, all being driven."""

    def carried(tile: int) -> float:
        size = OVERHEAD_BYTES + tile * bits // 8
        tiles = -(-electrodes // tile)
        return (1 - packet_loss(size, radio)) / (tiles * air_bytes(size, radio.parity))

    largest = min(-(-electrodes // 8) * 8, MAX_TILE_ELECTRODES)
    return max((tile for tile in range(8, largest + 1, 8) if -(-electrodes // tile) <= MAX_TILES), key=carried)


def _at_most(errors: int, n: int, p: float) -> float:
    """Return the binomial probability of up to ``errors`` among ``n``."""
    return math.fsum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(min(errors, n) + 1))
