"""STOP by a way of its own: a process with nothing else to do, so that no load on the console can delay it.

``POST /stop`` with the token as its body sends an unsealed STOP, which no implant can refuse, to every implant named on
standard input (a line ``HOST:PORT HOST:PORT/plain ...`` replaces those before). It is sent again and again for half a
second, because air loses packets, unless a line ``relent`` says that somebody arms again. The process ends with its
standard input.
"""

from __future__ import annotations

import argparse
import hmac
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import zmq

from prosthesis.links.keys import load_keys
from prosthesis.links.zmq import curve_client, heartbeats
from prosthesis.wire import stop_packet

REPEATS, EVERY_S = 25, 0.02
MOST_BODY = 256
RELENT = "relent"


class Stopper:
    """Open sockets to implants, all told to stop by ``stop``; used from any thread."""

    def __init__(self) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._lock = threading.Lock()
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        self._insisting = threading.Event()

    def aim(self, words: list[str]) -> None:
        """Connect to these implants and leave those that are not named any more."""
        with self._lock:
            for gone in set(self._sockets) - set(words):
                self._sockets.pop(gone).close(0)
            for word in set(words) - set(self._sockets):
                self._sockets[word] = self._connect(word)

    def _connect(self, word: str) -> zmq.Socket[bytes]:
        address, _, plain = word.partition("/")
        socket = self._context.socket(zmq.PUSH)
        heartbeats(socket)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.SNDHWM, 4)
        if not plain:
            curve_client(socket, load_keys("device"))
        socket.connect(f"tcp://{address}")
        return socket

    def stop(self) -> int:
        """Send STOP to every implant now, and return how many took it."""
        with self._lock:
            return sum(self._send(socket) for socket in self._sockets.values())

    @staticmethod
    def _send(socket: zmq.Socket[bytes]) -> bool:
        try:
            socket.send(stop_packet(0, 0), zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def insist(self) -> None:
        """Send STOP again for half a second, or until ``relent``."""
        self._insisting.set()
        for _ in range(REPEATS):
            time.sleep(EVERY_S)
            if not self._insisting.is_set():
                return
            self.stop()

    def close(self) -> None:
        """Release the sockets."""
        self.relent()
        self.aim([])
        self._context.term()

    def relent(self) -> None:
        """Send no more of it, for somebody wants to arm again."""
        self._insisting.clear()


def serve(host: str, port: int, token: str, stopper: Stopper) -> ThreadingHTTPServer:
    """Return a server, not yet running, that stops implants for whoever knows ``token``."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = min(int(self.headers.get("Content-Length") or 0), MOST_BODY)
            if self.path != "/stop" or not hmac.compare_digest(self.rfile.read(size).decode("latin-1"), token):
                self._answer(403, {"stopped": 0})
                return
            took = stopper.stop()
            threading.Thread(target=stopper.insist, daemon=True).start()
            self._answer(200, {"stopped": took})

        def _answer(self, code: int, told: dict[str, int]) -> None:
            body = json.dumps(told).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    return server


def main() -> None:
    """Serve until standard input ends; its first line is the token, each further one the implants."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    stopper = Stopper()
    token = sys.stdin.readline().strip()
    server = serve(options.host, options.port, token, stopper)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for line in sys.stdin:
        if line.strip() == RELENT:
            stopper.relent()
        else:
            stopper.aim(line.split())
    server.shutdown()
    stopper.close()


if __name__ == "__main__":
    main()
