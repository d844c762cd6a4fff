"""Who is let in to the console, and that it is not opened to others without a token."""

from __future__ import annotations

import asyncio

import pytest

from prosthesis.cli import main
from prosthesis.config import load_rig
from prosthesis.errors import ConfigError
from prosthesis_sim.console.gate import COOKIE, Gate, read_token

TOKEN = "0123456789abcdef0123"


def ask(gate, kind="http", query=b"", **headers):
    """The first answer to one request, "in" where it was passed on."""
    told = []

    async def send(message):
        told.append(message)

    async def receive():
        return {"type": "http.request"}

    named = [(key.encode(), value.encode()) for key, value in headers.items()]
    asyncio.run(gate({"type": kind, "headers": named, "query_string": query}, receive, send))
    return told[0].get("status", told[0]["type"])


def gate(token=None, loopback=True):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": "in"})

    return Gate(app, token, loopback=loopback)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080"])
def test_this_machine_is_let_in(host):
    assert ask(gate(), host=host) == "in"


@pytest.mark.parametrize("host", ["evil.example:8080", "127.0.0.1.evil.example", ""])
def test_a_foreign_name_for_this_machine_is_not(host):
    assert ask(gate(), host=host) == 403


def test_a_foreign_page_opens_no_web_socket():
    own, foreign = "http://127.0.0.1:8080", "http://evil.example"
    assert ask(gate(), "websocket", host="127.0.0.1:8080", origin=own) == "in"
    assert ask(gate(), "websocket", host="127.0.0.1:8080", origin=foreign) == "websocket.close"


def test_others_need_the_token_once():
    outside = gate(TOKEN, loopback=False)
    assert ask(outside, host="lab:8080") == 401
    assert ask(outside, host="lab:8080", query=b"token=wrong") == 401
    assert ask(outside, host="lab:8080", query=f"token={TOKEN}".encode()) == 303
    assert ask(outside, host="lab:8080", cookie=f"{COOKIE}={TOKEN}") == "in"
    assert ask(outside, "websocket", host="lab:8080", query=f"token={TOKEN}".encode()) == "websocket.close"
    assert ask(outside, "websocket", host="lab:8080", cookie=f"a=b; {COOKIE}={TOKEN}") == "in"


def test_no_token_no_other_machines(tmp_path, capsys):
    with pytest.raises(ConfigError, match="--token-file"):
        read_token("0.0.0.0", None)
    assert main(["view", "utah96", "--host", "0.0.0.0"]) == ConfigError.exit_code
    assert "needs a token" in capsys.readouterr().err
    file = tmp_path / "token"
    file.write_text("short\n")
    with pytest.raises(ConfigError, match="shorter than 16"):
        read_token("0.0.0.0", file)
    file.write_text(TOKEN + "\n")
    assert read_token("0.0.0.0", file) == TOKEN
    assert read_token("127.0.0.1", None) is None


def test_what_to_look_at_is_said_once(capsys):
    assert main(["view"]) == main(["view", "utah96", "--log", "run.mcap"]) == ConfigError.exit_code
    assert "name a rig to run, or a recording" in capsys.readouterr().err


def test_run_with_a_view_is_the_console_of_that_run(monkeypatch):
    asked = []
    monkeypatch.setattr("prosthesis_sim.console.commands._view", lambda arguments: asked.append(arguments) or 0)
    assert (
        main(["run", "utah96", "--view", "--link", "192.168.1.7:5700", "--task", "edges-32,x", "--record", "a.mcap"])
        == 0
    )
    (given,) = asked
    assert (given.rig, given.link, given.task) == ("utah96", ("192.168.1.7", 5700), "edges-32")
    assert str(given.record) == "a.mcap"
    main(["run", "utah96", "--view"])
    assert asked[1].link == ("127.0.0.1", load_rig("utah96").link.port)  # a run needs no patient of the console's
