import hashlib

import numpy as np
import pytest
import yaml

from prosthesis import brainmap
from prosthesis.brainmap import CARD, MAP, MapCard, load_brain_map, map_folder, save_card
from prosthesis.errors import ConfigError

codemap = pytest.importorskip("prosthesis.codemap")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    class Loaded:
        d, n = 2, 3

    made = tmp_path / "mine"
    made.mkdir()
    (made / MAP).write_bytes(b"a map")
    monkeypatch.setattr(codemap, "load_codemap", lambda path: Loaded())
    save_card(card(), made)
    return made


def card(**changes):
    fields = {
        "name": "mine",
        "kind": "ols",
        "model": "some-encoder",
        "model_sha256": "0" * 64,
        "map_sha256": hashlib.sha256(b"a map").hexdigest(),
        "brain": "made up",
        "pictures": "none",
        "samples": 0,
        "built_by": "hand",
        "sites": (0, 2, 5),
        "spontaneous_hz": (1.0, 2.0, 3.0),
        "most_hz": (10.0, 20.0, 30.0),
    }
    return MapCard(**{**fields, **changes})


def test_a_card_survives_its_file_and_its_rows_stay_on_a_line(folder):
    found = load_brain_map(folder)
    assert found.card == card()
    assert "sites: [0, 2, 5]\n" in (folder / CARD).read_text()


def test_a_changed_map_is_refused(folder):
    (folder / MAP).write_bytes(b"another map")
    with pytest.raises(ConfigError, match=r"map\.npz: sha256 is not the card's"):
        load_brain_map(folder)
    (folder / MAP).unlink()
    with pytest.raises(ConfigError, match=r"map\.npz: cannot be read"):
        load_brain_map(folder)


def test_a_map_of_another_number_of_sites_is_refused(folder):
    save_card(card(sites=(0, 1), spontaneous_hz=(1, 1), most_hz=(2, 2)), folder)
    with pytest.raises(ConfigError, match="2 sites, but the map has 3; make it again"):
        load_brain_map(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sites": (0, 5, 2)}, "'sites' must rise"),
        ({"most_hz": (10.0, 2.0, 30.0)}, "'most_hz' must be above"),
        ({"spontaneous_hz": (1.0, 2.0)}, "'spontaneous_hz' has 2 rows, 'sites' has 3"),
        ({"most_hz": (10.0, float("nan"), 30.0)}, "finite"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(folder, changes, message):
    data = yaml.safe_load((folder / CARD).read_text()) | {k: list(v) for k, v in changes.items()}
    (folder / CARD).write_text(yaml.safe_dump(data))
    with pytest.raises(ConfigError, match=message):
        load_brain_map(folder)


def test_a_folder_is_found_by_name_by_path_and_beside_the_rig(folder, monkeypatch, tmp_path):
    assert map_folder("./mine", tmp_path) == folder
    assert map_folder(str(folder)) == folder
    with pytest.raises(ConfigError, match=r"no folder '\./theirs'; check the path"):
        map_folder("./theirs", tmp_path)
    monkeypatch.setattr(brainmap, "config_root", lambda: tmp_path)
    (tmp_path / "maps").mkdir()
    folder.rename(tmp_path / "maps" / "mine")
    assert map_folder("mine") == tmp_path / "maps" / "mine"
    with pytest.raises(ConfigError, match=r"no map named 'theirs'; there are: mine; make it with 'python -m"):
        map_folder("theirs")


def test_rates_go_to_the_file_to_a_ten_thousandth(folder):
    save_card(card(spontaneous_hz=(1.123456, 2.0, 3.0)), folder)
    assert np.allclose(load_brain_map(folder).card.spontaneous_hz, [1.1235, 2, 3])
