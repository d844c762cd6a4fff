"""Our message schema and plain ZeroMQ sockets, nothing else: a pulse train on one electrode after the other.

Start ``prosthesis sim utah96 --air bench_crc``, then ``python examples/schema_client.py 5700``. A CRC protects nobody;
``drive_emulator.py`` is the sealed way, over CURVE.
"""

import sys
import time

import numpy as np
import zmq

from prosthesis import control, sealing, wire

port, number, zeros = int(sys.argv[1]), time.time_ns() % 2**32, np.zeros(96)
stimuli, commands = (zmq.Context.instance().socket(kind) for kind in (zmq.PUSH, zmq.DEALER))
stimuli.linger = commands.linger = commands.rcvtimeo = 2000  # ms; nobody there ends in zmq.Again
_ = stimuli.connect(f"tcp://127.0.0.1:{port}"), commands.connect(f"tcp://127.0.0.1:{port + 1}")
columns = zeros + 170, zeros, zeros + 300_000, np.arange(96) % 7  # us, nA, mHz, raster slot
layout = wire.Configuration(wire.Modulated.AMPLITUDE, 8, 1000, 64, 60, 453, *columns)  # steps of 1000 nA
sealer = wire.Sealer(b"", number, wire.Direction.DOWN, sealing.Sealing.CRC)
told = [bytes([control.Command.CONFIGURE]) + layout.encode(), bytes([control.Command.ARM])]
heads = [wire.Header(wire.PacketType.COMMAND, number, k + 1, time.monotonic_ns()) for k in (0, 1)]
packets = [control.Open(number, bytes(32), bytes(32)).encode(), *map(sealer.seal, heads, told)]
for k, packet in enumerate(packets):
    commands.send(k.to_bytes(4, "little") + packet)
    reply = commands.recv()[4:]
print(control.decode_reply(sealer.open(reply)[1]))
for electrode in range(96):
    head = wire.Header(wire.PacketType.PATTERN, number, electrode + 1, time.monotonic_ns(), 100, profile=layout.profile)
    stimuli.send(wire.seal_pattern(sealer, head, np.where(np.arange(96) == electrode, 60, 0).astype("u2"), 8, 64))
    time.sleep(1 / 30)
stimuli.send(wire.stop_packet(number, 0))
