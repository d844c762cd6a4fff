from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from prosthesis import __version__, cli, commands
from prosthesis.check import PROBLEM, check
from prosthesis.cli import main
from prosthesis.errors import EngineError, LinkError

HAND = Path(__file__).resolve().parent.parent / "rigs" / "hand2x2"
VERBS = ("run", "calibrate", "check", "doctor", "bench", "replay", "keys")


class Room:
    """An entry point of another room."""

    value = "another_room.commands:register"

    def __init__(self, load: Callable[[], Callable[[commands.Verbs], object]]) -> None:
        self.load = load


@pytest.fixture
def rooms(monkeypatch: pytest.MonkeyPatch) -> list[Room]:
    found: list[Room] = []
    monkeypatch.setattr(cli, "entry_points", lambda group: found if group == "prosthesis.commands" else [])
    return found


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    return Path(shutil.copytree(HAND, tmp_path / "lab"))


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return int(caught.value.code or 0)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_help_lists_the_devices_verbs(rooms: list[Room], capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--help") == 0
    text = capsys.readouterr().out
    assert all(f"    {verb}" in text for verb in VERBS)
    assert "not a medical device" in " ".join(text.split())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_helps_with_an_example_of_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(verb, "--help") == 0
    assert f"example: prosthesis {verb}" in " ".join(capsys.readouterr().out.split())


def test_no_verb_shows_the_help_and_is_wrong_usage(rooms: list[Room], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "verbs:" in capsys.readouterr().out


def test_version(rooms: list[Room], capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--version") == 0
    assert capsys.readouterr().out == f"prosthesis {__version__}\n"


def test_a_mistyped_verb_is_answered_with_the_nearest(rooms: list[Room], capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("calibarte", "utah96") == 2
    assert "no verb 'calibarte'; did you mean 'calibrate'?" in capsys.readouterr().err
    assert exit_code("xyzzy") == 2
    assert "there are: animate, bench, calibrate, check" in capsys.readouterr().err


def test_an_error_of_the_users_is_one_line_and_its_exit_code(
    rooms: list[Room], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "no-such-rig"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("prosthesis: no rig named 'no-such-rig'; there are: alpha1600")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"), [(EngineError("x"), 4), (LinkError("x"), 5), (KeyboardInterrupt(), 130)], ids=str
)
def test_each_kind_of_end_has_its_exit_code(
    rooms: list[Room], monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def fail(arguments: object) -> int:
        raise error

    monkeypatch.setattr(commands, "_doctor", fail)
    assert main(["doctor"]) == code


def test_a_reader_that_has_gone_is_met_without_a_word() -> None:
    command = [sys.executable, "-m", "prosthesis", "check", str(HAND / "rig.yaml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.close()
        assert process.wait(30) == 141
        assert process.stderr
        assert b"Broken" not in process.stderr.read()


def test_another_room_brings_its_verbs(rooms: list[Room], capsys: pytest.CaptureFixture[str]) -> None:
    def register(verbs: commands.Verbs) -> None:
        commands.add_verb(verbs, "wave", lambda arguments: 7, "wave", "prosthesis wave")

    rooms.append(Room(lambda: register))
    assert main(["wave"]) == 7


def test_a_room_that_cannot_be_imported_leaves_the_others_alone(
    rooms: list[Room], capsys: pytest.CaptureFixture[str]
) -> None:
    def load() -> Callable[[commands.Verbs], object]:
        raise ImportError("No module named 'another_room'")

    rooms.append(Room(load))
    assert exit_code("doctor", "--help") == 0
    assert "no verbs from 'another_room.commands:register'" in capsys.readouterr().err


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    heavy = "numpy cv2 pydantic zmq onnxruntime yaml cryptography torch numba"
    code = (
        "import sys; from prosthesis.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
        f"sys.exit(','.join(set('{heavy}'.split()) & set(sys.modules)) or 0)"
    )
    spent = []
    for _ in range(2):
        before = os.times()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
        after = os.times()
        assert done.returncode == 0, f"imported {done.stderr}"
        spent.append(after.children_user + after.children_system - before.children_user - before.children_system)
    # CPU time, which a busy machine does not change; 0.07 s when written
    assert min(spent) < 0.3


@pytest.mark.parametrize(("text", "electrodes"), [("3", (3,)), ("0-3,12", (0, 1, 2, 3, 12)), ("5, 4-5", (4, 5))])
def test_lists_of_electrodes(text: str, electrodes: tuple[int, ...]) -> None:
    assert commands._electrodes(text) == electrodes


@pytest.mark.parametrize(
    "arguments",
    [
        ("calibrate", "utah96", "--electrodes", "3-1"),
        ("calibrate", "utah96", "--electrodes", "a"),
        ("calibrate", "utah96", "--electrodes", ""),
        ("calibrate", "utah96", "--electrodes=-1"),
        ("run", "utah96", "--link", "nowhere"),
        ("run", "utah96", "--link", ":5700"),
        ("run", "utah96", "--link", "host:65536"),
        ("run", "utah96", "--seconds", "0"),
        ("run", "utah96", "--seconds", "nan"),
    ],
)
def test_wrong_arguments_are_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert exit_code(*arguments) == 2


def test_an_address_may_be_a_name_or_ipv6() -> None:
    assert commands.address("lab:5700") == ("lab", 5700)
    assert commands.address("::1:5700") == ("::1", 5700)


def test_keys_are_made_once(rooms: list[Room], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "--dir", str(tmp_path / "keys")]) == 0
    assert capsys.readouterr().out.count("wrote ") == 4
    assert (tmp_path / "keys" / "device.key_secret").stat().st_mode & 0o777 == 0o600
    assert main(["keys", "--dir", str(tmp_path / "keys")]) == 0
    assert "nothing was changed" in capsys.readouterr().out


def facts(lab: Path) -> str:
    return "\n".join(check(str(lab / "rig.yaml")))


def test_check_agrees_with_hand_arithmetic(lab: Path) -> None:
    text = facts(lab)
    assert "4 on 1 x square4 (10000 um2 none), 4 enabled" in text
    assert "x +3.00 to +5.00 deg, y -1.00 to +1.00 deg" in text
    assert "2 slots x 500 us = 1000 of 10000 us (100 Hz); at most 2 electrodes together" in text
    assert "max_ua 60 to 60 uA x 200 us = 12.00 to 12.00 nC" in text
    # 8 electrodes of 10 bits in one sealed packet: 32 + 10 + 16 + 4 bytes, 30 times a second
    assert "62 B a frame at most, 14.9 kbit/s at 30 fps" in text
    lines = {" ".join(line.split()[:-8]): line for line in text.splitlines() if "at max_ua" in line}
    assert "4 of 4 would be reported" in next(line for name, line in lines.items() if "advisory charge per" in name)
    # 40 nC / 200 us
    assert " 200.0 uA; 0 of 4 would be limited" in next(line for name, line in lines.items() if "hard charge p" in name)


def test_check_counts_the_electrodes_a_limit_would_meet(lab: Path) -> None:
    # 11 nC / 200 us = 55 uA: two of four ask for more, one of them is disabled
    replace(lab / "array.yaml", "value: 40", "value: 11")
    replace(lab / "calibration.yaml", "max_ua: [60, 60, 60, 60]", "max_ua: [55, 50, 56, 60]")
    replace(lab / "calibration.yaml", "enabled: [true, true, true, true]", "enabled: [true, true, true, false]")
    assert "  55.0 uA; 1 of 3 would be limited at max_ua" in facts(lab)


def test_check_compares_the_dose_with_what_is_advised(lab: Path) -> None:
    replace(
        lab / "array.yaml", "  advisory:\n", "  advisory:\n    average_charge_nc_per_s: {value: 100, source: made up}\n"
    )
    # 60 uA x 200 us x 100 Hz = 1200 nC/s
    assert "1200 nC/s at the largest max_ua without pause: 12 times the advisory 100 nC/s" in facts(lab)


def test_check_finds_a_radio_too_slow_for_the_frames(lab: Path) -> None:
    (lab / "link.yaml").write_text((lab / "link.yaml").read_text() + "radio: {rate_kbps: 14.9, delay_ms: 66}\n")
    text = facts(lab)
    # 62 B x 8 / 14.9 kbit/s
    assert "33.3 ms on the air + 66 ms delay" in text
    assert f"{PROBLEM}the radio" not in text
    assert f"{PROBLEM}a frame arrives" not in text
    replace(lab / "link.yaml", "14.9", "14.8")
    assert f"{PROBLEM}the radio cannot carry every dense frame; use at most 30 fps" in facts(lab)
    replace(lab / "link.yaml", "delay_ms: 66", "delay_ms: 67")
    assert f"{PROBLEM}a frame arrives after 101 ms but lives 100 ms" in facts(lab)


def test_check_finds_slots_too_full(lab: Path) -> None:
    assert "more groups" not in facts(lab)
    assert "guard scales" not in facts(lab)
    replace(lab / "stimulator.yaml", "simultaneous: {value: 2", "simultaneous: {value: 1")
    replace(lab / "stimulator.yaml", "slot_current_ua: {value: 150", "slot_current_ua: {value: 119")
    text = facts(lab)
    assert f"{PROBLEM}a full slot has 2 electrodes, at most 1 may be" in text
    assert "draws 120 uA; the guard scales it to 119 uA" in text


def test_check_survives_a_patient_without_electrodes(lab: Path) -> None:
    replace(lab / "calibration.yaml", "enabled: [true, true, true, true]", "enabled: [false, false, false, false]")
    assert f"{PROBLEM}no electrode is enabled" in facts(lab)


def test_a_problem_is_the_verbs_exit_code(rooms: list[Room], lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replace(lab / "rig.yaml", "model: luminance-32", "model: gone-99")
    assert main(["check", str(lab / "rig.yaml")]) == 1
    assert f"{PROBLEM}{lab / 'rig.yaml'}: key 'encoder.model': no model named 'gone-99'" in capsys.readouterr().out


@pytest.mark.parametrize("verb", [["sim", "utah96"], ["demo"], ["patient", "show", "utah96"]])
def test_without_the_worlds_packages_its_verbs_give_the_install_line(verb, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(verb) == 6
    assert capsys.readouterr().err.strip().endswith("run: pip install 'prosthesis[sim]'")


@pytest.mark.parametrize(
    ("package", "remedy"), [("torch.nn", "pip install 'prosthesis[train]'"), ("nobody", "pip install nobody")]
)
def test_a_verb_without_its_package_says_what_to_install(package, remedy, monkeypatch, capsys):
    def needs(arguments):
        raise ModuleNotFoundError(f"No module named '{package}'", name=package)

    monkeypatch.setattr("prosthesis.cli._run", needs)
    assert main(["score"]) == 6
    assert capsys.readouterr().err == f"prosthesis: this verb needs {package.partition('.')[0]}; {remedy}\n"


def test_a_missing_module_of_ours_is_no_extra(monkeypatch):
    def broken(arguments):
        raise ModuleNotFoundError("No module named 'prosthesis.gone'", name="prosthesis.gone")

    monkeypatch.setattr("prosthesis.cli._run", broken)
    with pytest.raises(ModuleNotFoundError):
        main(["score"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("record", "utah96", "LOG"), "is there already; choose another name"),
        (("replay", "LOG", "--json"), "are for reruns; add --check"),
        (("replay", "LOG", "--rig", "utah96"), "are for reruns; add --check"),
        (("run", "utah96", "--source", "replay:LOG", "--record", "LOG"), "is the recording that is replayed"),
    ],
)
def test_a_recording_is_neither_written_over_nor_misread(words, said, tmp_path, capsys):
    log = tmp_path / "old.mcap"
    log.write_bytes(b"dear")
    assert main([word.replace("LOG", str(log)) for word in words]) != 0
    assert said in capsys.readouterr().err
    assert log.read_bytes() == b"dear"


@pytest.mark.parametrize("port", ["0", "99999", "-1", "x"])
def test_a_port_that_is_none_is_refused(port, capsys):
    assert exit_code("metrics", "utah96", "--port", port) == 2
    assert "is not a port, 1 to 65535" in capsys.readouterr().err
