"""Every command of the README, run as it stands there; a command added there must find its place here."""

from __future__ import annotations

import functools
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
# a README's command block: indented by four spaces, its remark after two
COMMANDS = [
    re.split(r"  +#", line.strip())[0].strip()
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"    (prosthesis|make|pip|python) ", line)
]
NOT_HERE = {
    "make demo": "makes an environment from the package index; a test of the wheel runs the demo",
    "make test": "is what runs this test",
    "prosthesis demo --rig utah96 --source 0": "needs a webcam",
    "prosthesis animate --source portrait.jpg --driving 0 --relative --view": "needs a webcam",
}
# until Ctrl-C: run for so many seconds, then interrupted
ENDLESS = {
    "prosthesis sim utah96": 20,
    "prosthesis run utah96 --source synthetic:bar": 20,
    "prosthesis run utah96 --task text,face,obstacle": 30,
    "prosthesis view utah96": 20,
}
WITH_A_RECORDING = ("prosthesis replay ", "prosthesis nwb ")
WITH_A_PATIENT = ("prosthesis run ", "prosthesis calibrate ")
NEEDS_TRAINING = ("prosthesis score ", "prosthesis study ", "prosthesis export ", "prosthesis demo --loop")
# seconds rather than minutes on a busy machine: these run by default
FAST = ("prosthesis check ", "prosthesis doctor", "prosthesis estimate ")
FINE = {"prosthesis doctor": (0, 1)}  # a machine without a display or engine has warnings and faults, told in words
PORT = 5700  # of every shipped rig's link
PATIENCE_S = 900


def runnable(command: str) -> bool:
    return command not in NOT_HERE


def parameters() -> list[object]:
    out: list[object] = []
    for command in filter(runnable, COMMANDS):
        marks = [] if command.startswith(FAST) else [pytest.mark.slow, pytest.mark.timeout(PATIENCE_S + 60)]
        out.append(pytest.param(command, marks=marks, id=command))
    return out


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A newcomer's folder: the examples beside it, no keys yet."""
    monkeypatch.setenv("PROSTHESIS_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    random = np.random.default_rng(0)
    shown = random.uniform(-1, 1, (40, 1, 32, 32)).astype(np.float32)
    codes = random.standard_normal((40, 80)).astype(np.float32)
    np.savez(tmp_path / "FILE.npz", shown=shown, decoded_codes=codes, training_trials=100)
    return tmp_path


def arguments(command: str) -> list[str]:
    words = shlex.split(command)
    assert words[0] == "prosthesis"
    return [sys.executable, "-m", *words]


def port_is_taken() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", PORT)) == 0


@contextmanager
def patient(place: Path) -> Iterator[None]:
    """``prosthesis sim utah96`` in another terminal."""
    child = subprocess.Popen(arguments("prosthesis sim utah96"), cwd=place, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    try:
        line = child.stderr.readline()
        assert "listen at" in line, line
        yield
    finally:
        child.terminate()
        child.communicate(timeout=60)


def until_interrupted(command: str, place: Path, seconds: float) -> None:
    # a test run in the background ignores Ctrl-C, and its children would too
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    child = subprocess.Popen(arguments(command), cwd=place, preexec_fn=heed, **pipes)
    try:
        with pytest.raises(subprocess.TimeoutExpired):  # it must not end by itself
            child.communicate(timeout=seconds)
        child.send_signal(signal.SIGINT)
        said = child.communicate(timeout=60)[1]
        assert child.returncode in (0, 130), said[-2000:]
    finally:
        child.kill()
        child.communicate()


def to_its_end(command: str, place: Path) -> None:
    done = subprocess.run(arguments(command), cwd=place, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode in FINE.get(command, (0,)), done.stdout[-1000:] + done.stderr[-2000:]
    assert done.stdout or any(place.iterdir())


def test_the_readme_has_its_commands_and_every_exception_is_one_of_them() -> None:
    assert len(COMMANDS) >= 20
    assert len(set(COMMANDS)) == len(COMMANDS)
    assert set(NOT_HERE) | set(ENDLESS) <= set(COMMANDS)
    assert all(command.startswith("prosthesis ") for command in filter(runnable, COMMANDS))


@pytest.mark.parametrize("command", parameters())
def test_a_command_of_the_readme_does_what_it_says(command: str, place: Path) -> None:
    if command.startswith(NEEDS_TRAINING):
        pytest.importorskip("torch")
    if command.startswith(WITH_A_RECORDING):
        to_its_end("prosthesis demo --seconds 2", place)
        (recording,) = place.glob("runs/*/run.mcap")
        recording.rename(place / "run.mcap")
    beside = command.startswith(WITH_A_PATIENT)
    if (beside or command in ENDLESS) and port_is_taken():
        pytest.skip(f"port {PORT} of this machine is taken, by another patient perhaps")
    if not beside and command not in ENDLESS:
        to_its_end(command, place)
    elif not beside:
        until_interrupted(command, place, ENDLESS[command])
    else:
        with patient(place):
            if command in ENDLESS:
                until_interrupted(command, place, ENDLESS[command])
            else:
                to_its_end(command, place)
