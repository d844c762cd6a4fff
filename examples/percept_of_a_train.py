"""What one train of pulses on every electrode of a rig looks like: the world alone, without device or link.

Run it as ``python examples/percept_of_a_train.py utah96 60 percept.png``: a rig, a current in uA, a picture to write.
"""

from __future__ import annotations

import sys

import cv2
import numpy as np

from prosthesis.config import load_rig
from prosthesis.messages import Delivered, Percept
from prosthesis_sim.electrodes import place
from prosthesis_sim.patient import load_world
from prosthesis_sim.world import World


def percept_of_a_train(rig_name: str, amplitude_ua: float, train_s: float = 0.167) -> Percept:
    """Return what is seen at the end of a train of ``amplitude_ua`` on all electrodes at once."""
    rig = load_rig(rig_name, uncalibrated=True)
    world = World(load_world(rig.config.world), place(rig.config.implant, rig.array), patient=0)
    n, modulator = rig.electrodes, rig.config.modulator
    world.step(
        Delivered(
            seq=1,
            t_ns=0,
            t0_ns=0,
            dt_ns=round(train_s * 1e9),
            amplitude_ua=np.full(n, amplitude_ua, np.float32),
            pulse_width_us=np.full(n, modulator.pulse_width_us, np.float32),
            pulses=np.full(n, round(modulator.rate_hz * train_s), np.int32),
            slot=(np.arange(n) % modulator.raster_groups).astype(np.uint8),
        )
    )
    return world.percept(seq=1, t_ns=0, made_ns=0)


if __name__ == "__main__":
    rig_name, amplitude_ua, picture = sys.argv[1:4]
    percept = percept_of_a_train(rig_name, float(amplitude_ua))
    cv2.imwrite(picture, (percept.image * 255).astype(np.uint8))
    print(f"{percept.visible} phosphenes in {percept.extent_deg[0]:.1f} x {percept.extent_deg[1]:.1f} deg")
