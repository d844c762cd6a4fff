"""What works on this machine: found by trying, not by asking, since engines and drivers claim more than they do."""

from __future__ import annotations

import base64
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from prosthesis import __version__
from prosthesis.board.findings import Finding
from prosthesis.board.probes import board, link, power, reach, tensorrt
from prosthesis.errors import ProsthesisError

LIMIT_S = 4.0
# import name and distribution; Jetsons bring their own cv2, which pip does not know
NEEDED = {
    "numpy": "numpy",
    "zmq": "pyzmq",
    "pydantic": "pydantic",
    "yaml": "PyYAML",
    "cv2": "opencv-python-headless",
    "cryptography": "cryptography",
    "google.protobuf": "protobuf",
    "mcap": "mcap",
}
OPTIONAL = (
    "onnxruntime",
    "onnxruntime-gpu",
    "tensorrt",
    "cuda-python",
    "openvino",
    "numba",
    "array-api-compat",
    "onnx",
    "torch",
)
# y = 2 relu(x)^2 as Relu, Add, Mul: opset 13, x and y f32[1, 4]
GRAPH = (
    "CAgSADpfCgwKAXgSAWEiBFJlbHUKDgoBYQoBYRIBYiIDQWRkCg4KAWIKAWESAXkiA011bBIFcHJvYmVaEwoBeBIOCgwIARIICgIIAQoCCARiEwoBeRIOCgwI"
    "ARIICgIIAQoCCARCBAoAEA0="
)


Probe = Callable[[], Iterator[Finding]]


def examine(implant: tuple[str, int] | None = None) -> list[Finding]:
    """Examine this machine and installation, in under five seconds; a probe that breaks becomes a finding itself.

    ``implant`` is a host and port to reach too.
    """
    installed = (_system, board, _packages, _runtimes, _engines, tensorrt)
    attached = (power, _zeromq, link, _opencv, _cameras, _keys, _rigs, _clock)
    probes: list[Probe] = [*installed, *attached]
    if implant is not None:
        probes.append(partial(reach, *implant))
    return [finding for probe in probes for finding in _guarded(probe)]


def _guarded(probe: Probe) -> list[Finding]:
    found = []
    try:
        # one by one: what was found before a probe broke is still true
        for finding in probe():
            found.append(finding)  # noqa: PERF402
    except Exception as error:
        name = getattr(probe, "__name__", "implant").strip("_")
        found.append(Finding(name, "warn", f"could not be examined: {type(error).__name__}: {error}"))
    return found


