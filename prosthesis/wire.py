"""The air protocol's bytes: sealed packets, bit-packed DAC codes, and the configuration they are read by.

A packet is ``header (32 B, clear, authenticated) | sealed payload | tag (16 B) | CRC-32 (4 B)``, little-endian. One
stimulation pattern is a series of *tiles*, each a packet sealed on its own, so that a bit error loses one tile and not
the scene. The CRC is for link statistics; only the tag decides acceptance. ``docs/air-frame.md`` says the same for
readers of other languages.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from prosthesis.bitpacking import U16, are_pairs, index_bits, pack_codes, pack_pairs, unpack_codes, unpack_pairs
from prosthesis.messages import U8, Refusal, readonly
from prosthesis.sealing import TAG_BYTES, Sealing, lock_and_unlock

MAGIC = 0x5056
VERSION = 1
SPARSE = 1
_HEADER = struct.Struct("<HBBIIQHHBBBxI")
_NONCE = struct.Struct("<IBBHI")
_CRC = struct.Struct("<I")
HEADER_BYTES = _HEADER.size
OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES + _CRC.size


class PacketType(IntEnum):
    """What a packet carries. STOP has no payload and is obeyed unsealed: anyone may silence, nobody else may start."""

    PATTERN = 1
    COMMAND = 2
    REPLY = 3
    RECEIPT = 4
    TELEMETRY = 5
    STOP = 6


_TYPES = {int(kind): kind for kind in PacketType}
_STOP = struct.pack("<HBB", MAGIC, VERSION, PacketType.STOP)


class Direction(IntEnum):
    """Who seals: both ends share one key, and never a nonce."""

    DOWN = 0
    UP = 1


class WireError(Exception):
    """A packet that must not be obeyed; ``refusal`` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.name)
        self.refusal = refusal


class Header(NamedTuple):
    """A packet's clear, authenticated header; ``t_ns`` is the capture time, ``profile`` names the configuration."""

    type: PacketType
    session: int
    seq: int
    t_ns: int
    ttl_ms: int = 0
    tile: int = 0
    tiles: int = 1
    flags: int = 0
    profile: int = 0


class Sealer:
    """Seals packets one way and opens those of the other, under one session's key (ChaCha20-Poly1305 unless told)."""

    def __init__(self, key: bytes, session: int, direction: Direction, sealing: Sealing = Sealing.AEAD) -> None:
        self._lock, self._unlock = lock_and_unlock(sealing, key)
        self._sealing, self._session = sealing, session
        self._mine = direction
        self._theirs = Direction.UP if direction is Direction.DOWN else Direction.DOWN

    def seal(self, header: Header, payload: bytes) -> bytes:
        """Return the packet; a header must never be sealed twice with different payloads."""
        clear = _pack_header(header, len(payload))
        nonce = _NONCE.pack(header.session, self._mine, header.type, header.tile, header.seq)
        body = clear + self._lock(nonce, payload, clear)
        return body + _CRC.pack(crc32(body))

    def open(self, packet: bytes) -> tuple[Header, bytes]:
        """Return header and payload; ``WireError`` when truncated, corrupt, of another session, or forged."""
        header = read_header(packet, self._sealing)
        if header.session != self._session:
            raise WireError(Refusal.SESSION)
        nonce = _NONCE.pack(header.session, self._theirs, header.type, header.tile, header.seq)
        payload = self._unlock(nonce, packet[HEADER_BYTES : -_CRC.size], packet[:HEADER_BYTES])
        if payload is None:
            raise WireError(Refusal.FORGED)
        return header, payload


def _pack_header(h: Header, length: int) -> bytes:
    return _HEADER.pack(
        MAGIC, VERSION, h.type, h.session, h.seq, h.t_ns, h.ttl_ms, length, h.tile, h.tiles, h.flags, h.profile
    )


