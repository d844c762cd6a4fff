"""Who may use the console: pages of its own only, and beyond this machine whoever has the token."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from prosthesis.errors import ConfigError
from prosthesis.links.zmq import LOOPBACK

COOKIE = "prosthesis_token"
LEAST = 16  # characters of a token: 64 bits as hex
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def read_token(host: str, path: Path | None) -> str | None:
    """Return the token in ``path``; raises ``ConfigError`` where a console beyond this machine would have none."""
    if path is None:
        if host not in LOOPBACK:
            raise ConfigError(
                f"--host {host} lets other machines in, which needs a token: write one with "
                "'openssl rand -hex 16 > token' and give --token-file token"
            )
        return None
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: no token can be read ({error})") from error
    if len(token) < LEAST:
        raise ConfigError(f"{path}: the token is shorter than {LEAST} characters; make one with 'openssl rand -hex 16'")
    return token


@dataclass(frozen=True, slots=True)
class Door:
    """Where the console listens, and the token that those beyond this machine need."""

    host: str
    port: int
    token: str | None

    @property
    def url(self) -> str:
        """The address for a browser on this machine."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"


class Gate:
    """An ASGI application in front of another, which lets in only whom it should.

    On loopback the request must name this machine as its host, so that a foreign name that resolves here brings nobody
    in; a web socket must come from a page of ours. With a ``token`` a first visit has it as ``?token=``, and a cookie
    from then on.
    """

    def __init__(self, app: App, token: str | None, *, loopback: bool) -> None:
        self._app, self._token, self._loopback = app, token, loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        if not self._is_ours(headers):
            await _refuse(scope, send, 403, "this console answers to its own pages only")
            return
        if self._token is None or _matches(_cookie(headers), self._token):
            await self._app(scope, receive, send)
            return
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        if scope["type"] == "http" and _matches(given, self._token):
            cookie = f"{COOKIE}={self._token}; Path=/; HttpOnly; SameSite=Strict"
            await _answer(send, 303, "", [(b"location", b"/"), (b"set-cookie", cookie.encode())])
            return
        await _refuse(scope, send, 401, "open this page once as /?token=..., with the token of --token-file")

    def _is_ours(self, headers: dict[str, str]) -> bool:
        host = headers.get("host", "")
        if self._loopback and urlsplit(f"//{host}").hostname not in LOOPBACK:
            return False
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc == host


def _matches(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _cookie(headers: dict[str, str]) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


async def _refuse(scope: Scope, send: Send, code: int, why: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    else:
        await _answer(send, code, why, [])


async def _answer(send: Send, code: int, text: str, headers: list[tuple[bytes, bytes]]) -> None:
    body = (text + "\n").encode()
    told = [*headers, (b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": code, "headers": told})
    await send({"type": "http.response.body", "body": body})
