"""Drive an emulated implant with our message schema and ZeroMQ alone: a train on one electrode after the other.

Start ``prosthesis sim utah96 --air bench_crc``, then ``python examples/drive_emulator.py 5700``.
"""

import struct
import sys
import time

import numpy as np
import zmq

from prosthesis import control, wire
from prosthesis.sealing import Sealing

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 5700
N, SESSION = 96, int(time.time())
COLUMNS = np.full(N, 170), np.zeros(N), np.full(N, 300_000), np.arange(N) % 7  # us, nA, mHz, raster slot


def main() -> None:
    """Open a session, configure, arm, and send a pattern for each electrode."""
    patterns, commands = (zmq.Context.instance().socket(kind) for kind in (zmq.PUSH, zmq.DEALER))
    patterns.connect(f"tcp://127.0.0.1:{PORT}"), commands.connect(f"tcp://127.0.0.1:{PORT + 1}")
    down, up = (wire.Sealer(b"", SESSION, way, Sealing.CRC) for way in wire.Direction)
    configuration = wire.Configuration(wire.Modulated.AMPLITUDE, 8, 1000, 64, 60, 453, *COLUMNS)

    def ask(packet: bytes) -> None:
        commands.send(struct.pack("<I", 0) + packet)
        print(control.decode_reply(up.open(commands.recv()[4:].removeprefix(bytes(32)))[1]))

    ask(control.Open(SESSION, bytes(32), bytes(32)).encode())
    ask(down.seal(_head(2, 1), bytes([control.Command.CONFIGURE]) + configuration.encode()))
    for seq in range(1, N + 1):
        patterns.send(wire.seal_pattern(down, _head(1, seq, configuration.profile), _only(seq - 1), 8, 64))
        time.sleep(1 / 30)
        if seq == 12:  # what somebody stopped wants ten valid frames first
            ask(down.seal(_head(2, 2), bytes([control.Command.ARM])))
    patterns.send(wire.stop_packet(SESSION, 0))


def _head(kind: int, seq: int, profile: int = 0) -> wire.Header:
    return wire.Header(wire.PacketType(kind), SESSION, seq, time.monotonic_ns(), 100, profile=profile)


def _only(electrode: int) -> np.ndarray:
    return np.where(np.arange(N) == electrode, 60, 0).astype(np.uint16)  # 60 uA


if __name__ == "__main__":
    main()
