"""The same inputs through every engine that is here."""

import json

import numpy as np
import pytest

from prosthesis import cli
from prosthesis.board.power import Drawn
from prosthesis.bundles import compare
from prosthesis.bundles.compare import Row, child, measure_here, table
from prosthesis.errors import ConfigError
from prosthesis.timing import Percentiles


@pytest.fixture(scope="module")
def rows():
    said = []
    found = compare.compare(["luminance-32"], ["onnx", "tensorrt", "torch"], 5, say=said.append)
    assert said[0] == "luminance-32 on onnx"
    return found


def test_what_is_here_is_measured_and_what_is_not_says_why(rows):
    here, *absent = rows
    assert here.provider == "CPUExecutionProvider"
    assert here.latency.count == 5
    assert 0 < here.latency.p50_ms < 1000
    assert 0 <= here.memory_mb < 500
    assert (here.energy_mj, here.largest) == (None, None)
    assert "torch" in {row.engine for row in absent}
    assert all(row.absent and row.latency is None for row in absent if row.engine == "torch")


def test_the_table_has_figures_above_and_reasons_beneath(rows):
    lines = table(rows).splitlines()
    assert lines[1].startswith("luminance-32  onnx")
    assert lines[-1].startswith("luminance-32 on torch: absent: bundles carry no PyTorch network")


def test_differences_are_from_the_first():
    first = {"0/0/map": np.array([0.0, 1.0]), "0/1/map": np.array([0.0, 1.0]), "1/0/x": np.array([2.0, 4.0])}
    other = first | {"0/1/map": np.array([0.0, 1.5])}
    # by hand: RMS of (0, 0, 0, 0.5) is 0.25, of the output about its mean 0.5
    assert compare._differences(other, first) == (0.5, pytest.approx(0.5))
    assert compare._differences({"0/0/map": first["0/0/map"]}, first) == (None, None)


def test_deliveries_of_other_models_are_not_compared():
    with pytest.raises(ConfigError, match="'luminance-64' takes other inputs than 'luminance-32'"):
        compare.compare(["luminance-32", "luminance-64"], ["onnx"])
    with pytest.raises(ConfigError, match="engine 'tpu': unknown to 'compare'; use onnx, openvino, cuda,"):
        compare.compare(["luminance-32"], ["tpu"])


def test_an_engines_error_is_one_line_of_json(capsys):
    child("/nowhere", "onnx", "cpu", 1, False, "a", "b")
    assert json.loads(capsys.readouterr().out) == {"absent": "/nowhere: no such bundle folder; check the path"}


def test_an_engine_that_dies_costs_one_row(monkeypatch):
    monkeypatch.setattr(compare.sys, "executable", "/bin/false")
    (row,) = compare.compare(["luminance-32"], ["onnx"], 1)
    assert row.absent == "the process died with exit code 1"


def test_energy_is_the_boards_mean_power_over_a_runs_time(monkeypatch, tmp_path):
    class Metered:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.drawn = Drawn(8.0, 2.0, 40, ("VDD_IN",), "ina3221")

    monkeypatch.setattr(compare, "Meter", Metered)
    given = tmp_path / "in.npz"
    np.savez(given, **{"0/0/frame": np.zeros((1, 128, 128, 3), np.uint8)})
    folder = str(compare.load_bundle("luminance-32").folder)
    told = measure_here(folder, "onnx", "cpu", 4, False, str(given), str(tmp_path / "out.npz"))
    assert (told["watts"], told["energy_mj"]) == (8.0, 4000.0)  # 8 W for 2 s are 16 J, a quarter each


def test_the_verb_prints_json(monkeypatch, capsys):
    rows = [Row("a", "onnx", latency=Percentiles(1, 1.0, 1.0, 1.0), score=0.875, exported="0.900 -> 0.880")]
    monkeypatch.setattr(compare, "compare", lambda *_: rows)
    assert cli.main(["compare", "a", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["score"] == 0.875
    assert cli.main(["compare", "a"]) == 0
    assert "   0.875  0.900 -> 0.880" in capsys.readouterr().out


def test_the_task_is_scored_on_the_engine_itself(monkeypatch):
    pytest.importorskip("torch", reason="the desk's score needs prosthesis[train,export]")
    (alone,) = compare.compare(["learned-letters-32"], ["onnx"], 1, scored=True)
    assert 0.3 < alone.score < 1.0


def test_a_score_without_the_desk_says_what_to_install(monkeypatch):
    monkeypatch.setattr(compare, "entry_points", lambda group: ())
    with pytest.raises(ConfigError, match=r"pip install 'prosthesis\[laptop,train,export\]', or leave out --score"):
        compare._score(compare.load_bundle("luminance-32"), [])
