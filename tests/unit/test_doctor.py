from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from prosthesis import cli, config
from prosthesis.board import doctor, hwreport, probes
from prosthesis.board.doctor import examine, table
from prosthesis.board.findings import Finding
from prosthesis.board.machine import jetpack_of
from prosthesis.bundles.compare import Row
from prosthesis.links.keys import make_keys

JETSON = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"


def process(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_everything_is_examined_in_bounded_time() -> None:
    started = time.monotonic()
    found = {finding.name for finding in examine()}
    assert time.monotonic() - started < 5
    assert {"prosthesis", "python", "system", "board", "packages", "extras", "zeromq", "opencv", "cameras"} <= found
    assert {"gstreamer", "keys", "rigs", "clock", "tensorrt", "link"} <= found


def test_missing_packages_are_findings_and_no_crash() -> None:
    code = (
        "import sys, json\n"
        "for name in 'numpy zmq pydantic yaml cv2 cryptography mcap onnxruntime'.split(): sys.modules[name] = None\n"
        "from prosthesis.board.doctor import examine\n"
        "print(json.dumps([(f.name, f.level, f.text, f.remedy) for f in examine()]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    found = {name: (level, text, remedy) for name, level, text, remedy in reversed(json.loads(done.stdout))}
    level, text, remedy = found["packages"]
    assert level == "fail"
    assert "opencv-python-headless" in text
    assert remedy.startswith("pip install numpy pyzmq")
    assert found["onnxruntime"][2] == "pip install 'prosthesis[laptop]'"
    assert all(found[name][0] != "ok" for name in ("zeromq", "opencv", "keys", "rigs"))
    assert found["clock"][0] != "fail"


def test_the_shipped_cpu_engine_really_runs() -> None:
    pytest.importorskip("onnxruntime")
    findings = {finding.name: finding.level for finding in doctor._engines()}
    assert findings["engine cpu"] == "ok"


def test_a_provider_that_falls_back_to_the_cpu_is_found_out() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("CUDA may really work here")
    name = "CUDAExecutionProvider"
    found = doctor._engine(name, doctor._try_provider(name), 20.0)
    assert (found.name, found.level) == ("engine cuda", "warn")
    assert "CPUExecutionProvider really ran" in found.text


def test_a_provider_that_takes_its_process_along_is_found_out() -> None:
    found = doctor._engine("TensorrtExecutionProvider", process("import os; os.abort()"), 20.0)
    assert (found.name, found.level) == ("engine tensorrt", "warn")
    assert "exit code -6" in found.text
    assert doctor._engine("CPUExecutionProvider", process("import os; os.abort()"), 20.0).level == "fail"


def test_a_provider_that_hangs_is_ended() -> None:
    hung = process("import time; time.sleep(60)")
    found = doctor._engine("CUDAExecutionProvider", hung, 0.1)
    assert found.level == "warn"
    assert hung.poll() is not None


def test_two_onnx_runtimes_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda package: "1.2")
    (found,) = doctor._runtimes()
    assert found.level == "fail"
    assert found.remedy.startswith("pip uninstall -y onnxruntime onnxruntime-gpu")


def test_one_onnx_runtime_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda package: "1.2" if package == "onnxruntime" else None)
    monkeypatch.setattr(doctor, "_importable", lambda package: True)
    assert list(doctor._runtimes()) == []


def test_an_emptied_onnx_runtime_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", type(sys)("onnxruntime"))
    monkeypatch.setattr(doctor, "_importable", lambda package: True)
    (found,) = doctor._engines()
    assert found.level == "fail"
    assert "force-reinstall" in found.remedy


def test_a_zeromq_without_curve_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zmq.has", lambda capability: False)
    (found,) = doctor._zeromq()
    assert found.level == "fail"


def test_a_probe_that_breaks_is_a_finding_after_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def _half() -> Iterator[Finding]:
        yield Finding("half", "ok", "fine")
        raise OSError("gone")

    assert [f.level for f in doctor._guarded(_half)] == ["ok", "warn"]
    assert doctor._guarded(_half)[1].text == "could not be examined: OSError: gone"