def read_header(packet: bytes, sealing: Sealing = Sealing.AEAD) -> Header:
    """Return the clear header of one whole packet, not yet authenticated.

    Raises ``WireError``: truncated, corrupt (CRC; not looked at where nothing is sealed), another version, or an
    unknown type.
    """
    if len(packet) < OVERHEAD_BYTES:
        raise WireError(Refusal.TRUNCATED)
    if _CRC.unpack_from(packet, len(packet) - _CRC.size)[0] != crc32(packet[: -_CRC.size]) and (
        sealing is not Sealing.NONE
    ):
        raise WireError(Refusal.CORRUPT)
    magic, version, kind, session, seq, t_ns, ttl_ms, length, tile, tiles, flags, profile = _HEADER.unpack_from(packet)
    if magic != MAGIC or version != VERSION:
        raise WireError(Refusal.VERSION)
    if length + OVERHEAD_BYTES != len(packet):
        raise WireError(Refusal.TRUNCATED)
    known = _TYPES.get(kind)
    if known is None:
        raise WireError(Refusal.TYPE)
    return Header(known, session, seq, t_ns, ttl_ms, tile, tiles, flags, profile)


def stop_packet(session: int, seq: int) -> bytes:
    """Return an unsealed STOP: its tag is zero, its CRC right."""
    body = _pack_header(Header(PacketType.STOP, session, seq, 0), 0) + bytes(TAG_BYTES)
    return body + _CRC.pack(crc32(body))


def split(message: bytes) -> Iterator[bytes]:
    """Yield the packets of one stimulation message; what follows a wrong length is yielded as one piece."""
    start = 0
    while len(message) - start > HEADER_BYTES:
        (length,) = struct.unpack_from("<H", message, start + 22)
        end = min(start + length + OVERHEAD_BYTES, len(message))
        yield message[start:end]
        start = end
    if start < len(message):
        yield message[start:]


def holds_stop(message: bytes) -> bool:
    """Tell whether a stimulation message has a STOP in it, which neither waits nor gives way to a newer pattern."""
    return any(packet.startswith(_STOP) for packet in split(message))


def seal_pattern(sealer: Sealer, head: Header, codes: U16, bits: int, tile_electrodes: int) -> bytes:
    """Return the message for one pattern: ``codes`` u16[n] in tiles, each dense or sparse, whichever is shorter.

    ``head`` gives session, seq, t_ns, ttl and profile; its tile, tiles and flags are set here.
    """
    payloads = tile_payloads(codes, bits, tile_electrodes)
    kind, session, seq, t_ns, ttl_ms, tiles, profile = PacketType.PATTERN, *head[1:5], len(payloads), head.profile
    seal = sealer.seal
    return b"".join(
        [
            seal(Header(kind, session, seq, t_ns, ttl_ms, tile, tiles, flags, profile), payload)
            for tile, (flags, payload) in enumerate(payloads)
        ]
    )


