"""The air's own cost at 1024 electrodes beside bare struct and AEAD, in turns, and what a Reed-Solomon code gains."""

from __future__ import annotations

import os

# ruff: noqa: E402
# before anything loads a library that starts threads
for _name in ("OMP", "MKL", "OPENBLAS"):
    os.environ[f"{_name}_NUM_THREADS"] = "1"

import argparse
import json
import struct
import time
from collections.abc import Callable

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from prosthesis.config import RadioConfig
from prosthesis.radio import packet_loss
from prosthesis.sealing import Sealing
from prosthesis.wire import (
    Direction,
    Header,
    PacketType,
    Sealer,
    check_tile,
    read_tiles,
    seal_pattern,
    split,
)
from prosthesis_sim.channel import Channel

N, BITS, TURNS = 1024, 10, 300
PARITIES, PACKETS = (0, 8, 16, 32), 300
KEY = bytes(range(32))


def carry(codes: np.ndarray, tile: int, sealing: Sealing = Sealing.AEAD) -> Callable[[], object]:
    """Encode, seal, open and decode, as device and implant do."""
    down, up = (Sealer(KEY, 9, way, sealing) for way in Direction)
    head = Header(PacketType.PATTERN, 9, 1, 123_456_789, 100)

    def run() -> object:
        opened = [up.open(packet) for packet in split(seal_pattern(down, head, codes, BITS, tile))]
        for header, payload in opened:
            check_tile(header, payload, BITS, tile)
        return read_tiles(opened, BITS, tile)

    return run


def bare(tiles: int) -> Callable[[], object]:
    """What no implementation can do without: a header, a seal and its opening for each tile, nothing else."""
    aead, header, payload = ChaCha20Poly1305(KEY), struct.Struct("<HBBIIQHHBBBxI"), bytes(N * BITS // 8 // tiles)

    def run() -> object:
        for tile in range(tiles):
            nonce = struct.pack("<QI", 9, tile)
            clear = header.pack(0x5056, 1, 1, 9, 1, 123, 100, len(payload), tile, tiles, 0, 0)
            sealed = aead.encrypt(nonce, payload, clear)
            header.unpack(clear)
            aead.decrypt(nonce, sealed, clear)
        return None

    return run


def subjects() -> dict[str, Callable[[], object]]:
    random = np.random.default_rng(1)
    full = random.integers(1, 1 << BITS, N).astype(np.uint16)
    few = np.where(random.random(N) < 0.1, full, 0).astype(np.uint16)
    return {
        "one tile": carry(full, 1024),
        "one tile, bare": bare(1),
        "16 tiles": carry(full, 64),
        "16 tiles, bare": bare(16),
        "one tile, a tenth driven": carry(few, 1024),
        "16 tiles, a tenth driven": carry(few, 64),
        "16 tiles, hmac": carry(full, 64, Sealing.HMAC),
        "16 tiles, crc": carry(full, 64, Sealing.CRC),
    }


def measure() -> dict[str, dict[str, float]]:
    times: dict[str, list[float]] = {}
    all_of_them = subjects()
    for _ in range(TURNS):
        for name, run in all_of_them.items():
            began = time.perf_counter()
            run()
            times.setdefault(name, []).append(1e6 * (time.perf_counter() - began))
    us = {name: {"p5": float(np.percentile(t, 5)), "p50": float(np.median(t))} for name, t in times.items()}
    for name in ("one tile", "16 tiles"):
        us[name]["ratio"] = float(np.median(np.divide(times[name], times[f"{name}, bare"])))
    return us


def gains() -> list[dict[str, float]]:
    """Return the share of tiles of 64 electrodes (132 bytes) lost, by bit error rate and parity, in closed form."""
    rows = []
    for rate in (1e-5, 1e-4, 1e-3, 3e-3, 1e-2):
        row = {"bit_error": rate}
        for parity in PARITIES:
            row[f"parity {parity}"] = packet_loss(132, RadioConfig(bit_error=rate, parity=parity))
        row["measured, parity 16"] = spoiled(rate, 16)
        rows.append(row)
    return rows


def spoiled(rate: float, parity: int) -> float:
    """Return the same share as the emulated air has it, by the Reed-Solomon library itself."""
    channel = Channel(RadioConfig(bit_error=rate, parity=parity), 1)
    channel.send([bytes(132)] * PACKETS, 0)
    return channel.spoiled / PACKETS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    us, table = measure(), gains()
    if options.json:
        print(json.dumps({"electrodes": N, "us": us, "tiles_lost": table}, indent=2))
        return
    for name, figures in us.items():
        ratio = f"{figures['ratio']:8.2f} times bare" if "ratio" in figures else ""
        print(f"{name:26} p5 {figures['p5']:8.1f} us   p50 {figures['p50']:8.1f} us {ratio}")
    print("tiles of 64 electrodes lost, by bit error rate and parity bytes")
    for row in table:
        print("  ".join(f"{name} {value:.2g}" for name, value in row.items()))


if __name__ == "__main__":
    main()
