"""Make the directory that is copied to a board: everything it needs but the system, and how to start it."""

from __future__ import annotations

import datetime
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from prosthesis import __version__
from prosthesis.assembly import with_choices
from prosthesis.board.boards import BoardConfig, JetpackConfig, load_board, load_jetpack
from prosthesis.brainmap import map_folder
from prosthesis.bundles.bundle import MANIFEST, load_bundle
from prosthesis.bundles.reference import FOLDER, clip_inputs, record
from prosthesis.config import Rig, RigConfig, find, load_rig
from prosthesis.errors import ConfigError, ProsthesisError
from prosthesis.yamlfile import load_model
from prosthesis_export.deploy import texts
from prosthesis_export.deploy.wheels import load_wheels

SUMS = "SHA256SUMS"
PARTS = "parts"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is delivered where: ``engine`` is the rig's on the board, ``address`` the implant's, ``mode`` of power."""

    rig: str
    board: str
    jetpack: str
    python: str
    engine: str
    mode: str
    address: str
    bundles: tuple[str, ...]
    prosthesis: str = __version__


def deploy(
    rig_name: str,
    board_name: str,
    bundle: str | None = None,
    task: str | None = None,
    out: Path | None = None,
    jetpack: str | None = None,
    mode: str | None = None,
    engine: str | None = None,
    link: tuple[str, int] | None = None,
    wheel: Path | None = None,
    say: Say = lambda text: None,
) -> Path:
    """Write the directory (a ``.tar.gz`` where ``out`` ends so) and return its path; errors are ``ProsthesisError``.

    ``bundle`` or ``task`` take the place of the rig's encoder, as in ``with_choices``. ``engine`` is ``tensorrt`` or
    ``onnx``; by default the first, but for a bundle that was delivered for ONNX Runtime's CPU provider.
    """
    if bundle and task:
        raise ConfigError(f"bundle '{bundle}' and task '{task}': give one of them")
    board = load_board(board_name)
    pack = _jetpack(board, jetpack)
    mode_name, _ = board.mode(mode)
    rig = with_choices(load_rig(rig_name), task=bundle or task)
    archive = out is not None and out.name.endswith(".tar.gz")
    folder = (out.with_name(out.name[: -len(".tar.gz")]) if archive and out else out) or Path(f"{board.name}-deploy")
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder}: is not empty; give another folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    say("building the wheel" if wheel is None else f"taking {wheel}")
    built = _wheel(wheel, folder)
    encoder, bundles = _bundles(rig.config.encoder.model_dump(mode="json"), folder, engine, say)
    _write_rig(rig, encoder, folder)
    host, port = link or (rig.link.host, rig.link.port)
    chosen = _engine_of(encoder)
    address = f"{host}:{port}"
    plan = Plan(rig.config.name, board.name, pack.name, pack.python, chosen, mode_name, address, tuple(bundles))
    _write_texts(plan, board, pack, built, folder)
    _check(folder, bundles)
    _sums(folder)
    return _pack(folder) if archive else folder


def _jetpack(board: BoardConfig, name: str | None) -> JetpackConfig:
    if not board.jetpacks:
        raise ConfigError(f"board '{board.name}' is no Jetson: install there with pip install 'prosthesis[laptop]'")
    if name is not None and name not in board.jetpacks:
        raise ConfigError(f"board '{board.name}' has no JetPack {name}; there are: {', '.join(board.jetpacks)}")
    packs = [load_jetpack(item) for item in ((name,) if name else board.jetpacks)]
    able = [pack for pack in packs if pack.runs_the_device]
    if not able:
        told = ", ".join(f"JetPack {pack.name} has Python {pack.python}" for pack in packs)
        raise ConfigError(f"board '{board.name}' can only be estimated: {told}, and the device needs 3.10")
    return able[0]


def _wheel(given: Path | None, folder: Path) -> Path:
    if given is not None:
        if not given.is_file() or not given.name.startswith("prosthesis-"):
            raise ConfigError(f"{given}: is no wheel of prosthesis; make one with 'make wheel'")
        return Path(shutil.copy(given, folder))
    source = Path(__file__).resolve().parents[3]
    if not (source / "pyproject.toml").is_file():
        raise ConfigError("prosthesis was not installed from a checkout; give its wheel with --wheel FILE")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProsthesisError(f"{source}: the wheel could not be built: {' '.join(done.stderr.split())[-300:]}")
    return next(folder.glob("prosthesis-*.whl"))


def _bundles(encoder: dict[str, Any], folder: Path, engine: str | None, say: Say) -> tuple[dict[str, Any], list[str]]:
    """Copy every bundle that the encoder names, layers too, record it, and return the encoder that names the copies."""
    names: list[str] = []
    changed = dict(encoder)
    for key, value in encoder.items():
        if isinstance(value, dict) and "type" in value:
            changed[key], more = _bundles(value, folder, engine, say)
            names += more
        elif key in ("glyphs", "code") and isinstance(value, str) and value.endswith(".npz"):
            changed[key] = f"./{PARTS}/{_part(Path(value), folder).name}"
    if "model" in encoder:
        changed["model"], name, cpu_only = _copy(str(encoder["model"]), folder, say)
        if encoder.get("engine") != "null":
            changed |= {"engine": engine or ("onnx" if cpu_only else "tensorrt"), "provider": "cpu"}
        names.append(name)
    return changed, list(dict.fromkeys(names))


def _copy(model: str, folder: Path, say: Say) -> tuple[str, str, bool]:
    bundle = load_bundle(model)
    name, delivery = bundle.manifest.name, bundle.manifest.delivery
    copy = folder / "bundles" / name
    if not copy.exists():
        copy.mkdir(parents=True)
        for file in (MANIFEST, *(graph.file for graph in bundle.manifest.graphs)):
            shutil.copy(bundle.folder / file, copy)
        if (bundle.folder / FOLDER).is_dir():
            shutil.copytree(bundle.folder / FOLDER, copy / FOLDER)
        else:
            say(f"recording {name}")
            mine = load_bundle(copy)
            record(mine, clip_inputs(mine))
    return f"./bundles/{name}", name, delivery is not None and delivery.recipe == "int8-cpu"


def _engine_of(encoder: dict[str, Any]) -> str:
    if "engine" in encoder:
        return str(encoder["engine"])
    return next((_engine_of(value) for value in encoder.values() if isinstance(value, dict)), "onnx")


def _part(path: Path, folder: Path) -> Path:
    (folder / PARTS).mkdir(exist_ok=True)
    return Path(shutil.copy(path, folder / PARTS))


def _write_rig(rig: Rig, encoder: dict[str, Any], folder: Path) -> None:
    """Write the rig with the copies' names in it; parts that are shipped in the wheel keep theirs."""
    data = rig.config.model_dump(mode="json") | {"encoder": encoder}
    parts = ((data, "stimulator"), (data["implant"], "array"), (data, "link"), (data, "calibration"))
    for owner, key in parts:
        if owner[key].endswith((".yaml", ".yml")):
            path = find(f"{key}s", owner[key], rig.path.parent)
            owner[key] = f"{PARTS}/{_part(path, folder).name}"
    translator = data["translator"]
    if "/" in translator.get("map", ""):
        source = map_folder(translator["map"], rig.path.parent)
        shutil.copytree(source, folder / PARTS / source.name)
        translator["map"] = f"{PARTS}/{source.name}"
    head = f"# {rig.config.name} as delivered; run it in this folder: prosthesis run ./rig.yaml\n"
    (folder / "rig.yaml").write_text(head + yaml.safe_dump(data, sort_keys=False, width=120))