def jetson(root: Path, release: str = JETSON, compatible: bytes = b"nvidia,p3768-0000+p3767-0005-super\0") -> Path:
    """Write the files of an Orin Nano Super in its 25 W mode, as NVIDIA's tools read them."""
    (root / "proc" / "device-tree").mkdir(parents=True)
    model = b"NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0"
    (root / "proc" / "device-tree" / "model").write_bytes(model)
    (root / "proc" / "device-tree" / "compatible").write_bytes(compatible + b"nvidia,tegra234\0")
    (root / "etc").mkdir()
    (root / "etc" / "nv_tegra_release").write_text(release)
    modes = "< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=1 NAME=25W >\n< PM_CONFIG DEFAULT=1 >\n"
    (root / "etc" / "nvpmodel.conf").write_text(modes)
    (root / "var" / "lib" / "nvpmodel").mkdir(parents=True)
    (root / "var" / "lib" / "nvpmodel" / "status").write_text("pmode:0001\n")
    return root


def test_a_jetson_is_known_by_its_device_tree_and_release(tmp_path: Path) -> None:
    found = {finding.name: finding for finding in probes.board(jetson(tmp_path))}
    assert "Developer Kit Super, L4T 36.4.3, mode 25W, " in found["board"].text
    assert found["board file"].text.startswith("orin_nano_8gb_super: ")
    assert found["jetpack"].text == "6.2: Python 3.10, CUDA 12.6, TensorRT 10.3"
    assert {finding.level for finding in found.values()} == {"ok"}


@pytest.mark.parametrize(
    ("release", "level", "words"),
    [
        (JETSON.replace("R36 ", "R35 "), "fail", "5.1: Python 3.8.*too old"),
        (JETSON.replace("4.3", "3.0"), "warn", "L4T 36.3.0 is of no JetPack that we know"),
    ],
)
def test_a_jetpack_that_cannot_run_us_is_told(tmp_path: Path, release: str, level: str, words: str) -> None:
    found = {finding.name: finding for finding in probes.board(jetson(tmp_path, release))}
    assert found["jetpack"].level == level
    assert re.match(words, found["jetpack"].text)
    assert "6.2 or newer" in found["jetpack"].remedy


@pytest.mark.parametrize(
    ("l4t", "name"),
    [
        ("36.4.3", "6.2"),
        ("36.4.7", "6.2"),
        ("36.5", "6.2"),
        ("38.4", "7.1"),
        ("39.1", "7.2"),
        ("36.3", None),
        ("40", None),
    ],
)
def test_a_jetpack_is_known_by_its_jetson_linux(l4t: str, name: str | None) -> None:
    pack = jetpack_of(l4t)
    assert (pack and pack.name) == name


def test_an_unknown_jetson_is_told_and_asked_for(tmp_path: Path) -> None:
    found = {finding.name: finding for finding in probes.board(jetson(tmp_path, compatible=b"nvidia,p9999\0"))}
    (tmp_path / "proc" / "device-tree" / "model").write_bytes(b"NVIDIA Something New\0")
    found = {finding.name: finding for finding in probes.board(tmp_path)}
    assert found["board file"].level == "warn"
    assert "doctor --report" in found["board file"].remedy


def test_a_jetson_without_tensorrt_or_power_sensor_is_told(tmp_path: Path) -> None:
    root = jetson(tmp_path)
    (found,) = probes.power(root)
    assert found.level == "warn"
    if importlib.util.find_spec("tensorrt") is None:
        (found,) = probes.tensorrt(root)
        assert (found.level, "python3-libnvinfer" in found.remedy) == ("warn", True)


def test_the_link_is_timed_over_an_encrypted_loopback() -> None:
    (found,) = probes.link()
    assert re.fullmatch(r"encrypted loopback, [\d.]+ ms a message of 1 KiB", found.text)


def test_an_implant_that_answers_and_one_that_does_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (found,) = probes.reach("127.0.0.1", port)
        assert found.level == "ok"
    (found,) = probes.reach("127.0.0.1", port)
    assert (found.level, "refused" in found.text) == ("fail", True)


