from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from helpers import HAND

from prosthesis.assembly import assemble, open_link, with_choices
from prosthesis.config import load_rig
from prosthesis.links.keys import load_keys, make_keys
from prosthesis.links.zmq import WORLD_TAPS
from prosthesis.processes import free_port
from prosthesis.schemas import decode
from prosthesis.taps import listen
from prosthesis.timing import MonotonicClock


@pytest.fixture(autouse=True)
def keys(tmp_path_factory, monkeypatch) -> Path:
    """A new installation's keys."""
    folder = tmp_path_factory.mktemp("keys")
    monkeypatch.setenv("PROSTHESIS_KEYS", str(folder))
    make_keys(folder)
    return folder


@pytest.fixture
def port() -> int:
    return free_port()


class SimProcess:
    """``prosthesis sim`` as a real second process."""

    def __init__(self, rig: str, port: int, *options: str) -> None:
        self._command = [sys.executable, "-m", "prosthesis", "sim", rig, "--port", str(port), *options]
        self.start()

    def start(self) -> None:
        self.child = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        line = self.child.stderr.readline()
        assert "listen at" in line, line
        self._reader = threading.Thread(target=self.child.stderr.read, daemon=True)
        self._reader.start()

    def kill(self) -> None:
        self.child.kill()
        self._gone()

    def _gone(self) -> None:
        self.child.wait(5)
        self._reader.join(5)
        self.child.stderr.close()

    def stop(self) -> None:
        self.child.terminate()
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            self.child.kill()
        self._gone()


@pytest.fixture
def sim(port) -> Iterator:
    started = []

    def start(rig: str = HAND, *options: str) -> SimProcess:
        started.append(SimProcess(rig, port, *options))
        return started[-1]

    yield start
    for process in started:
        process.stop()


class Taps:
    """Everything the world's taps say, collected by a thread."""

    def __init__(self, port: int, topics: tuple[str, ...]) -> None:
        self.heard: list[tuple[float, str, object]] = []
        self._stop = threading.Event()
        self._context = zmq.Context()
        self._listener = listen([f"tcp://127.0.0.1:{port + WORLD_TAPS}"], topics, self._context)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self._stop.is_set():
            heard = self._listener.receive(0.05)
            if heard is not None:
                self.heard.append((time.monotonic(), heard[0], decode(*heard)))

    def of(self, topic: str) -> list:
        return [message for _, name, message in list(self.heard) if name == topic]

    def close(self) -> None:
        self._stop.set()
        self._thread.join(2)
        self._listener.close()
        self._context.term()


@pytest.fixture
def taps(port) -> Iterator:
    opened = []

    def start(*topics: str) -> Taps:
        opened.append(Taps(port, topics))
        return opened[-1]

    yield start
    for tap in opened:
        tap.close()


@pytest.fixture
def device(port) -> Iterator:
    """A device of the hand-checkable rig, assembled from its files."""
    links = []

    def start(source: str = "synthetic:bar", rig: str = HAND):
        loaded = with_choices(load_rig(rig), source=source, port=port)
        link, credentials = open_link(loaded)
        built = assemble(loaded, link, credentials, MonotonicClock())
        links.extend([link, built.source])
        return built

    yield start
    for part in links:
        part.close()


@pytest.fixture
def implant_keys():
    return load_keys("implant")
