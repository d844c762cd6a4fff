from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from prosthesis.board.boards import BoardConfig, identify, load_board, load_jetpack
from prosthesis.config import find, names
from prosthesis.errors import ConfigError

ASKED_FOR = {
    "jetson_nano",
    "jetson_tx2",
    "xavier_nx",
    "orin_nano_4gb",
    "orin_nano_8gb",
    "orin_nano_8gb_super",
    "orin_nx_8gb",
    "orin_nx_8gb_super",
    "orin_nx_16gb",
    "orin_nx_16gb_super",
    "agx_orin_32gb",
    "agx_orin_64gb",
    "thor_t4000",
    "thor_t5000",
    "laptop_cpu",
    "desktop_gpu",
}


@pytest.fixture(params=names("boards"))
def board(request: pytest.FixtureRequest) -> BoardConfig:
    return load_board(request.param)


def changed(tmp_path: Path, changes: dict[str, object]) -> str:
    content = yaml.safe_load(find("boards", "orin_nano_8gb").read_text())
    for key, value in changes.items():
        if value is None:
            del content[key]
        else:
            content[key] = value
    path = tmp_path / "orin_nano_8gb.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(path)


def test_the_boards_that_were_asked_for_are_there() -> None:
    assert set(names("boards")) == ASKED_FOR


def test_units_clocks_and_operations_give_the_published_headline(board: BoardConfig) -> None:
    """INT8 sparse of Orin: multiprocessors x GHz x 8.192, and 32.768 an accelerator; FP4 of Thor: 65.536."""
    if board.published is None:
        assert board.name == "laptop_cpu"
        return
    assert board.headline_tops() == pytest.approx(board.published.value, rel=0.03)


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("agx_orin_64gb", 16 * 1.3 * 8.192 + 2 * 1.6 * 32.768),
        ("orin_nano_8gb_super", 8 * 1.02 * 8.192),
        ("orin_nx_16gb_super", 8 * 1.173 * 8.192 + 2 * 1.2032 * 32.768),
        ("jetson_nano", 0.9216 * 0.512),
        ("thor_t5000", 20 * 1.57 * 65.536),
    ],
)
def test_the_headline_is_the_sum_by_hand(name: str, by_hand: float) -> None:
    assert load_board(name).headline_tops() == pytest.approx(by_hand, rel=1e-9)


def test_a_mode_never_exceeds_its_board(board: BoardConfig) -> None:
    for mode in board.modes.values():
        assert mode.units <= board.processor.units
        assert mode.mhz <= board.processor.mhz
        assert 0 < board.bytes_per_s(mode) <= board.memory.gb_per_s * 1e9
        assert board.peak("fp32", mode) <= board.processor.units * board.processor.mhz * 1e6 * 256


def test_bandwidth_follows_the_memorys_clock() -> None:
    super_ = load_board("orin_nano_8gb_super")
    assert super_.bytes_per_s(super_.modes["MAXN_SUPER"]) == pytest.approx(102e9)
    # what the same module had before, at the same clock
    assert super_.bytes_per_s(super_.modes["15W"]) == pytest.approx(68e9, rel=0.01)


def test_every_board_ties_its_figures_to_sources_and_weak_ones_are_called_so(board: BoardConfig) -> None:
    for item in board.evidence:
        assert len(item.source) > 10
    if board.name.startswith("thor"):
        assert board.confidence("modes") == "low"
        assert board.confidence("clock") == "medium"


@pytest.mark.parametrize("name", names("jetpacks"))
def test_jetpacks_before_python_3_10_are_for_estimates_only(name: str) -> None:
    jetpack = load_jetpack(name)
    assert jetpack.name == name
    assert jetpack.runs_the_device == (name not in ("4.6", "5.1"))


def test_jetpacks_of_boards_are_shipped(board: BoardConfig) -> None:
    assert set(board.jetpacks) <= set(names("jetpacks"))
    assert bool(board.jetpacks) == (board.name not in ("laptop_cpu", "desktop_gpu"))


@pytest.mark.parametrize(
    ("model", "compatibles", "name"),
    [
        ("", ("nvidia,p3768-0000+p3767-0005-super", "nvidia,p3767-0005", "nvidia,tegra234"), "orin_nano_8gb_super"),
        ("", ("nvidia,p3768-0000+p3767-0005", "nvidia,p3767-0005", "nvidia,tegra234"), "orin_nano_8gb"),
        ("", ("vendor,carrier", "nvidia,p3767-0000", "nvidia,tegra234"), "orin_nx_16gb"),
        ("NVIDIA Jetson AGX Thor Developer Kit", (), "thor_t5000"),
        ("", ("nvidia,p4071-0000+p3834-0008", "nvidia,p3834-0008", "nvidia,tegra264"), "thor_t5000"),
        ("NVIDIA Jetson Nano Developer Kit", ("nvidia,jetson-nano", "nvidia,tegra210"), "jetson_nano"),
        ("Raspberry Pi 5", ("raspberrypi,5-model-b",), None),
    ],
)
def test_a_board_is_known_by_its_device_tree(model: str, compatibles: tuple[str, ...], name: str | None) -> None:
    assert identify(model, compatibles) == name


def test_no_two_boards_share_a_compatible_string() -> None:
    told = [entry for name in names("boards") for entry in load_board(name).identity.compatibles]
    assert len(told) == len(set(told))


def test_unknown_names_list_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"no board named 'orin'; there are: agx_orin_32gb, .*xavier_nx"):
        load_board("orin")
    board = load_board("orin_nano_8gb")
    with pytest.raises(ConfigError, match=r"'orin_nano_8gb' has no mode '30W'; there are: 15W, 7W"):
        board.mode("30W")
    tx2 = load_board("jetson_tx2")
    with pytest.raises(ConfigError, match=r"'jetson_tx2' does not run int8 \(pascal\); use fp32, fp16"):
        tx2.peak("int8", tx2.modes["MAXN"])
    with pytest.raises(ConfigError, match="there is no headline to check"):
        load_board("laptop_cpu").headline_tops()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dla": {"count": 1}}, "key 'dla.mhz' is missing"),
        ({"speed": 3}, "unknown key 'speed'"),
        ({"default_mode": "30W"}, "'default_mode' is '30W', but there are: 15W, 7W"),
        ({"idle_w": None}, "'evidence' must name each of these once"),
        ({"evidence": []}, "'evidence' must name each of these once"),
        ({"name": "other"}, "give it the file's name, 'orin_nano_8gb'"),
        (
            {"modes": {"15W": {"budget_w": 15, "units": 9, "mhz": 625, "memory_mhz": 2133}}},
            "'modes.15W.units': 9, but the processor has 8",
        ),
    ],
)
def test_a_wrong_file_names_key_and_remedy(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = changed(tmp_path, changes)
    with pytest.raises(ConfigError) as caught:
        load_board(path)
    assert message in str(caught.value)
    assert path in str(caught.value)


def test_a_board_of_ones_own_is_given_by_path(tmp_path: Path) -> None:
    assert load_board(changed(tmp_path, {})) == load_board("orin_nano_8gb")
