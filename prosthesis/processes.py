"""Other processes of ours on this machine: ports for them, and an end for each."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from prosthesis.errors import LinkError

# six of a link (``links/zmq.py``) and some to spare
PORTS = 10


def free_port() -> int:
    """Return the first of ten free consecutive ports on loopback."""
    for _ in range(50):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            base = int(probe.getsockname()[1])
        if base < 65500 and all(_is_free(base + offset) for offset in range(PORTS)):
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