def tile_payloads(codes: U16, bits: int, tile_electrodes: int) -> list[tuple[int, bytes]]:
    """Return each tile's flags and payload before sealing."""
    tiles = -(-len(codes) // tile_electrodes)
    padded = np.zeros((tiles, tile_electrodes), np.uint16)
    padded.reshape(-1)[: len(codes)] = codes
    size = tile_electrodes * bits // 8
    pair = index_bits(tile_electrodes) + bits
    sparse = (np.count_nonzero(padded, axis=1) * pair + 7) // 8 < size
    if not sparse.any():
        return [(0, data) for data in _pieces(pack_codes(padded.reshape(-1), bits).tobytes(), size)]
    dense_of = iter(_pieces(pack_codes(padded[~sparse].reshape(-1), bits).tobytes(), size))
    pairs_of = iter(pack_pairs(padded[sparse].reshape(-1), bits, tile_electrodes))
    return [(SPARSE, next(pairs_of)) if is_sparse else (0, next(dense_of)) for is_sparse in sparse.tolist()]


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def check_tile(header: Header, payload: bytes, bits: int, tile_electrodes: int) -> None:
    """Raise ``WireError(LAYOUT)`` when an opened tile cannot be codes."""
    if header.flags & SPARSE:
        if not are_pairs(payload, bits, tile_electrodes):
            raise WireError(Refusal.LAYOUT)
    elif len(payload) != tile_electrodes * bits // 8:
        raise WireError(Refusal.LAYOUT)


def read_tiles(tiles: Sequence[tuple[Header, bytes]], bits: int, tile_electrodes: int) -> list[U16]:
    """Return the codes, u16[tile_electrodes], of opened tiles that ``check_tile`` has passed."""
    dense = [payload for header, payload in tiles if not header.flags & SPARSE]
    sparse = [payload for header, payload in tiles if header.flags & SPARSE]
    dense_of = iter(unpack_codes(b"".join(dense), bits).reshape(-1, tile_electrodes)) if dense else iter(())
    sparse_of = iter(unpack_pairs(sparse, bits, tile_electrodes)) if sparse else iter(())
    return [next(sparse_of) if header.flags & SPARSE else next(dense_of) for header, _ in tiles]


class Modulated(IntEnum):
    """What the codes of a frame mean; the other stays as configured."""

    AMPLITUDE = 0
    RATE = 1


_CONFIGURATION = struct.Struct("<BBHHHIH")


@dataclass(frozen=True, slots=True)
class Configuration:
    """What every frame is read by: sent once in CONFIGURE, acknowledged, named in each frame by its ``profile``.

    ``modulated`` says what a code means: amplitude in units of ``lsb`` nA, or rate in units of ``lsb`` mHz.
    ``amplitude_na`` u32[n] is used while the rate is modulated, ``rate_mhz`` u32[n] while the amplitude is;
    ``pulse_width_us`` u16[n], ``slot`` u8[n]; ``slot_us`` is one raster slot's length.
    """

    modulated: Modulated
    bits: int
    lsb: int
    tile_electrodes: int
    interphase_us: int
    slot_us: int
    pulse_width_us: U16
    amplitude_na: npt.NDArray[np.uint32]
    rate_mhz: npt.NDArray[np.uint32]
    slot: U8

    @property
    def electrodes(self) -> int:
        """The number of electrodes."""
        return len(self.slot)

    def encode(self) -> bytes:
        """Return the body of CONFIGURE."""
        head = _CONFIGURATION.pack(
            self.modulated,
            self.bits,
            self.tile_electrodes,
            self.interphase_us,
            self.slot_us,
            self.lsb,
            self.electrodes,
        )
        columns = (
            self.pulse_width_us.astype("<u2"),
            self.amplitude_na.astype("<u4"),
            self.rate_mhz.astype("<u4"),
            self.slot.astype("<u1"),
        )
        return head + b"".join(column.tobytes() for column in columns)

    @property
    def profile(self) -> int:
        """The first four bytes of the body's SHA-256, as every frame names it."""
        return profile_of(self.encode())


def profile_of(body: bytes) -> int:
    """Return the profile number of an encoded configuration."""
    return int.from_bytes(hashlib.sha256(body).digest()[:4], "little")


def decode_configuration(body: bytes) -> Configuration:
    """Invert ``Configuration.encode``; ``WireError(LAYOUT)`` when it cannot be one."""
    if len(body) < _CONFIGURATION.size:
        raise WireError(Refusal.LAYOUT)
    modulated, bits, tile_electrodes, interphase_us, slot_us, lsb, n = _CONFIGURATION.unpack_from(body)
    if len(body) != _CONFIGURATION.size + n * 11 or modulated > 1 or not 4 <= bits <= 16 or not tile_electrodes >= 8:
        raise WireError(Refusal.LAYOUT)
    if tile_electrodes % 8 or not n or not lsb:
        raise WireError(Refusal.LAYOUT)
    start = _CONFIGURATION.size
    width = np.frombuffer(body, "<u2", n, start)
    amplitude = np.frombuffer(body, "<u4", n, start + 2 * n)
    rate = np.frombuffer(body, "<u4", n, start + 6 * n)
    slot = np.frombuffer(body, "<u1", n, start + 10 * n)
    return Configuration(
        Modulated(modulated),
        bits,
        lsb,
        tile_electrodes,
        interphase_us,
        slot_us,
        readonly(width, np.uint16),
        readonly(amplitude, np.uint32),
        readonly(rate, np.uint32),
        readonly(slot, np.uint8),
    )
