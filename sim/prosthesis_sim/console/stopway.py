"""The console's end of the STOP process: start it, tell it whom to stop, and press it from here."""

from __future__ import annotations

import contextlib
import http.client
import secrets
import subprocess
import sys
import threading
from collections.abc import Sequence

from prosthesis_sim.console.stopper import RELENT

ASK_S = 1.0


class StopWay:
    """The process of ``stopper.py`` at ``host``:``port``, for whoever knows ``token``; started anew if it ends."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port, self.token = host, port, secrets.token_hex(16)
        self._lock = threading.Lock()
        self._implants: tuple[str, ...] = ()
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        command = ["-m", "prosthesis_sim.console.stopper", "--host", self.host, "--port", str(self.port)]
        process = subprocess.Popen([sys.executable, *command], stdin=subprocess.PIPE, text=True, start_new_session=True)
        self._tell(process, self.token)
        self._tell(process, " ".join(self._implants))
        return process

    @staticmethod
    def _tell(process: subprocess.Popen[str], line: str) -> None:
        if process.stdin is not None:
            process.stdin.write(line + "\n")
            process.stdin.flush()

    def aim(self, implants: Sequence[str]) -> None:
        """Name the implants to stop, each HOST:PORT, with ``/plain`` behind it where its link has no CURVE."""
        with self._lock:
            self._implants = tuple(implants)
            self._tell(self._process, " ".join(implants))

    def relent(self) -> None:
        """Let it send no more of the last STOP: somebody arms again."""
        with self._lock:
            self._tell(self._process, RELENT)

    def tend(self) -> None:
        """See that it runs."""
        with self._lock:
            if self._process.poll() is not None:
                with contextlib.suppress(OSError):
                    if self._process.stdin is not None:
                        self._process.stdin.close()
                self._process = self._start()

    def press(self) -> bool:
        """Stop now, from this process; ``False`` when the way is not there."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        connection = http.client.HTTPConnection(host, self.port, timeout=ASK_S)
        try:
            connection.request("POST", "/stop", self.token)
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._process.terminate()
        self._process.wait()
