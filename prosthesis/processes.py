"""Other processes of ours on this machine: ports for them, an end for each, and lines that one says to another."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TextIO

from prosthesis.errors import LinkError

# six of a link (``links/zmq.py``) and some to spare
PORTS = 10
# Below what Linux, macOS and Windows hand out to outgoing connections (32768 and up), so that no socket of
# somebody's, our own reconnecting ones least of all, takes a port between the look and the bind.
FIRST_PORT, LAST_PORT = 12_000, 32_000


def free_port() -> int:
    """Return the first of ten free consecutive ports on loopback; raise LinkError when none were found."""
    draw = random.SystemRandom()
    for _ in range(50):
        base = draw.randrange(FIRST_PORT, LAST_PORT, PORTS)
        if all(_is_free(base + offset) for offset in range(PORTS)):
            return base
    raise LinkError("no ten consecutive free ports on this machine")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep what a library writes to this process's stderr from the user: FFmpeg's remarks have no other switch."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run this Python with ``arguments`` beside us, and end it with us: asked first, killed after five seconds."""
    child = subprocess.Popen([sys.executable, *arguments])
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def spoken_lines(source: TextIO | None) -> SimpleQueue[str]:
    """Return a queue that a thread fills with the lines of text of ``source`` that are not empty."""
    spoken: SimpleQueue[str] = SimpleQueue()

    def read() -> None:
        for line in source or ():
            if line.strip():
                spoken.put(line.strip())

    if source is not None:
        threading.Thread(target=read, daemon=True).start()
    return spoken
