"""What the board draws, by its own sensors: an INA3221 in sysfs, or NVIDIA's ``tegrastats`` where that is closed."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PERIOD_S = 0.05
TEGRASTATS_MS = 100
# one rail that feeds the whole module: Orin Nano and NX; AGX boards have none, and their rails are added up
WHOLE = ("VDD_IN",)
Rails = dict[str, float]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Mean power in W over ``seconds``, of ``samples`` readings; ``rails`` is what was added up."""

    watts: float
    seconds: float
    samples: int
    rails: tuple[str, ...]
    sensor: str


def sensor_rails(root: Path = Path("/")) -> Rails:
    """Return the power of each rail now, in W, by its name; empty where there is no sensor that we may read.

    Each channel of the chip is a label, a voltage in mV and a current in mA (Linux, hwmon, ina3221).
    """
    rails: Rails = {}
    for label in sorted((root / "sys/bus/i2c/drivers/ina3221").glob("*/hwmon/hwmon*/in*_label")):
        number = label.name[2:].partition("_")[0]
        try:
            name = label.read_text().strip()
            volts = int((label.parent / f"in{number}_input").read_text()) / 1e3
            amperes = int((label.parent / f"curr{number}_input").read_text()) / 1e3
        except (OSError, ValueError):
            continue  # a channel that is off, or the sum of shunt voltages, which has no current of its own
        if name != "NC":
            rails[name] = volts * amperes
    return rails


def tegrastats_rails(line: str) -> Rails:
    """Return the power of each rail in W from a line of ``tegrastats``: ``VDD_IN 5971mW/5971mW`` is now and mean."""
    return {name: int(now) / 1e3 for name, now in re.findall(r"(\w+) (\d+)mW/\d+mW", line)}


def whole(rails: Rails) -> Rails:
    """Return the rails that together are the whole module's."""
    for name in WHOLE:
        if name in rails:
            return {name: rails[name]}
    return rails


class Meter:
    """Reads the sensor in a thread while its ``with`` lasts; ``drawn`` is then the mean, ``None`` without a sensor."""

    def __init__(self, root: Path = Path("/"), read: Callable[[], Rails] | None = None) -> None:
        self.drawn: Drawn | None = None
        self._read = read or (lambda: sensor_rails(root))
        self._sensor = "ina3221"
        self._stop = threading.Event()
        self._samples: list[Rails] = []
        self._tool: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Meter:
        self._began = time.monotonic()
        tool = shutil.which("tegrastats")
        if self._read():
            self._thread = threading.Thread(target=self._poll, daemon=True)
        elif tool:
            self._sensor = "tegrastats"
            command = [tool, "--interval", str(TEGRASTATS_MS)]
            self._tool = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            self._thread = threading.Thread(target=self._listen, daemon=True)
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        seconds = time.monotonic() - self._began
        self._stop.set()
        if self._tool is not None:
            self._tool.terminate()
            self._tool.wait()
        if self._thread is not None:
            self._thread.join()
        if self._tool is not None and self._tool.stdout is not None:
            self._tool.stdout.close()
        samples = [whole(rails) for rails in self._samples if rails]
        if samples:
            watts = sum(sum(rails.values()) for rails in samples) / len(samples)
            self.drawn = Drawn(watts, seconds, len(samples), tuple(sorted(samples[0])), self._sensor)

    def _poll(self) -> None:
        while True:
            self._samples.append(self._read())
            if self._stop.wait(PERIOD_S):
                return

    def _listen(self) -> None:
        if self._tool is not None and self._tool.stdout is not None:
            for line in self._tool.stdout:
                self._samples.append(tegrastats_rails(line))
