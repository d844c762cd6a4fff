"""Studies: their cells, keys, figures, folder and report; clusters are in tests/integration/test_study_cluster.py."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import HAND

from prosthesis import cli
from prosthesis.errors import ConfigError
from prosthesis.messages import Delivered, MachineCode, Percept
from prosthesis.view import Field, cell_centres_deg
from prosthesis.yamlfile import load_model
from prosthesis_train.study import carried
from prosthesis_train.study.cell import VOLATILE, key_of, row_of
from prosthesis_train.study.people import ANSWERS, patient
from prosthesis_train.study.plan import Cell, Study, cells, decode
from prosthesis_train.study.report import mean_of, write_report
from prosthesis_train.study.run import make_study, run_study
from prosthesis_train.study.store import Store
from prosthesis_train.study.table import write_table

STUDY = {
    "name": "small",
    "summary": "Four electrodes.",
    "measures": [{"type": "carried", "source": "synthetic:bar", "frames": 12}],
    "encoders": ["luminance-32", "edges-32"],
    "rigs": [HAND],
    "patients": [1, 2],
    "links": ["loopback", "radio_200kbps"],
}
LETTERS = {"type": "recognised", "task": "letters", "trials": 26}


def small(**changes) -> Study:
    return Study.model_validate(STUDY | changes)


def cell(**changes) -> Cell:
    first = cells(small())[0]
    return Cell(**(json.loads(first.encode()) | changes))


def stable(row):
    return {name: value for name, value in row.items() if name not in VOLATILE}


def test_a_study_has_every_combination_once_and_links_only_where_they_matter():
    study = small(measures=[*STUDY["measures"], LETTERS], dropout=[0.0, 0.2, None], seeds=[4, 5])
    found = cells(study)
    per_link = 2 * 1 * 2 * 3 * 2  # encoders, rigs, patients, dropout, seeds
    assert len(found) == len(set(found)) == per_link * 2 + per_link
    assert {(c.settings().type, c.link) for c in found} == {
        ("carried", "loopback"),
        ("carried", "radio_200kbps"),
        ("recognised", ""),
    }
    assert all(decode(c.encode()) == c for c in found)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"encoder": ["edges-32"]}, "unknown key 'encoder'"),
        ({"patients": []}, "patients"),
        ({"encoders": ["edges-32", "edges-32"]}, "'encoders' lists the same twice"),
        ({"dropout": [1.0]}, "dropout.0"),
        ({"measures": [{"type": "carried", "frame": 9}]}, "measures.0.carried.frame"),
        ({"name": "../else"}, "name"),
    ],
)
def test_a_wrong_study_is_one_line_that_names_the_key(tmp_path, changes, word):
    file = tmp_path / "study.yaml"
    file.write_text(json.dumps(STUDY | changes))
    with pytest.raises(ConfigError, match=word) as caught:
        load_model(Study, file)
    assert "\n" not in str(caught.value)


def test_a_key_is_of_parameters_and_of_what_the_files_say_but_not_of_the_studys_name(tmp_path):
    keys = {key_of(c) for c in cells(small(seeds=[0, 1], dropout=[None, 0.5]))}
    assert len(keys) == 2 * 2 * 2 * 2 * 2
    assert {key_of(c) for c in cells(small(name="other", summary="x"))} < keys
    lab = Path(shutil.copytree(Path(HAND).parent, tmp_path / "lab"))
    one = cell(rig=str(lab / "rig.yaml"))
    before = key_of(one)
    world = lab / "world.yaml"
    world.write_text(world.read_text().replace("summary:", "summary: other,", 1))
    from prosthesis_train.study import cell as module

    module._named.cache_clear()
    assert key_of(one) != before


def test_a_missing_file_is_said_before_anything_is_measured(tmp_path):
    with pytest.raises(ConfigError, match="no link named 'none'"):
        run_study(small(links=["none"]), tmp_path)
    assert not list((tmp_path / "cells").iterdir())


def test_a_perfect_link_delivers_all_and_a_lossy_one_less_by_its_weather():
    perfect = row_of(cell().encode(), key_of(cell()))
    assert perfect["error"] is None
    assert (perfect["delivered"], perfect["shown"], perfect["refused"], perfect["age_ms"]) == (1.0, 1.0, 0.0, 0.0)
    assert row_of(cell().encode(), key_of(cell())) | {"cpu_s": 0} == perfect | {"cpu_s": 0}, "a pure function"
    lossy = [cell(link="radio_200kbps", seed=seed, measure=measure(80)) for seed in range(4)]
    rows = [row_of(c.encode(), key_of(c)) for c in lossy]
    shares = [row["delivered"] for row in rows]
    assert len(set(shares)) > 1, "each seed has its own weather"
    assert 0.9 < np.mean(shares) < 1.0, "about one in a hundred is lost, in bursts"
    assert all(row["age_ms"] > 1.0 for row in rows), "the radio's own delay and more"


def measure(frames: int) -> str:
    return json.dumps({"type": "carried", "source": "synthetic:bar", "frames": frames})


def test_more_than_a_link_can_carry_is_skipped_and_never_queued(tmp_path):
    link = tmp_path / "slow.yaml"
    radio = "{rate_kbps: 8}"
    link.write_text(f"name: slow\nsummary: s\nhost: h\nport: 5700\nttl_ms: 150\ntile_electrodes: 64\nradio: {radio}\n")
    c = cell(link=str(link), measure=measure(90))
    row = row_of(c.encode(), key_of(c))
    assert row["error"] is None
    # a byte a ms: 52 of a pattern of silence, 8 more with four pairs of 6 bits of place and 10 of current; 33.3 a frame
    assert 1 - 33.4 / 52 < row["skipped"] < 1 - 33.3 / 60
    assert row["shown"] == pytest.approx(1 - row["skipped"], abs=0.03)
    assert 52 < row["age_ms"] < 60 + 34


def test_a_failure_is_a_row_and_so_is_a_machine_with_other_code():
    broken = cell(measure=json.dumps({"type": "carried", "source": "0", "frames": 5}))
    row = row_of(broken.encode(), key_of(broken))
    assert row["error"].startswith("ConfigError: source '0': a study needs one of clip:")
    assert (row["encoder"], row["patient"], "percept_r" in row) == ("luminance-32", 1, False)
    assert "other code" in row_of(cell().encode(), "0" * 24)["error"]


def test_percepts_are_compared_where_the_map_has_its_cells():
    # a picture whose value is its own place in degrees: what is read at a cell must be the cell's place
    w, h, centre, extent = 60, 40, (3.0, -1.0), (12.0, 8.0)
    x = centre[0] + ((np.arange(w) + 0.5) / w - 0.5) * extent[0]
    y = centre[1] - ((np.arange(h) + 0.5) / h - 0.5) * extent[1]
    over, shape = Field(0.0, 6.0, -3.0, 1.0), (8, 10)
    code = MachineCode(1, 1, np.zeros(80, np.float32), "map", shape)
    for axis, places in zip(np.meshgrid(x, y), cell_centres_deg(over, shape), strict=True):
        percept = Percept(1, 1, axis.astype(np.float32), centre, extent, 0, 0)
        np.testing.assert_allclose(carried.sampled(percept, code, over), places.ravel(), atol=1e-2)


def test_charge_is_amplitude_times_width_times_pulses():
    two = np.array([20.0, 5.0], np.float32), np.array([200.0, 100.0], np.float32), np.array([3, 10], np.int32)
    delivered = Delivered(1, 1, 0, 10, *two, np.zeros(2, np.uint8))
    assert carried._charge_nc(delivered) == pytest.approx(20 * 0.2 * 3 + 5 * 0.1 * 10)


def test_a_patient_is_the_same_person_as_the_observers_see():
    percepts = pytest.importorskip("prosthesis_train.observers.percepts")
    assert percepts.ANSWERS == ANSWERS
    rig, world = patient("utah96", 2, 0.3)
    theirs = percepts.virtual_patient("utah96", 2, 0.3)
    assert rig.calibration.column("threshold_ua").tolist() == theirs.calibration.column("threshold_ua").tolist()
    assert world.scatter.dropout == 0.3


def test_what_is_measured_is_never_measured_again_and_what_failed_is(tmp_path, monkeypatch):
    study = small(encoders=["luminance-32"], links=["loopback"])
    from prosthesis_train.study import workers

    calls = []

    def fails_once(text, key):
        calls.append(key)
        row = row_of(text, key)
        return row | {"error": "OSError: power cut"} if len(calls) == 1 else row

    monkeypatch.setattr(workers, "row_of", fails_once)
    first = run_study(study, tmp_path)
    assert (first.measured, first.failed, len(first.rows)) == (2, 1, 2)
    again = run_study(study, tmp_path)
    assert (again.measured, again.failed) == (1, 0)
    assert calls[2] == calls[0]
    done = run_study(study, tmp_path)
    assert (done.measured, done.rows) == (0, again.rows)


def test_an_interrupted_study_keeps_every_row_it_has(tmp_path, monkeypatch):
    from prosthesis_train.study import workers

    def stops(text, key):
        if list((tmp_path / "cells").iterdir()):
            raise KeyboardInterrupt
        return row_of(text, key)

    monkeypatch.setattr(workers, "row_of", stops)
    study = small(links=["loopback"])
    with pytest.raises(KeyboardInterrupt):
        run_study(study, tmp_path)
    assert len(list((tmp_path / "cells").iterdir())) == 1
    monkeypatch.setattr(workers, "row_of", row_of)
    assert run_study(study, tmp_path).measured == 3


def test_a_torn_file_counts_as_not_measured(tmp_path):
    store = Store(tmp_path)
    store.keep({"key": "a", "error": None})
    assert store.row("a") == {"key": "a", "error": None}
    (tmp_path / "cells" / "b.json").write_text('{"key": "b", "er')
    assert store.row("b") is None
    assert store.row("c") is None


def test_means_are_over_patients_and_failed_rows_are_left_out():
    rows = [{"patient": p, "f": v} for p, v in ((1, 0.0), (1, 1.0), (2, 0.1), (2, 0.3), (3, 0.5))]
    mean = mean_of([*rows, {"patient": 4, "error": "x"}, {"patient": 5, "f": None}], "f")
    assert mean.value == pytest.approx((0.5 + 0.2 + 0.5) / 3)
    assert 0.2 <= mean.low < mean.value < mean.high <= 0.5
    assert mean.patients == 3
    assert np.isnan(mean_of(rows[:2], "f").low)
    assert np.isnan(mean_of([], "f").value)


def test_the_table_and_the_page_hold_every_row(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    study = small(patients=[1], encoders=["luminance-32"])
    done = make_study(study, tmp_path)
    table = parquet.read_table(tmp_path / "table.parquet").to_pylist()
    assert table == done.rows
    page = (tmp_path / "summary.md").read_text()
    assert "2 cells, 0 failed" in page
    assert f"| {done.rows[0]['percept_r']:.3g} | 1 |" in page
    assert (tmp_path / "carried-synthetic-bar.png").stat().st_size > 5000
    failed = [row | {"error": "OSError: gone", "percept_r": None} for row in done.rows]
    page = write_report(study, failed, tmp_path).read_text()
    assert "2 failed" in page
    assert "OSError: gone" in page
    half = [{"key": "a", "error": "x"}, {"key": "b", "error": None, "delivered": 0.5, "patient": 3}]
    write_table(half, tmp_path / "half.parquet")
    types = {f.name: str(f.type) for f in parquet.read_schema(tmp_path / "half.parquet")}
    assert types == {"key": "string", "error": "string", "delivered": "double", "patient": "int64"}


def test_the_shipped_example_is_a_study():
    study = load_model(Study, Path(__file__).parents[2] / "examples" / "study_encoders.yaml")
    assert len(cells(study)) == 48


def test_the_page_of_a_study_has_its_means_plots_and_failures_and_asks_nothing_of_the_network(tmp_path, capsys):
    rows = [
        {
            "measure": "carried",
            "of": "bar",
            "rig": "utah96",
            "encoder": encoder,
            "link": "loopback",
            "dropout": dropout,
            "patient": patient,
            "percept_r": 0.5 + 0.1 * patient,
            "delivered": 1.0,
            "age_ms": 3.0,
            "charge_uc_per_s": 2.0,
            "error": None,
            "prosthesis": "1",
            "code": "abc",
        }
        for encoder in ("edges-32", "<b>")
        for dropout in (0.0, 0.2)
        for patient in (1, 2)
    ]
    rows.append({**rows[0], "percept_r": None, "error": "the cell <died>"})
    write_table(rows, tmp_path / "table.parquet")
    (tmp_path / "summary.md").write_text("# Study: small\n\nFour electrodes.\n")
    assert cli.main(["report", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "<title>Study: small</title>" in page
    assert "Four electrodes. 9 cells, 1 failed." in page
    assert "0.65 (0.6 to 0.7)" in page
    assert "the cell &lt;died&gt;" in page
    assert "&lt;b&gt;" in page
    assert page.count("data:image/png;base64,") == 1
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    assert cli.main(["report", str(tmp_path / "table.parquet"), "--out", str(tmp_path / "else")]) == 0
    assert (tmp_path / "else" / "report.html").exists()
    (tmp_path / "table.parquet").write_bytes(b"no table")
    assert cli.main(["report", str(tmp_path)]) == 1
    assert "no table of a study" in capsys.readouterr().err
