"""Drive an emulated implant by its protocol alone, sealed and over CURVE: a train on one electrode after the other.

Start ``prosthesis sim utah96``, then ``python examples/drive_emulator.py 5700``.
"""

import sys
import time

import numpy as np

from prosthesis.links import keys, zmq
from prosthesis.session import Credentials, Session
from prosthesis.timing import MonotonicClock
from prosthesis.wire import Configuration, Modulated

pair, clock = keys.load_keys("device"), MonotonicClock()
columns = np.full(96, 170), np.zeros(96), np.full(96, 300_000), np.arange(96) % 7  # us, nA, mHz, raster slot
configuration = Configuration(Modulated.AMPLITUDE, 8, 1000, 96, 60, 453, *columns)  # steps of 1000 nA
link = zmq.ZmqLink("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 5700, pair)
session = Session(link, Credentials(pair.identity, pair.peer_raw), configuration, 100, clock)
session.open(timeout_s=5.0)
print(session.arm())
for electrode in range(96):
    codes = np.where(np.arange(96) == electrode, 60, 0).astype(np.uint16)  # 60 uA
    session.send(session.seal(electrode + 1, clock.now_ns(), codes))
    time.sleep(1 / 30)
session.stop()
link.close()