def test_a_report_names_no_person_key_or_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hwreport, "compare", lambda models, engines, runs, say: [Row(models[0], "onnx")])
    monkeypatch.setattr(hwreport, "_private", lambda: ["ada", "ada-laptop"])
    findings = [
        Finding("prosthesis", "ok", "0.1.0 in /home/ada/work/prosthesis"),
        Finding("keys", "ok", "device in ~/.config/prosthesis/keys, on ada-laptop"),
        Finding("implant", "fail", "192.168.7.9:5700: refused"),
        Finding("gstreamer", "ok", "/usr/bin/gst-launch-1.0"),
        Finding("clip", "ok", "file:///home/ada/film.mp4 on 10.3.0.26"),
    ]
    report = hwreport.make_report(findings, ("luminance-32",), root=jetson(tmp_path))
    hwreport.write_report(report, tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text()
    for private in ("ada", "/home", "192.168.7.9", ".config"):
        assert private not in text
    told = json.loads(text)
    assert told["machine"]["board"] == "orin_nano_8gb_super"
    assert told["machine"]["power_mode"] == "25W"
    assert told["findings"][0]["text"] == "0.1.0 in .../prosthesis"
    assert told["findings"][3]["text"] == "/usr/bin/gst-launch-1.0"
    assert told["findings"][4]["text"] == "file:.../film.mp4 on 10.3.0.26"
    assert told["measured"][0]["bundle"] == "luminance-32"


def test_any_other_machine_is_a_laptop(tmp_path: Path) -> None:
    (found,) = probes.board(tmp_path)
    assert found.text.startswith("laptop or workstation")


def test_cameras_are_listed_and_a_closed_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [f.level for f in doctor._cameras(tmp_path)] == ["ok"]
    (tmp_path / "video0").touch()
    (found,) = doctor._cameras(tmp_path)
    assert (found.level, found.text) == ("ok", str(tmp_path / "video0"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (found,) = doctor._cameras(tmp_path)
    assert (found.level, "video0" in found.text) == ("warn", True)


def test_keys_missing_made_and_open_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROSTHESIS_KEYS", str(tmp_path))
    (found,) = doctor._keys()
    assert (found.level, found.remedy) == ("warn", "prosthesis keys")
    make_keys(tmp_path)
    (found,) = doctor._keys()
    assert found.level == "ok"
    (tmp_path / "implant.key_secret").chmod(0o644)
    (found,) = doctor._keys()
    assert (found.level, "chmod 600" in found.remedy) == ("fail", True)


def test_a_rig_that_does_not_load_is_a_fault_and_none_at_all_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "config_root", lambda: tmp_path)
    (found,) = doctor._rigs()
    assert found.level == "fail"
    (tmp_path / "rigs").mkdir()
    (tmp_path / "rigs" / "bad.yaml").write_text("name: bad\n")
    (found,) = doctor._rigs()
    assert (found.level, "bad.yaml" in found.text) == ("fail", True)


FINDINGS = [Finding("a", "ok", "fine"), Finding("long", "fail", "broken", "mend it")]


def test_the_table_is_plain_without_a_terminal() -> None:
    assert table(FINDINGS, colour=False) == "ok    a     fine\nfail  long  broken\n            -> mend it"


def test_the_table_has_colours_on_a_terminal() -> None:
    assert "\x1b[32mok  \x1b[0m" in table(FINDINGS, colour=True)
    assert "\x1b[31mfail\x1b[0m" in table(FINDINGS, colour=True)


@pytest.mark.parametrize(("level", "code"), [("ok", 0), ("warn", 0), ("fail", 1)])
def test_only_a_fault_is_an_exit_code(
    level: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "entry_points", lambda group: [])
    monkeypatch.setattr(doctor, "examine", lambda implant: [Finding("a", level, "text", "remedy")])
    assert cli.main(["doctor", "--json"]) == code
    expected = [{"name": "a", "level": level, "text": "text", "remedy": "remedy"}]
    assert json.loads(capsys.readouterr().out) == expected
