from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("prosthesis", "sim/prosthesis_sim", "train/prosthesis_train", "export/prosthesis_export")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
RUNTIME = [path for path in MODULES if path.relative_to(ROOT).parts[0] in ("prosthesis", "sim")]
WALK = """
import importlib, pkgutil, sys
import prosthesis, prosthesis_sim
for package in (prosthesis, prosthesis_sim):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
print(",".join(sorted({"torch", "tensorflow", "matplotlib", "IPython"} & set(sys.modules))), len(sys.modules))
"""


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )


def tool(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def test_imports_point_one_way() -> None:
    done = run(tool("lint-imports"), "--no-cache")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_importing_the_whole_runtime_leaves_torch_alone() -> None:
    pytest.importorskip("numba")
    done = run(sys.executable, "-c", WALK)
    assert done.returncode == 0, done.stderr[-2000:]
    unwanted, count = done.stdout.rsplit(" ", 1)
    assert unwanted == ""
    assert int(count) > 100


def test_the_prosthesis_command_lists_the_verbs_of_every_room() -> None:
    done = run(sys.executable, "-m", "prosthesis", "--help", COLUMNS="120")
    assert done.returncode == 0, done.stderr
    for verb in ("run", "calibrate", "check", "doctor", "bench", "replay", "keys", "sim", "demo"):
        assert f"    {verb}" in done.stdout, done.stderr


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_in_one_line_what_it_is(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text()))
    assert text
    assert len(text.splitlines()[0]) <= 120


def test_no_module_has_outgrown_its_idea() -> None:
    long = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in MODULES}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}


def test_the_runtime_runs_on_the_python_of_jetpack_6() -> None:
    done = run(tool("vermin"), "--quiet", "--no-tips", "--violations", "--target=3.10-", *map(str, RUNTIME))
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_readme_is_there_and_short() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) < 150


@pytest.mark.parametrize("room", ["sim", "train", "export"])
def test_each_room_introduces_itself_in_four_lines(room: str) -> None:
    assert len((ROOT / room / "README.md").read_text().splitlines()) == 4


def test_python_pins_bind_only_the_version_they_were_resolved_for() -> None:
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(line.endswith('; python_version == "3.11"') for line in pins)
    assert any(line.startswith("torch==") for line in pins)


def test_ci_runs_the_readmes_test_command() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test\n" in script.read_text()
    done = run("make", "--dry-run", "test")
    assert done.returncode == 0, done.stderr
    assert "-m pytest" in done.stdout


def test_make_helps_with_every_target() -> None:
    done = run("make")
    for target in ("demo", "test", "check", "fix", "bench", "wheel", "clean"):
        assert f"  make {target} " in done.stdout
