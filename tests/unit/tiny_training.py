"""Tiny training runs on made-up pictures; as a script it trains, so that tests can kill it or run several of it.

``python tiny_training.py METHOD FOLDER STEPS DEVICES NODES``
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
from pathlib import Path

import numpy as np
import torch

from prosthesis_train.data.images import ImageSet
from prosthesis_train.methods import bigbigan, dcgan

METHODS = {"dcgan": dcgan, "bigbigan": bigbigan}


def made_up_images(n=64, side=32):
    """Bright boxes of random place and size."""
    random = np.random.default_rng(0)
    pictures = np.zeros((n, side, side, 1), np.uint8)
    for picture in pictures:
        top, left = random.integers(0, side // 2, 2)
        height, width = random.integers(4, side // 2, 2)
        picture[top : top + height, left : left + width] = random.integers(100, 256)
    return ImageSet("boxes", pictures, pictures[:8], None, None, (), "CC0-1.0", "made up")


def settings_of(method, **changes):
    small = {"batch": 8, "log_every": 1, "save_every": 2, "watch_every": 4, "steps": 6, "seed": 3}
    if method == "dcgan":
        small["width"] = 4
    return dataclasses.replace(METHODS[method].Settings(), **(small | changes))


def train(method, folder, **changes):
    return METHODS[method].train(settings_of(method, **changes), folder, images=made_up_images())


def digest(*networks):
    out = hashlib.sha256()
    for network in networks:
        for number in network.state_dict().values():
            out.update(number.contiguous().numpy().tobytes())
    return out.hexdigest()


if __name__ == "__main__":
    torch.set_num_threads(1)
    name, where, steps, devices, nodes = sys.argv[1:]
    made = train(name, Path(where), steps=int(steps), devices=int(devices), nodes=int(nodes))
    rank = os.environ.get("RANK") or os.environ.get("LOCAL_RANK", "0")
    (Path(where) / f"replica-{rank}").write_text(digest(made.g, made.d), encoding="utf-8")
