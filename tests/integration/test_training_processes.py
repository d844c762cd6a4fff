"""Two processes, and two machines of two, train what one does: equal losses, identical replicas. Gloo on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs prosthesis[train]")

from prosthesis_train.training.run import read_log  # noqa: E402

SCRIPT = Path(__file__).parents[1] / "unit" / "tiny_training.py"
STEPS = "3"


def environment(**more):
    kept = {k: v for k, v in os.environ.items() if k not in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "NODE_RANK")}
    return kept | {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"} | more


def start(words, **more):
    return subprocess.Popen(
        [sys.executable, *map(str, words)], env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def finish(runs, seconds):
    try:
        outputs = [run.communicate(timeout=seconds)[0].decode() for run in runs]
    finally:
        for run in runs:
            run.kill()
    assert [run.returncode for run in runs] == [0] * len(runs), "\n".join(outputs)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def assert_as_one(one, many, processes):
    alone, together = read_log(one), read_log(many)
    assert [e["step"] for e in alone] == [e["step"] for e in together] == [1, 2, 3]
    for a, b in zip(alone, together, strict=True):
        for name in ("loss_d", "loss_g", "real", "fake", "grad_g"):
            assert b[name] == pytest.approx(a[name], rel=2e-3), (a["step"], name)
    replicas = {file.read_text(encoding="utf-8") for file in many.glob("replica-*")}
    assert len(list(many.glob("replica-*"))) == processes
    assert len(replicas) == 1


@pytest.mark.parametrize("method", [pytest.param("dcgan", marks=pytest.mark.slow), "bigbigan"])
def test_two_processes_train_as_one(tmp_path, method):
    one, two = tmp_path / "one", tmp_path / "two"
    finish([start([SCRIPT, method, one, STEPS, 1, 1])], 60)
    finish([start([SCRIPT, method, two, STEPS, 2, 1], MASTER_PORT=str(free_port()))], 110)
    assert_as_one(one, two, 2)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_machines_of_two_train_as_one(tmp_path):
    one, four = tmp_path / "one", tmp_path / "four"
    finish([start([SCRIPT, "bigbigan", one, STEPS, 1, 1])], 100)
    torchrun = ["-m", "torch.distributed.run", "--nnodes", 2, "--nproc-per-node", 2, "--master-addr", "127.0.0.1"]
    torchrun += ["--master-port", free_port()]
    words = [SCRIPT, "bigbigan", four, STEPS, 2, 2]
    finish([start([*torchrun, "--node-rank", node, *words]) for node in (0, 1)], 300)
    assert_as_one(one, four, 4)
