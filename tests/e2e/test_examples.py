from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_the_percept_of_a_train_is_brighter_with_more_current(tmp_path):
    light = {}
    for current in ("10", "60", "90"):
        picture = tmp_path / f"{current}.png"
        command = [sys.executable, str(EXAMPLES / "percept_of_a_train.py"), "utah96", current, str(picture)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        light[current] = float(cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE).mean())
    assert light["10"] == 0
    assert 0 < light["60"] < light["90"]
