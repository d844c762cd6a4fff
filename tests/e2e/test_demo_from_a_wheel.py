"""What a user gets: the wheel, outside the checkout, from camera to report through two processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The wheel's content, in a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, timeout=100)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def run(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed), "PROSTHESIS_KEYS": str(folder / "keys")}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=100
    )


def test_the_demo_runs_from_the_wheel_alone_and_leaves_its_report(installed, tmp_path):
    where = run(installed, tmp_path, "-c", "import prosthesis, prosthesis_sim; print(prosthesis.__file__)")
    assert str(installed) in where.stdout
    done = run(installed, tmp_path, "-m", "prosthesis", "demo", "--seconds", "2", "--rig", "utah96")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert {"percept.mp4", "report.json", "report.html", "run.mcap"} <= {path.name for path in folder.iterdir()}
    report = json.loads((folder / "report.json").read_text())
    assert report["frames"]["perceived"] > 30
    assert report["charge"]["total_nc"] > 0
    page = (folder / "report.html").read_text()
    assert "not a medical device" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page

    log = folder / "run.mcap"
    again = run(installed, tmp_path, "-m", "prosthesis", "replay", str(log))
    assert again.returncode == 0, again.stderr
    assert "frame" in again.stdout


def test_torch_is_not_needed(installed, tmp_path):
    script = "import sys; sys.modules['torch'] = None; import prosthesis_sim.demo, prosthesis.assembly"
    assert run(installed, tmp_path, "-c", script).returncode == 0


def test_the_loop_closes_from_camera_to_evoked_activity_and_back_to_a_picture(installed, tmp_path):
    done = run(installed, tmp_path, "-m", "prosthesis", "demo", "--loop", "--seconds", "2")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert {"loop.mp4", "report.json", "report.html", "run.mcap"} <= {path.name for path in folder.iterdir()}
    loop = json.loads((folder / "report.json").read_text())["loop"]
    assert loop["sites_r"] > 0.5
    assert loop["code_r"] > 0.3
