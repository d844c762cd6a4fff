"""The console's web server: one page, one binary stream to each browser, and a gate before both."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from nicegui import ui

from prosthesis.links.zmq import LOOPBACK
from prosthesis_sim.console.gate import Door, Gate
from prosthesis_sim.console.page import build
from prosthesis_sim.console.scrub import Player
from prosthesis_sim.console.steering import Steering
from prosthesis_sim.console.stopway import StopWay
from prosthesis_sim.console.stream import PICTURES_S, Board, Reader

STATIC = Path(__file__).parent / "static"
TEND_S = 1.0
CLOSE_S = 1
SEND_S = 5.0


def make_app(feed: Steering | Player, stop_way: StopWay | None) -> FastAPI:
    """Return the application: the page at ``/``, the stream at ``/live``."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    board = Board(feed)
    stop: dict[str, Any] | None = {"port": stop_way.port, "token": stop_way.token} if stop_way else None

    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, asyncio.TimeoutError):
            await _serve(socket, board, feed)

    build(feed, stop, STATIC)
    ui.run_with(app, title="prosthesis", dark=True, favicon="🔆", show_welcome_message=False, reconnect_timeout=5.0)
    return app


async def _serve(socket: WebSocket, board: Board, feed: Steering | Player) -> None:
    """Send the newest whenever the browser has drawn the last, and hear what it says, until it goes."""
    reader, drawn = Reader(board), asyncio.Event()
    drawn.set()

    async def hear() -> None:
        while True:
            said = json.loads(await socket.receive_text())
            if "drawn" in said:
                drawn.set()
            elif "stop" in said and isinstance(feed, Steering):
                threading.Thread(target=feed.stop, daemon=True).start()
            elif isinstance(feed, Player):
                await asyncio.to_thread(feed.told, said)

    hearing = asyncio.create_task(hear())
    try:
        while not hearing.done():
            await asyncio.sleep(PICTURES_S)
            if not drawn.is_set():
                continue
            board.refresh()
            message = reader.next()
            if message is not None:
                drawn.clear()
                await asyncio.wait_for(socket.send_bytes(message), SEND_S)
    finally:
        hearing.cancel()
        with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError, ValueError):
            await hearing


def serve(
    feed: Steering | Player, stop_way: StopWay | None, door: Door, ready: Callable[[], None], seconds: float | None
) -> None:
    """Serve until interrupted, or for ``seconds``; ``ready()`` is called when the page can be opened."""
    app: Any = Gate(make_app(feed, stop_way), door.token, loopback=door.host in LOOPBACK)
    config = uvicorn.Config(
        app, host=door.host, port=door.port, log_level="warning", access_log=False, timeout_graceful_shutdown=CLOSE_S
    )
    server = uvicorn.Server(config)

    async def main() -> None:
        serving = asyncio.create_task(server.serve())
        until = asyncio.get_running_loop().time() + seconds if seconds is not None else float("inf")
        told = False
        while not serving.done():
            if server.started and not told:
                told = True
                ready()
            if isinstance(feed, Steering):
                await asyncio.to_thread(feed.tend)
            if asyncio.get_running_loop().time() >= until:
                server.should_exit = True
            await asyncio.wait([serving], timeout=TEND_S if told else 0.05)
        await serving

    asyncio.run(main())
