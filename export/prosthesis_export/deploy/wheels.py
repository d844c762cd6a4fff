"""Which wheels a board needs: lists resolved for its Python and processor, pinned by hash, committed as data.

The newest version of a package is not the newest with a wheel for an older Python, so each Python has its own list:
``python -m prosthesis_export.deploy.wheels`` makes them again (minutes; it asks the package index).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from prosthesis.errors import ConfigError, ProsthesisError

FOLDER = Path(__file__).resolve().parent / "wheels"
# of the C library: Ubuntu 22.04 (JetPack 6) has 2.35, Debian 12 2.36, Ubuntu 24.04 (JetPack 7) 2.39
GLIBC = {"3.10": 35, "3.11": 36, "3.12": 39}
PYTHONS = tuple(GLIBC)
EXTRA = "board"
# NVIDIA's binding of the CUDA runtime, of the CUDA that the JetPack with this Python brings
CUDA = {"3.10": ["cuda-python==12.*"], "3.11": [], "3.12": ["cuda-python==13.*"]}


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel: its file's name ends with what it is for."""

    name: str
    version: str
    file: str
    sha256: str

    @property
    def line(self) -> str:
        """The wheel as pip's requirement, which takes no other bytes."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


def list_path(python: str) -> Path:
    """Return where the list for a Python such as ``3.10`` is; ``ConfigError`` when there is none."""
    path = FOLDER / f"aarch64-py{python.replace('.', '')}.json"
    if not path.is_file():
        raise ConfigError(f"no list of wheels for Python {python} on aarch64; there are: {', '.join(PYTHONS)}")
    return path


def load_wheels(python: str) -> list[Wheel]:
    """Return the committed list for a Python."""
    return [Wheel(**item) for item in json.loads(list_path(python).read_text())]


def wanted(python: str) -> list[str]:
    """Return what the device package itself asks for on a board."""
    lines = requires("prosthesis") or []
    environment = target(python) | {"extra": EXTRA}
    chosen = [r for r in map(Requirement, lines) if r.marker is None or r.marker.evaluate(environment)]
    return sorted({f"{r.name}{r.specifier}" for r in chosen if r.name != "prosthesis"}) + CUDA[python]


def target(python: str) -> dict[str, str]:
    """Return the environment of markers there; pip itself asks those of the Python that it runs on."""
    return {
        "python_version": python,
        "python_full_version": f"{python}.12",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "aarch64",
    }


def resolve(python: str) -> list[Wheel]:
    """Ask the package index what to install there; ``ProsthesisError`` with pip's words when it does not resolve."""
    asked = wanted(python)
    while True:
        report = _pip(python, asked)
        found = {str(canonicalize_name(item["metadata"]["name"])): item for item in report["install"]}
        missing = _missing(python, found)
        if not missing:
            return sorted((_wheel(item) for item in found.values()), key=lambda wheel: wheel.name)
        asked += missing


def _pip(python: str, asked: list[str]) -> dict[str, Any]:
    glibc = GLIBC[python]
    tags = [f"manylinux_2_{minor}_aarch64" for minor in range(glibc, 16, -1)] + ["manylinux2014_aarch64"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed"]
        command += ["--target", folder, "--only-binary=:all:", "--implementation", "cp", "--python-version", python]
        for tag in tags:
            command += ["--platform", tag]
        done = subprocess.run([*command, "--report", str(report), *asked], capture_output=True, text=True, check=False)
        if done.returncode:
            words = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise ProsthesisError(f"Python {python} on aarch64: {' '.join(words) or done.stderr[-300:]}")
        told: dict[str, Any] = json.loads(report.read_text())
        return told


def _missing(python: str, found: dict[str, Any]) -> list[str]:
    """Return requirements of what was found that pip left out, as its own Python does not have them."""
    out = []
    for item in found.values():
        for line in item["metadata"].get("requires_dist") or []:
            requirement = Requirement(line)
            needed = requirement.marker is None or requirement.marker.evaluate(target(python) | {"extra": ""})
            if needed and canonicalize_name(requirement.name) not in found:
                out.append(f"{requirement.name}{requirement.specifier}")
    return sorted(set(out))


def _wheel(item: dict[str, Any]) -> Wheel:
    info = item["download_info"]
    return Wheel(
        canonicalize_name(item["metadata"]["name"]),
        item["metadata"]["version"],
        info["url"].rpartition("/")[2],
        info["archive_info"]["hashes"]["sha256"],
    )


def write(python: str, wheels: list[Wheel]) -> Path:
    """Write the list of a Python."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"aarch64-py{python.replace('.', '')}.json"
    items = [{"name": w.name, "version": w.version, "file": w.file, "sha256": w.sha256} for w in wheels]
    path.write_text(json.dumps(items, indent=1) + "\n")
    return path


if __name__ == "__main__":
    for version in sys.argv[1:] or PYTHONS:
        sys.stderr.write(f"Python {version}: asking the package index\n")
        sys.stderr.write(f"wrote {write(version, resolve(version))}\n")
