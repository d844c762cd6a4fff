"""A lab's view: clients that know the air protocol only drive an emulated implant."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from prosthesis.links.keys import make_keys
from prosthesis.processes import free_port

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bench(tmp_path, monkeypatch, request):
    """``prosthesis sim utah96``, with plain sockets if no other air is asked for; returns its first port."""
    air = getattr(request, "param", "bench_crc")
    monkeypatch.setenv("PROSTHESIS_KEYS", str(tmp_path / "keys"))
    make_keys(tmp_path / "keys")
    port = free_port()
    command = [sys.executable, "-m", "prosthesis", "sim", "utah96", "--air", air, "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as world:
        assert "listen at" in world.stderr.readline()
        yield port
        world.terminate()


@pytest.fixture(scope="module")
def c_client(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler")
    program = tmp_path_factory.mktemp("c") / "air_client"
    source = ROOT / "examples" / "air_client.c"
    subprocess.run([compiler, "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source], check=True)
    return program


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_c_client_seals_the_test_vector(c_client):
    vectors = json.loads((ROOT / "docs" / "air-vectors.json").read_text())
    assert run(c_client, "--vector").strip() == "".join(vectors["pattern"]["crc"])


def test_the_c_client_drives_the_emulator(c_client, bench):
    *_, last = run(c_client, str(bench)).splitlines()
    tiles, charge_pc = int(last.split()[0]), int(last.split()[3])
    assert tiles > 40  # two tiles a pattern, some lost to a busy machine
    pulse_pc = 60 * 170  # 60 uA x 170 us; each electrode is driven for 33 ms at 300 Hz
    assert charge_pc % pulse_pc == 0
    assert 100 <= charge_pc / pulse_pc <= 96 * 12


@pytest.mark.parametrize(
    ("bench", "example"),
    [("loopback", "drive_emulator.py"), ("bench_crc", "schema_client.py")],
    indirect=["bench"],
)
def test_a_few_lines_of_python_drive_the_emulator(bench, example):
    import zmq

    from prosthesis.links.zmq import WORLD_TAPS
    from prosthesis.schemas import decode
    from prosthesis.taps import listen

    with zmq.Context() as context:
        taps = listen([f"tcp://127.0.0.1:{bench + WORLD_TAPS}"], ("delivered",), context)
        said = run(sys.executable, str(ROOT / "examples" / example), str(bench))
        driven = set()
        while (heard := taps.receive(0.2)) is not None and len(driven) <= 20:
            driven.update(decode(*heard).amplitude_ua.nonzero()[0].tolist())
        taps.close()
    assert "Refusal.NONE" in said
    assert len(driven) > 20
