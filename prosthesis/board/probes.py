"""What ``prosthesis doctor`` says of the board: which one, its JetPack, TensorRT, power, and the link's sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from prosthesis.board.findings import Finding
from prosthesis.errors import ProsthesisError

LIMIT_S = 4.0
MESSAGES = 50


def board(root: Path = Path("/")) -> Iterator[Finding]:
    """Which board this is, and whether its JetPack is one that we run on."""
    from prosthesis.board.boards import load_board
    from prosthesis.board.machine import this_machine

    machine = this_machine(root)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parts = [machine.model or ("a Jetson" if machine.is_jetson else "laptop or workstation")]
    parts += [f"L4T {machine.l4t}"] if machine.l4t else []
    parts += [f"mode {machine.power_mode}"] if machine.power_mode else []
    parts += [machine.processor or os.uname().machine, f"{cores} core(s) usable"]
    yield Finding("board", "ok", ", ".join(parts))
    if not machine.is_jetson:
        return
    if machine.board is None:
        text = f"none of ours is {machine.model or '?'} ({', '.join(machine.compatibles) or 'no strings'})"
        yield Finding("board file", "warn", text, "send 'prosthesis doctor --report FILE' to the project")
    else:
        known = load_board(machine.board)
        yield Finding("board file", "ok", f"{known.name}: {known.summary}")
    yield _jetpack(machine.l4t, machine.jetpack)


def _jetpack(l4t: str, name: str | None) -> Finding:
    from prosthesis.board.boards import load_jetpack

    if name is None:
        text = f"L4T {l4t or '?'} is of no JetPack that we know"
        return Finding("jetpack", "warn", text, "install JetPack 6.2 or newer; 6.0 and 6.1 are untried")
    pack = load_jetpack(name)
    text = f"{name}: Python {pack.python}, CUDA {pack.cuda}, TensorRT {pack.tensorrt}"
    if not pack.runs_the_device:
        remedy = "install JetPack 6.2 or newer"
        return Finding("jetpack", "fail", f"{text}: too old, its Python and TensorRT are not supported", remedy)
    return Finding("jetpack", "ok", text)


def tensorrt(root: Path = Path("/")) -> Iterator[Finding]:
    """Whether TensorRT and a GPU are really there, found out in a process of its own: a broken one takes it along."""
    from prosthesis.board.machine import this_machine

    if find_spec("tensorrt") is None and not this_machine(root).is_jetson:
        yield Finding("tensorrt", "ok", "not installed; needed on NVIDIA's boards only")
        return
    command = [sys.executable, "-c", "from prosthesis.board.probes import try_tensorrt; try_tensorrt()"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        yield Finding("tensorrt", "warn", f"did not answer in {LIMIT_S:.0f} s", "try again on an idle machine")
        return
    text, _, remedy = done.stdout.strip().partition("; ")
    if done.returncode == 0:
        yield Finding("tensorrt", "ok", text)
    else:
        yield Finding("tensorrt", "warn", text or f"died with exit code {done.returncode}", remedy or "reinstall it")


def try_tensorrt() -> None:
    """Say on stdout what there is, and exit with 1 and the error when it cannot be used."""
    from prosthesis.engines.cuda import Cuda, load_cuda
    from prosthesis.engines.plans import load_tensorrt

    try:
        version = load_tensorrt().__version__
        cuda = Cuda(load_cuda())
        sys.stdout.write(f"TensorRT {version} on a GPU of {cuda.architecture}")
        cuda.close()
    except ProsthesisError as error:
        sys.stdout.write(str(error))
        sys.exit(1)


def power(root: Path = Path("/")) -> Iterator[Finding]:
    """Which rails can be measured, and what they draw now."""
    from prosthesis.board.machine import this_machine
    from prosthesis.board.power import sensor_rails

    rails = sensor_rails(root)
    if rails:
        yield Finding("power", "ok", ", ".join(f"{name} {watts:.1f} W" for name, watts in rails.items()))
    elif this_machine(root).is_jetson:
        yield Finding("power", "warn", "no power sensor that we may read", "run tegrastats, or as root")


def link() -> Iterator[Finding]:
    """How long an encrypted message takes to this machine itself: the floor of every link from here."""
    import zmq

    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    server_public, server_secret = zmq.curve_keypair()
    public, secret = zmq.curve_keypair()
    receiver, sender = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    try:
        receiver.curve_server, receiver.curve_secretkey, receiver.curve_publickey = True, server_secret, server_public
        sender.curve_secretkey, sender.curve_publickey, sender.curve_serverkey = secret, public, server_public
        sender.connect(f"tcp://127.0.0.1:{receiver.bind_to_random_port('tcp://127.0.0.1')}")
        took_ms = []
        for _ in range(MESSAGES):
            began = time.monotonic()
            sender.send(b"x" * 1024)
            if not receiver.poll(1000):
                yield Finding(
                    "link", "fail", "an encrypted message to this machine itself did not come", "check the firewall"
                )
                return
            receiver.recv()
            took_ms.append((time.monotonic() - began) * 1e3)
        text = f"encrypted loopback, {sorted(took_ms)[MESSAGES // 2]:.2f} ms a message of 1 KiB"
        yield Finding("link", "ok", text)
    finally:
        sender.close(0)
        receiver.close(0)
        context.term()


def reach(host: str, port: int) -> Iterator[Finding]:
    """Whether anything listens at the implant's address."""
    began = time.monotonic()
    try:
        socket.create_connection((host, port), timeout=2.0).close()
    except OSError as error:
        remedy = "is the implant on, its address right ('--link'), and no firewall between?"
        yield Finding("implant", "fail", f"{host}:{port}: {error.strerror or error}", remedy)
        return
    yield Finding("implant", "ok", f"{host}:{port} answers in {(time.monotonic() - began) * 1e3:.1f} ms")
