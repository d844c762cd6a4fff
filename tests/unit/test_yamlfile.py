from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from prosthesis.errors import ConfigError
from prosthesis.yamlfile import Strict, load_model, read_yaml


class Pulse(Strict):
    amplitude_ua: float
    widths_us: tuple[int, ...] = ()


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "pulse.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_right_file_becomes_a_frozen_model(tmp_path: Path) -> None:
    pulse = load_model(Pulse, write(tmp_path, "amplitude_ua: 12.5\nwidths_us: [100, 200]\n"))
    assert pulse == Pulse(amplitude_ua=12.5, widths_us=(100, 200))
    with pytest.raises(ValidationError, match="frozen"):
        pulse.amplitude_ua = 1.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("amplitude_ua: 1\nampltude: 2\n", ("unknown key 'ampltude'", "spelling")),
        ("widths_us: [1]\n", ("key 'amplitude_ua' is missing", "add it")),
        ("amplitude_ua: much\n", ("key 'amplitude_ua'", "valid number", "got 'much'")),
        ("amplitude_ua: 1\nwidths_us: [1, x]\n", ("key 'widths_us.1'", "got 'x'")),
        ("amplitude_ua: .nan\n", ("key 'amplitude_ua'", "finite")),
        ("amplitude_ua: .inf\n", ("key 'amplitude_ua'", "finite")),
        ("- 1\n", ("(the whole file)", "got [1]")),
        ("", ("(the whole file)", "got None")),
        ("amplitude_ua: [\n", ("not valid YAML",)),
        (b"\xff\xfe\x00", ("not valid YAML",)),
        ("!!python/object/apply:os.system [true]\n", ("not valid YAML",)),
    ],
)
def test_a_wrong_file_is_one_line_that_names_file_key_and_what_was_there(
    tmp_path: Path, text: str | bytes, words: tuple[str, ...]
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_model(Pulse, path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for word in words:
        assert word in message


def test_every_wrong_key_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'amplitude_ua'.*'extra'"):
        load_model(Pulse, write(tmp_path, "extra: 1\n"))


def test_a_long_wrong_value_is_cut(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_model(Pulse, write(tmp_path, f"amplitude_ua: {'x' * 1000}\n"))
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read \(No such file"):
        read_yaml(tmp_path / "none.yaml")