def _system() -> Iterator[Finding]:
    yield Finding("prosthesis", "ok", f"{__version__} in {Path(__file__).resolve().parents[1]}")
    yield Finding("python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield Finding("system", "ok", f"{platform.platform()}, {platform.machine()}")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _importable(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def _packages() -> Iterator[Finding]:
    missing = [package for name, package in NEEDED.items() if not _importable(name)]
    if missing:
        yield Finding("packages", "fail", f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    there = [p for p in NEEDED.values() if p not in missing]
    yield Finding(
        "packages", "ok", ", ".join(f"{package} {_version(package) or '(not from pip)'}" for package in there)
    )
    extras = ((package, _version(package)) for package in OPTIONAL)
    yield Finding("extras", "ok", ", ".join(f"{name} {got}" for name, got in extras if got) or "none installed")


def _runtimes() -> Iterator[Finding]:
    """Two distributions share the package ``onnxruntime``; pip notices neither the clash nor its result."""
    cpu, gpu = _version("onnxruntime"), _version("onnxruntime-gpu")
    if cpu and gpu:
        remedy = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'prosthesis[gpu]'"
        yield Finding(
            "onnxruntime", "fail", f"onnxruntime {cpu} and onnxruntime-gpu {gpu} overwrite each other", remedy
        )
    elif not _importable("onnxruntime"):
        yield Finding("onnxruntime", "fail", "not installed: no encoder can run", "pip install 'prosthesis[laptop]'")


def _engines() -> Iterator[Finding]:
    """Run a small graph on every provider that claims to be there, each in its own process.

    A provider without its driver falls back to the CPU without an error, and a broken TensorRT takes the process along.
    """
    if not _importable("onnxruntime"):
        return
    import onnxruntime

    # removing one of the two distributions leaves the other as an empty package
    if not hasattr(onnxruntime, "get_available_providers"):
        remedy = "pip install --force-reinstall onnxruntime"
        yield Finding("onnxruntime", "fail", "is an empty package: no encoder can run", remedy)
        return
    claimed = [name for name in onnxruntime.get_available_providers() if name != "AzureExecutionProvider"]
    deadline = time.monotonic() + LIMIT_S
    tries = [(name, _try_provider(name)) for name in claimed]
    for name, process in tries:
        yield _engine(name, process, max(0.1, deadline - time.monotonic()))


def _try_provider(name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", f"from prosthesis.board.doctor import try_engine; try_engine({name!r})"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _engine(name: str, process: subprocess.Popen[str], timeout_s: float) -> Finding:
    label = "engine " + name.removesuffix("ExecutionProvider").lower()
    try:
        real = process.communicate(timeout=timeout_s)[0].strip()
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Finding(label, "warn", f"did not run a small graph in {timeout_s:.0f} s", "try again on an idle machine")
    if real == name:
        return Finding(label, "ok", "ran a small graph and gave the right answer")
    level = "fail" if name == "CPUExecutionProvider" else "warn"
    if real:
        return Finding(label, level, f"compiled in, but {real} really ran", "install its driver and libraries")
    return Finding(label, level, f"cannot run a small graph (exit code {process.returncode})", "reinstall ONNX Runtime")


def try_engine(provider: str) -> None:
    """Write to stdout which provider really ran a small graph; an exception or nothing when none did rightly."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(base64.b64decode(GRAPH), options, providers=[provider])
    (y,) = session.run(None, {"x": np.array([[-1, 1, 2, 3]], np.float32)})
    if np.allclose(y, [[0, 2, 8, 18]], rtol=1e-2):
        sys.stdout.write(session.get_providers()[0])


def _zeromq() -> Iterator[Finding]:
    import zmq

    text = f"libzmq {zmq.zmq_version()}, pyzmq {zmq.__version__}"
    if zmq.has("curve"):
        yield Finding("zeromq", "ok", f"{text}, CURVE works")
    else:
        remedy = "pip install --only-binary :all: --force-reinstall pyzmq"
        yield Finding("zeromq", "fail", f"{text}, without CURVE: no link to an implant is possible", remedy)


def _opencv() -> Iterator[Finding]:
    import cv2

    built = dict(re.findall(r"(FFMPEG|GStreamer):\s+(YES|NO)", cv2.getBuildInformation()))
    ffmpeg, gstreamer = built.get("FFMPEG", "NO"), built.get("GStreamer", "NO")
    remedy = "" if ffmpeg == "YES" else "pip install opencv-python-headless"
    text = f"{cv2.__version__}, FFMPEG {ffmpeg}, GStreamer {gstreamer}"
    yield Finding("opencv", "ok" if ffmpeg == "YES" else "warn", text, remedy)
    tool = shutil.which("gst-launch-1.0")
    text = tool or "no gst-launch-1.0; only csi:// cameras need it"
    yield Finding("gstreamer", "ok", text)


def _cameras(devices: Path = Path("/dev")) -> Iterator[Finding]:
    found = sorted(devices.glob("video*"))
    closed = [path.name for path in found if not os.access(path, os.R_OK | os.W_OK)]
    if closed:
        remedy = "sudo usermod -aG video $USER, then log in again"
        yield Finding("cameras", "warn", f"not ours to read: {', '.join(closed)}", remedy)
    elif found:
        yield Finding("cameras", "ok", ", ".join(str(path) for path in found))
    else:
        yield Finding("cameras", "ok", "none here; clip:, synthetic:, file: and network sources work without one")


def _keys() -> Iterator[Finding]:
    from prosthesis.links.keys import ROLES, key_folder, load_keys

    folder = key_folder()
    secrets = [role for role in ROLES if (folder / f"{role}.key_secret").exists()]
    if not secrets:
        yield Finding("keys", "warn", f"none in {folder}", "prosthesis keys")
        return
    for role in secrets:
        try:
            load_keys(role, folder)
        except ProsthesisError as error:
            text, _, remedy = str(error).partition("; ")
            yield Finding("keys", "fail", text, remedy)
            return
    yield Finding("keys", "ok", f"{' and '.join(secrets)} in {folder}, readable by their owner only")


def _rigs() -> Iterator[Finding]:
    from prosthesis.config import config_root, load_rig, names

    good, root = [], config_root()
    for name in names("rigs"):
        try:
            load_rig(name)
            good.append(name)
        except ProsthesisError as error:
            yield Finding("rigs", "fail", str(error))
    if good:
        yield Finding("rigs", "ok", f"{', '.join(good)} in {root}")
    elif not names("rigs"):
        yield Finding("rigs", "fail", f"none in {root}", "reinstall prosthesis")


def _clock() -> Iterator[Finding]:
    resolution_ns = time.get_clock_info("monotonic").resolution * 1e9
    late_ms = []
    for _ in range(20):
        due = time.monotonic() + 0.001
        time.sleep(0.001)
        late_ms.append((time.monotonic() - due) * 1e3)
    worst = max(late_ms)
    text = f"monotonic to {resolution_ns:.0f} ns; wakes {sorted(late_ms)[10]:.2f} ms late, at worst {worst:.2f} ms"
    # a tenth of a 30 fps frame
    yield Finding("clock", "ok" if worst < 3.3 else "warn", text, "" if worst < 3.3 else "close what else is running")


def table(findings: list[Finding], colour: bool) -> str:
    """Return the findings as lines of text, remedies beneath; ``colour`` for terminals."""
    codes = {"ok": "32", "warn": "33", "fail": "31"}
    wide = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        level = f"\x1b[{codes[finding.level]}m{finding.level:4}\x1b[0m" if colour else f"{finding.level:4}"
        lines.append(f"{level}  {finding.name:{wide}}  {finding.text}")
        if finding.remedy:
            lines.append(f"{'':4}  {'':{wide}}  -> {finding.remedy}")
    return "\n".join(lines)