def _write_texts(plan: Plan, board: BoardConfig, pack: JetpackConfig, wheel: Path, folder: Path) -> None:
    wheels = load_wheels(pack.python)
    (folder / "requirements.txt").write_text(texts.requirements(plan.python, wheels))
    (folder / "prosthesis.service").write_text(texts.service(plan.address, plan.engine, plan.bundles))
    for name, text in (
        ("install.sh", texts.install(plan.python, wheel.name, plan.engine, plan.bundles)),
        ("power-mode.sh", texts.POWER_MODE),
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "README.md").write_text(texts.notes(asdict(plan), board, pack))
    stamp = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    (folder / "deploy.json").write_text(json.dumps(asdict(plan) | {"made_on": stamp}, indent=2) + "\n")


def _check(folder: Path, bundles: list[str]) -> None:
    """Load what was written as the board will, so that a mistake shows here."""
    load_model(RigConfig, folder / "rig.yaml")
    for name in bundles:
        load_bundle(folder / "bundles" / name)


def _sums(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{_sha256(path)}  {path.relative_to(folder)}" for path in files]
    (folder / SUMS).write_text("\n".join(lines) + "\n")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _pack(folder: Path) -> Path:
    path = folder.with_name(folder.name + ".tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, folder.name)
    shutil.rmtree(folder)
    return path
