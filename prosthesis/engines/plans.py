"""TensorRT engines built on the board they run on, and kept until something they depend on changes.

An engine fits one TensorRT version and one GPU architecture and cannot be asked whether it does, so it is kept under a
key of all that went into it. The bytes of two builds differ: the key hashes the ONNX file, never the engine.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from prosthesis.errors import EngineError, MissingExtraError

OLDEST = 10  # strongly typed networks as we build them; JetPack 5 brings 8.5
WORKSPACE_SHARE = 0.25  # of the memory that is free, which on a Jetson the GPU shares with everything else
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PlanKey:
    """All that an engine depends on; ``profile`` are the fixed shapes, ``precision`` is what the graph was baked to."""

    onnx_sha256: str
    tensorrt: str
    architecture: str
    precision: str
    profile: str

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that differ when any part does."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


def load_tensorrt() -> ModuleType:
    """Return TensorRT 10 or 11; ``MissingExtraError`` when there is none, ``EngineError`` when it is too old."""
    try:
        trt = importlib.import_module("tensorrt")
    except ImportError as error:
        raise MissingExtraError(
            f"engine 'tensorrt' needs TensorRT ({' '.join(str(error).split())}); on a Jetson it comes with JetPack: "
            "sudo apt install python3-libnvinfer, and make the environment with "
            "python3 -m venv --system-site-packages; or use engine 'onnx'"
        ) from error
    version = str(trt.__version__)
    if int(version.split(".")[0]) < OLDEST:
        raise EngineError(
            f"TensorRT {version} is too old (JetPack 5 brings 8.5): engines are built strongly typed, by TensorRT "
            "10 or 11; install JetPack 6.2 or newer, or use engine 'onnx' with provider 'cpu'"
        )
    return trt


def cache_folder() -> Path:
    """Return where engines are kept: ``PROSTHESIS_ENGINES``, or the user's cache."""
    named = os.environ.get("PROSTHESIS_ENGINES")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "prosthesis" / "engines"


def kept(folder: Path, name: str, key: PlanKey, say: Say) -> bytes | None:
    """Return the engine kept for ``key``, whole and unchanged, else ``None`` after saying why it must be built."""
    plan, card = _paths(folder, name, key)
    try:
        noted = json.loads(card.read_text())
        data = plan.read_bytes()
    except (OSError, ValueError):
        say(f"{name}: {_why(folder, name, key)}")
        return None
    # a damaged engine can take the process along, so it never reaches TensorRT
    if noted.get("sha256") != hashlib.sha256(data).hexdigest():
        say(f"{name}: the engine kept in {plan} is damaged")
        return None
    return data


def keep(folder: Path, name: str, key: PlanKey, data: bytes, seconds: float) -> None:
    """Keep an engine under ``key``, and drop those of the same graph that this machine can no longer run."""
    folder.mkdir(parents=True, exist_ok=True)
    plan, card = _paths(folder, name, key)
    note = asdict(key) | {"sha256": hashlib.sha256(data).hexdigest(), "built_in_s": round(seconds, 1)}
    # the card last: an engine without one counts as missing
    for path, content in ((plan, data), (card, json.dumps(note, indent=2).encode())):
        part = path.with_suffix(path.suffix + ".part")
        part.write_bytes(content)
        part.replace(path)
    for old, other in _cards(folder, name):
        if (other.get("tensorrt"), other.get("architecture")) != (key.tensorrt, key.architecture):
            old.with_suffix(".plan").unlink(missing_ok=True)
            old.unlink()


def build(trt: ModuleType, path: Path, say: Say) -> bytes:
    """Build the engine of the graph in ``path``; minutes, with progress.

    Raises ``EngineError`` with TensorRT's own words when the graph is not legal or the build fails.
    """
    log = logger(trt)
    builder = trt.Builder(log)
    # TensorRT 10 asks for strong typing, 11 knows nothing else
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(path.read_bytes()):
        errors = [" ".join(str(parser.get_error(i)).split()) for i in range(parser.num_errors)]
        raise EngineError(
            f"{path}: TensorRT {trt.__version__} cannot take this graph: {'; '.join(errors) or 'no reason given'}; "
            "export it again, or use engine 'onnx'"
        )
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, int(_free_bytes() * WORKSPACE_SHARE))
    if hasattr(trt, "IProgressMonitor"):
        config.progress_monitor = _monitor(trt, path.name, say)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError(
            f"{path}: TensorRT {trt.__version__} could not build it: {log.last or 'no reason given'}; if memory ran "
            "out, close the desktop (sudo systemctl isolate multi-user.target) or add swap, and try again"
        )
    return bytes(plan)


def logger(trt: ModuleType) -> Any:
    """Return a logger that prints nothing and keeps the last error in ``last``."""

    class Log(trt.ILogger):  # type: ignore[misc, name-defined]
        """Keeps TensorRT's last error, which its calls do not return."""

        def __init__(self) -> None:
            super().__init__()
            self.last = ""

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.last = " ".join(message.split())

    return Log()


def _paths(folder: Path, name: str, key: PlanKey) -> tuple[Path, Path]:
    stem = f"{name}-{key.digest}"
    return folder / f"{stem}.plan", folder / f"{stem}.json"


def _cards(folder: Path, name: str) -> list[tuple[Path, dict[str, Any]]]:
    found = []
    for path in sorted(folder.glob(f"{name}-*.json")):
        try:
            found.append((path, json.loads(path.read_text())))
        except (OSError, ValueError):
            continue
    return found


def _why(folder: Path, name: str, key: PlanKey) -> str:
    words = {
        "tensorrt": "TensorRT",
        "architecture": "GPU architecture",
        "onnx_sha256": "graph",
        "precision": "precision",
        "profile": "shapes",
    }
    for _, other in _cards(folder, name):
        changed = [
            f"{word} {getattr(key, part)[:12]}, not {str(other.get(part))[:12]}"
            for part, word in words.items()
            if other.get(part) != getattr(key, part)
        ]
        if changed:
            return f"the engine kept is of another {'; '.join(changed)}"
    return "no engine yet"


def _free_bytes(info: Path = Path("/proc/meminfo")) -> float:
    for line in info.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return float(line.split()[1]) * 1024
    return 2.0**30


def _monitor(trt: ModuleType, name: str, say: Say) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        """Says every two seconds how far the outermost phase is."""

        def __init__(self) -> None:
            super().__init__()
            self._began = self._said = time.monotonic()
            self._steps: dict[str, int] = {}

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            if parent is None:
                self._steps[phase] = steps

        def step_complete(self, phase: str, step: int) -> bool:
            now = time.monotonic()
            if phase in self._steps and now - self._said > 2:
                self._said = now
                say(f"{name}: {phase}: {step + 1} of {self._steps[phase]}, {now - self._began:.0f} s")
            return True

        def phase_finish(self, phase: str) -> None:
            self._steps.pop(phase, None)

    return Monitor()
