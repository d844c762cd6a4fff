"""The hardware report that a user can send back: what this machine is and really did, nothing about its user.

No serial number, address, key, name of the machine or of a person is read or kept; paths are cut to their last part.
"""

from __future__ import annotations

import contextlib
import datetime
import getpass
import json
import platform
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from prosthesis import __version__
from prosthesis.board.findings import Finding
from prosthesis.board.machine import this_machine
from prosthesis.bundles.compare import ENGINES, compare

SCHEMA = 0
MODELS = ("luminance-32", "objects")  # the lightest and the heaviest of what is shipped
RUNS = 50
# of these, whose versions explain most surprises
PACKAGES = (
    "numpy",
    "pyzmq",
    "pydantic",
    "opencv",
    "cryptography",
    "protobuf",
    "mcap",
    "onnx",
    "tensorrt",
    "cuda",
    "numba",
)
# files of the system that say nothing about a person
SYSTEM = ("/dev/", "/proc/", "/sys/", "/etc/", "/usr/bin/", "/usr/lib/")


def make_report(
    findings: Sequence[Finding],
    models: Sequence[str] = MODELS,
    runs: int = RUNS,
    say: Callable[[str], None] = lambda text: None,
    root: Path = Path("/"),
) -> dict[str, Any]:
    """Return the report: the machine, ``doctor``'s findings, and ``models`` timed on every engine that is here."""
    machine = asdict(this_machine(root))
    report = {
        "schema_version": SCHEMA,
        "made_on": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "prosthesis": __version__,
        "machine": machine | {"kernel": platform.release(), "architecture": platform.machine(), **_memory(root)},
        "python": platform.python_version(),
        "packages": _packages(),
        "video_devices": _video(root),
        "findings": [_without_address(finding) for finding in findings],
        "measured": [asdict(row) for model in models for row in compare([model], tuple(ENGINES), runs, say=say)],
    }
    clean: dict[str, Any] = scrub(report, _private())
    return clean


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write the report as JSON, for a person to read before sending it."""
    path.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n")


def scrub(value: Any, private: Sequence[str]) -> Any:
    """Return ``value`` without the ``private`` words and with every path outside the system cut to its last part."""
    if isinstance(value, dict):
        return {key: scrub(item, private) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [scrub(item, private) for item in value]
    if not isinstance(value, str):
        return value
    text = re.sub(r"(?<![\w./])~?/+[^\s,;:'\")]+", _last_part, value)
    for word in private:
        text = re.sub(rf"\b{re.escape(word)}\b", "(private)", text)
    return text


def _without_address(finding: Finding) -> dict[str, str]:
    text = finding.text.partition(" ")[2] if finding.name == "implant" else finding.text
    return asdict(finding) | {"text": text}


def _last_part(found: re.Match[str]) -> str:
    path = found.group()
    if path.startswith(SYSTEM):
        return path
    return f".../{Path(path).name}"


def _private() -> list[str]:
    """Return the words that could say whose machine this is."""
    words = {socket.gethostname(), platform.node(), Path.home().name}
    with contextlib.suppress(KeyError, OSError):  # a user without a name says nothing
        words.add(getpass.getuser())
    # a name that is a word of everyone's is no secret, and would blank half of the report
    common = ("root", "ubuntu", "jetson", "nvidia", "user")
    # the longest first: one may be part of another
    return sorted((word for word in words if len(word) > 2 and word not in common), key=len, reverse=True)


def _memory(root: Path) -> dict[str, int]:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return {}
    values = {name: int(rest.split()[0]) // 1024 for name, _, rest in (line.partition(":") for line in lines) if rest}
    return {"memory_mb": values.get("MemTotal", 0), "swap_mb": values.get("SwapTotal", 0)}


def _packages() -> dict[str, str]:
    found = {str(item.metadata["Name"]): item.version for item in distributions()}
    return {name: version for name, version in sorted(found.items()) if name.lower().startswith(PACKAGES)}


def _video(root: Path) -> list[str]:
    names = sorted((root / "sys/class/video4linux").glob("video*/name"))
    return [path.read_text(errors="replace").strip() for path in names]
