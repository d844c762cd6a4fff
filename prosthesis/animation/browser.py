"""A page on this machine that shows the newest picture: the headless OpenCV that we depend on opens no windows."""

from __future__ import annotations

import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

import cv2

from prosthesis.messages import U8

BOUNDARY = "picture"
WAIT_S = 1.0
HTML = b"<!doctype html><meta charset=utf-8><title>prosthesis animate</title><img src=/film style='width:100%'>"


class Page:
    """Serves ``address`` to this machine only, while in context; ``show`` replaces the picture."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._jpeg, self._number = b"", 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}/"

    def show(self, rgb: U8) -> None:
        """Show a picture u8[h,w,3]."""
        jpeg = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()
        with self._news:
            self._jpeg, self._number = jpeg, self._number + 1
            self._news.notify_all()

    def after(self, number: int) -> tuple[int, bytes]:
        """Return the newest picture's number and JPEG, newer than ``number`` unless none came within a second."""
        with self._news:
            self._news.wait_for(lambda: self._number > number, WAIT_S)
            return self._number, self._jpeg

    def __enter__(self) -> Page:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(page: Page) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle(self) -> None:
            """Answer; a tab that is closed meanwhile, at whatever word of ours or its own, is no error."""
            with suppress(ConnectionError):
                super().handle()

        def do_GET(self) -> None:  # the library's name
            """Answer with the page, or with pictures for as long as someone looks."""
            self.send_response(200)
            if self.path != "/film":
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(HTML)
                return
            self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
            self.end_headers()
            number = 0
            while True:
                number, jpeg = page.after(number)
                head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    return Handler
