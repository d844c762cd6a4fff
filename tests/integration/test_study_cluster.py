"""A study on a real cluster of two worker processes, one of which is killed on the way; and on two processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from helpers import HAND, wait_for

from prosthesis_train.study.cell import VOLATILE
from prosthesis_train.study.plan import Study
from prosthesis_train.study.run import run_study

# the processes import numerical libraries first, on a machine that may be busy
START_S = 180
STUDY = Study.model_validate(
    {
        "name": "cluster",
        "summary": "Eight cells of four electrodes.",
        "measures": [{"type": "carried", "source": "synthetic:letters", "frames": 20}],
        "encoders": ["luminance-32", "edges-32"],
        "rigs": [HAND],
        "patients": [1, 2],
        "links": ["radio_1mbps", "radio_200kbps"],
    }
)


def stable(rows):
    return [{name: value for name, value in row.items() if name not in VOLATILE} for row in rows]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The rows of one process."""
    done = run_study(STUDY, tmp_path_factory.mktemp("alone"))
    assert (done.measured, done.failed) == (8, 0)
    return stable(done.rows)


@pytest.fixture
def spawn():
    """Start Python processes that speak into a file, and end them."""
    started = []

    def start(*arguments, log=os.devnull):
        with open(log, "w") as said:
            child = subprocess.Popen([sys.executable, *arguments], stdout=said, stderr=said, stdin=subprocess.DEVNULL)
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.wait()


@pytest.mark.timeout(600)
def test_a_worker_killed_on_the_way_costs_no_row_and_changes_none(tmp_path, alone, spawn):
    pytest.importorskip("distributed")
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "scheduler.json"
    options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    spawn("-m", "distributed.cli.dask_scheduler", *options)
    wait_for(lambda: file.is_file() and file.read_text().strip().endswith("}"), START_S, "a scheduler")
    scheduler = json.loads(file.read_text())["address"]
    logs = [tmp_path / "one.log", tmp_path / "other.log"]
    options = ("--nthreads", "1", "--no-nanny", "--no-dashboard")
    one, other = (spawn("-m", "distributed.cli.dask_worker", scheduler, *options, log=log) for log in logs)
    wait_for(lambda: all("Registered to" in log.read_text() for log in logs), START_S, "two workers")
    # however quick the machine, it dies with cells in its hands
    os.kill(one.pid, signal.SIGSTOP)

    study, out = tmp_path / "study.yaml", tmp_path / "out"
    study.write_text(STUDY.model_dump_json())
    run = spawn("-m", "prosthesis", "study", str(study), "--scheduler", scheduler, "--out", str(out))
    wait_for(lambda: list(out.glob("cells/*.json")) or run.poll() is not None, START_S, "the first row")
    assert run.poll() is None
    os.kill(one.pid, signal.SIGKILL)
    assert one.wait(5) == -signal.SIGKILL
    assert len(list(out.glob("cells/*.json"))) < len(alone), "there was work left"
    assert run.wait(START_S) == 0
    assert stable(parquet.read_table(out / "table.parquet").to_pylist()) == alone
    assert other.poll() is None, "the other one did the rest"


def test_a_cluster_that_is_not_there_is_said_in_one_line(tmp_path):
    pytest.importorskip("distributed")
    from prosthesis.processes import free_port

    study = tmp_path / "study.yaml"
    study.write_text(STUDY.model_dump_json())
    command = ["-m", "prosthesis", "study", str(study), "--out", str(tmp_path / "out")]
    address = f"tcp://127.0.0.1:{free_port()}"
    done = subprocess.run(
        [sys.executable, *command, "--scheduler", address], capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 5
    assert done.stderr.strip().splitlines()[-1] == (
        f"prosthesis: no Dask scheduler answers at {address}; start one with 'dask scheduler'"
    )


def test_two_processes_return_what_one_does(tmp_path, alone):
    assert stable(run_study(STUDY, tmp_path, workers=2).rows) == alone
