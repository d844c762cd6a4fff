"""Deliveries: what is in them, that what is in them loads, and that a changed byte is found."""

import json
import re
import shutil
import subprocess
import tarfile

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from prosthesis.bundles.bundle import load_bundle
from prosthesis.bundles.reference import load_reference
from prosthesis.bundles.verify import verify
from prosthesis.config import config_root, load_rig
from prosthesis.errors import ConfigError
from prosthesis_export.deploy import deploy as deploying
from prosthesis_export.deploy import texts, wheels
from prosthesis_export.deploy.deploy import deploy

BOARD = "orin_nano_8gb_super"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Record one frame a model, not eight."""
    monkeypatch.setattr(deploying, "clip_inputs", lambda bundle: one_frame(bundle, 1))


one_frame = deploying.clip_inputs


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "prosthesis-0.1.0-py3-none-any.whl"
    path.write_bytes(b"not looked into")
    return path


@pytest.fixture
def delivered(tmp_path, wheel):
    return deploy("utah96", BOARD, "edges-32", out=tmp_path / "out", wheel=wheel, link=("10.0.0.7", 5701))


def test_a_delivery_is_whole_and_loads_as_it_lies(delivered, monkeypatch):
    names = {str(path.relative_to(delivered)) for path in delivered.rglob("*") if path.is_file()}
    assert {
        "README.md", "SHA256SUMS", "deploy.json", "install.sh", "power-mode.sh", "prosthesis.service", "rig.yaml",
        "requirements.txt", "prosthesis-0.1.0-py3-none-any.whl", "bundles/edges-32/graph.onnx",
        "bundles/edges-32/manifest.json", "bundles/edges-32/reference/recording.npz",
    } <= names  # fmt: skip
    monkeypatch.chdir(delivered)
    rig = load_rig("./rig.yaml")
    assert (rig.config.encoder.model, rig.config.encoder.engine) == ("./bundles/edges-32", "tensorrt")
    assert verify("./bundles/edges-32").holds
    assert load_reference(load_bundle("./bundles/edges-32")).card.source == "clip:street"


def test_a_changed_or_missing_file_is_found(delivered):
    check = ["sha256sum", "--quiet", "--check", "SHA256SUMS"]
    subprocess.run(check, cwd=delivered, check=True)
    listed = {line.partition("  ")[2] for line in (delivered / "SHA256SUMS").read_text().splitlines()}
    assert listed == {str(p.relative_to(delivered)) for p in delivered.rglob("*") if p.is_file()} - {"SHA256SUMS"}
    (delivered / "rig.yaml").write_text("name: other")
    (delivered / "install.sh").unlink()
    done = subprocess.run(check, cwd=delivered, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "rig.yaml: FAILED" in done.stdout
    assert "install.sh: FAILED open or read" in done.stdout


def test_the_texts_name_this_board(delivered):
    readme, service = (delivered / "README.md").read_text(), (delivered / "prosthesis.service").read_text()
    for words in ("JetPack | 6.2 (L4T 36.4.3", "`25W`", "TensorRT 10.3", "10.0.0.7:5701", "not run on hardware yet"):
        assert words in readme
    assert "ExecStart=/opt/prosthesis/venv/bin/prosthesis run ./rig.yaml --headless --link 10.0.0.7:5701" in service
    assert "verify ./bundles/edges-32 --engine tensorrt" in service
    assert "python3.10 -m venv --system-site-packages" in (delivered / "install.sh").read_text()
    assert json.loads((delivered / "deploy.json").read_text())["mode"] == "25W"
    for script in ("install.sh", "power-mode.sh"):
        subprocess.run(["bash", "-n", script], cwd=delivered, check=True)
        assert (delivered / script).stat().st_mode & 0o111


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_service(delivered):
    unit = delivered / "prosthesis.service"
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    # the program is not installed here; nothing else may be wrong with the file
    complaints = [line for line in done.stderr.splitlines() if unit.name in line and "not executable" not in line]
    assert complaints == []


def test_a_power_mode_is_set_by_its_name(tmp_path):
    (tmp_path / "power-mode.sh").write_text(texts.POWER_MODE)
    (tmp_path / "nvpmodel").write_text('#!/bin/sh\necho "nvpmodel $@"\n')
    (tmp_path / "nvpmodel").chmod(0o755)
    (tmp_path / "conf").write_text("< POWER_MODEL ID=0 NAME=15W >\nX 1\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n")
    run = {"env": {"PATH": f"{tmp_path}:/usr/bin:/bin", "NVPMODEL_CONF": str(tmp_path / "conf")}, "text": True}
    script = ["bash", str(tmp_path / "power-mode.sh")]
    done = subprocess.run([*script, "MAXN_SUPER"], capture_output=True, check=True, **run)
    assert done.stdout == "nvpmodel -m 2\n"
    done = subprocess.run([*script, "25W"], capture_output=True, check=False, **run)
    assert (done.returncode, 'no mode named "25W"' in done.stderr, "MAXN_SUPER" in done.stderr) == (1, True, True)


def test_a_task_of_layers_brings_every_model(tmp_path, wheel, monkeypatch):
    monkeypatch.setattr(deploying, "record", lambda bundle, inputs: None)
    task = tmp_path / "both.yaml"
    layers = {"type": "layered", "task": {"type": "map", "model": "edges-32"}, "obstacle": {"type": "obstacle"}}
    task.write_text(yaml.safe_dump({"name": "both", "summary": "Two.", "encoder": layers}))
    folder = deploy("utah96", BOARD, task=str(task), out=tmp_path / "out", wheel=wheel, engine="onnx")
    monkeypatch.chdir(folder)
    encoder = load_rig("./rig.yaml").config.encoder
    assert (encoder.task.model, encoder.obstacle.model) == ("./bundles/edges-32", "./bundles/objects")
    assert (encoder.task.engine, encoder.obstacle.engine) == ("onnx", "onnx")


def test_a_labs_own_parts_go_along(tmp_path, wheel, monkeypatch):
    lab = tmp_path / "lab"
    lab.mkdir()
    for kind, name in (("rigs", "utah96"), ("calibrations", "utah96"), ("links", "loopback")):
        shutil.copy(config_root() / kind / f"{name}.yaml", lab / f"{kind}.yaml")
    rig = (lab / "rigs.yaml").read_text()
    rig = rig.replace("link: loopback", "link: links.yaml").replace(
        "calibration: utah96", "calibration: calibrations.yaml"
    )
    (lab / "rigs.yaml").write_text(rig)
    folder = deploy(str(lab / "rigs.yaml"), BOARD, out=tmp_path / "out", wheel=wheel)
    shutil.rmtree(lab)
    monkeypatch.chdir(folder)
    assert load_rig("./rig.yaml").config.link == "parts/links.yaml"


def test_an_archive_holds_the_same(tmp_path, wheel):
    path = deploy("utah96", "thor_t5000", out=tmp_path / "thor.tar.gz", wheel=wheel)
    with tarfile.open(path) as archive:
        assert "thor/rig.yaml" in archive.getnames()
        requirements = archive.extractfile("thor/requirements.txt").read().decode()
    assert requirements.startswith("# Python 3.12 on aarch64")
    assert not (tmp_path / "thor").exists()


@pytest.mark.parametrize(
    ("board", "choices", "words"),
    [
        ("jetson_nano", {}, "can only be estimated: JetPack 4.6 has Python 3.6, and the device needs 3.10"),
        ("orin_nano_8gb", {"jetpack": "5.1"}, "can only be estimated: JetPack 5.1 has Python 3.8"),
        (BOARD, {"jetpack": "9"}, "has no JetPack 9; there are: 6.2, 7.2"),
        ("laptop_cpu", {}, "is no Jetson: install there with pip install"),
        (BOARD, {"mode": "MAXN"}, "has no mode 'MAXN'; there are: 15W, 25W, MAXN_SUPER"),
        (BOARD, {"bundle": "edges-32", "task": "text"}, "give one of them"),
    ],
)  # fmt: skip
def test_what_cannot_be_delivered_says_why(tmp_path, wheel, board, choices, words):
    with pytest.raises(ConfigError, match=words):
        deploy("utah96", board, out=tmp_path / "out", wheel=wheel, **choices)


def test_a_folder_in_use_and_a_strange_wheel_are_refused(tmp_path, wheel):
    with pytest.raises(ConfigError, match="is not empty"):
        deploy("utah96", BOARD, out=wheel.parent, wheel=wheel)
    with pytest.raises(ConfigError, match="is no wheel of prosthesis"):
        deploy("utah96", BOARD, out=tmp_path / "new", wheel=tmp_path / "other.whl")


@pytest.mark.parametrize("python", wheels.PYTHONS)
def test_the_list_has_a_wheel_for_all_that_is_wanted(python):
    listed = {wheel.name: wheel for wheel in wheels.load_wheels(python)}
    for line in (*wheels.wanted(python), "onnxruntime>=1.17"):
        requirement = Requirement(line)
        wheel = listed[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(wheel.version), wheel
    glibc = wheels.GLIBC[python]
    for wheel in listed.values():
        assert re.fullmatch("[0-9a-f]{64}", wheel.sha256)
        tags = parse_wheel_filename(wheel.file)[3]
        assert any(fits(tag, python.replace(".", ""), glibc) for tag in tags), wheel.file


def fits(tag, python, glibc):
    """Whether a wheel's tag is one of a Jetson's, read independently of pip."""
    old_enough = re.fullmatch(r"manylinux_2_(\d+)_aarch64", tag.platform)
    runs = (
        tag.platform == "any" or tag.platform == "manylinux2014_aarch64" or (old_enough and int(old_enough[1]) <= glibc)
    )
    stable = tag.abi == "abi3" and int(tag.interpreter[3:] or 0) <= int(python[1:])
    return bool(runs) and (tag.interpreter in ("py3", "py2.py3") or tag.interpreter == f"cp{python}" or stable)


def test_python_310_does_not_have_the_newest_onnx_runtime():
    of = {p: next(w.version for w in wheels.load_wheels(p) if w.name == "onnxruntime") for p in wheels.PYTHONS}
    assert of["3.10"] == "1.23.2"
    assert tuple(map(int, of["3.12"].split("."))) > (1, 23, 2)


def test_requirements_that_pip_left_out_are_found():
    found = {"a": {"metadata": {"requires_dist": ['tomli; python_version < "3.11"', 'x; extra == "all"', "a"]}}}
    assert wheels._missing("3.10", found) == ["tomli"]
    assert wheels._missing("3.12", found) == []


def test_an_unknown_python_has_no_list():
    with pytest.raises(ConfigError, match=r"no list of wheels for Python 3\.8 on aarch64; there are: 3\.10"):
        wheels.load_wheels("3.8")


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("python", wheels.PYTHONS)
def test_the_lists_still_resolve(python):
    """Asks the package index; versions may have moved on, every wheel listed must be offered still."""
    names = {wheel.name for wheel in wheels.resolve(python)}
    assert {wheel.name for wheel in wheels.load_wheels(python)} <= names | {"onnxruntime"}
    pinned = [f"{wheel.name}=={wheel.version}" for wheel in wheels.load_wheels(python)]
    again = {item["metadata"]["name"] for item in wheels._pip(python, pinned)["install"]}
    assert len(again) == len(pinned)
