import json
import shutil

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="delivery needs prosthesis[laptop]")
pytest.importorskip("torch", reason="delivery needs prosthesis[train]")

from prosthesis.bundles.bundle import MODELS, load_bundle
from prosthesis.bundles.delivered import Parity, TaskScore
from prosthesis.errors import ConfigError, ProsthesisError
from prosthesis_export import export as module
from prosthesis_export.export import export
from prosthesis_export.frames import inputs_of
from prosthesis_export.gates import GateError
from prosthesis_export.sources import open_source
from prosthesis_export.told import text


@pytest.fixture
def scored(monkeypatch):
    """The task score is a minute's work; here it is what the test says."""
    told = {"after": 0.9}

    def score(before, after):
        return TaskScore(measure="made up", before=0.9, after=told["after"], trials=100)

    monkeypatch.setattr(module, "task_score", score)
    return told


def test_a_shipped_model_becomes_a_bundle_that_says_what_it_is(scored, tmp_path):
    made = export("edges-32", "laptop_cpu", "int8", tmp_path)
    bundle = made.bundle
    assert bundle.folder == tmp_path / "edges-32-laptop_cpu-int8"
    delivery = bundle.manifest.delivery
    assert (delivery.board, delivery.precision, delivery.recipe) == ("laptop_cpu", "int8", "int8-cpu")
    assert delivery.source_sha256 == tuple(g.sha256 for g in load_bundle("edges-32").manifest.graphs)
    assert delivery.calibration.sha256 == inputs_of(load_bundle("edges-32"), held_out=False).sha256
    assert [row.output for row in delivery.parity] == ["map"]
    assert delivery.parity[0].tolerance == pytest.approx(2 / 1023)
    assert delivery.legality.legal is None
    assert delivery.estimate.latency_ms[0] < delivery.estimate.latency_ms[1] < delivery.estimate.latency_ms[2]
    assert "edges-32-laptop_cpu-int8: int8 for laptop_cpu" in text(made)


def test_calibration_and_parity_share_no_input():
    kinds = [inputs_of(load_bundle("edges-32"), held_out=held).of["graph.onnx"] for held in (False, True)]
    pixels = [{one["frame"].tobytes() for one in some} for some in kinds]
    assert not pixels[0] & pixels[1]


def test_every_changed_byte_of_a_delivery_is_refused(scored, tmp_path):
    folder = export("luminance-32", "laptop_cpu", "fp32", tmp_path).bundle.folder
    graph = folder / "graph.onnx"
    data = graph.read_bytes()
    for place in range(0, len(data), 101):
        graph.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(ConfigError, match="the file was changed or damaged; copy or build the bundle again"):
            load_bundle(folder)
    graph.write_bytes(data[:-1])
    with pytest.raises(ConfigError, match="copy or build the bundle again"):
        load_bundle(folder)


def test_a_loss_of_the_task_is_refused_unless_allowed(scored, tmp_path):
    scored["after"] = 0.87
    with pytest.raises(ProsthesisError, match=r"from 90\.0% to 87\.0% \(made up\); at most .* --allow-mismatch"):
        export("luminance-32", "laptop_cpu", "fp32", tmp_path)
    assert not list(tmp_path.iterdir())
    made = export("luminance-32", "laptop_cpu", "fp32", tmp_path, allow_mismatch=True)
    assert made.bundle.manifest.delivery.task_score.change_points == pytest.approx(-3)


def test_more_layers_stay_float_until_the_task_score_holds(monkeypatch, tmp_path):
    scores = iter([0.8, 0.85, 0.87, 0.9])

    def score(before, after):
        return TaskScore(measure="made up", before=0.9, after=next(scores), trials=100)

    monkeypatch.setattr(module, "task_score", score)
    said = []
    delivery = export("contrast-64", "orin_nano_8gb_super", "fp16", tmp_path, say=said.append).bundle.manifest.delivery
    assert [line for line in said if "more layers" in line] == [
        f"  it falls from 90.0% to {after}.0%: more layers stay as they were" for after in (80, 85, 87)
    ]
    assert delivery.task_score.after == 0.9
    assert max(row.error / row.tolerance for row in delivery.parity) <= 0.125
    monkeypatch.setattr(module, "task_score", lambda *_: TaskScore(measure="", before=0.9, after=0.9, trials=100))
    easy = export("contrast-64", "orin_nano_8gb_super", "fp16", tmp_path).bundle.manifest.delivery
    assert sum(part.lowered for part in delivery.layers) < sum(part.lowered for part in easy.layers)


def test_errors_above_tolerance_are_refused(scored, tmp_path, monkeypatch):
    def off(graph, content, known, precision):
        row = {"file": graph.file, "output": "map", "measure": "largest", "largest": 0.5, "inputs": 3}
        return (Parity(**row, error=0.5, tolerance=0.1),)

    monkeypatch.setattr(module, "parity", off)
    with pytest.raises(ProsthesisError, match=r"graph\.onnx 'map' largest 0\.5 of 0\.1; .*--allow-mismatch"):
        export("luminance-32", "laptop_cpu", "fp32", tmp_path)


def test_a_precision_the_board_lacks_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="does not run fp16; use one of: fp32, int8"):
        export("luminance-32", "laptop_cpu", "fp16", tmp_path)


def test_a_folder_of_another_kind_is_not_overwritten(scored, tmp_path):
    mine = tmp_path / "luminance-32-laptop_cpu-fp32"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is there and is no bundle; give another --out"):
        export("luminance-32", "laptop_cpu", "fp32", tmp_path)
    assert (mine / "notes.txt").read_text() == "mine"


def test_a_corrupt_graph_whose_hash_fits_is_refused_by_the_gates(tmp_path, scored):
    import hashlib

    folder = tmp_path / "mine"
    shutil.copytree(MODELS / "luminance-32", folder)
    data = (folder / "graph.onnx").read_bytes()[:-100]
    (folder / "graph.onnx").write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["graphs"][0]["sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(GateError, match=r"graph\.onnx: .*build"):
        export(folder, "laptop_cpu", "fp32", tmp_path / "out")


def test_what_is_no_model_lists_what_there_is(tmp_path):
    with pytest.raises(ConfigError, match=r"no model 'edge'; give a shipped one \(.*edges-32"):
        open_source("edge", tmp_path)


def test_a_delivery_is_not_exported_again(scored, tmp_path):
    made = export("luminance-32", "laptop_cpu", "fp32", tmp_path)
    with pytest.raises(ConfigError, match="export what it was made of"):
        open_source(made.bundle.folder, tmp_path)


def test_a_run_goes_to_the_exporter_of_its_method(tmp_path):
    import torch

    run = tmp_path / "run"
    run.mkdir()
    torch.save({"step": 1, "observer": {}}, run / "checkpoint.pt")
    with pytest.raises(ConfigError, match="no exporter for this run; there are those of 'train encoder'"):
        open_source(run, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["edges-32", "objects", "faces", "reading", "bigbigan-scenes"])
def test_each_processor_is_scored_and_its_own_graphs_lose_nothing(name, tmp_path):
    made = export(name, "laptop_cpu", "fp32", tmp_path)
    delivery = made.bundle.manifest.delivery
    assert delivery.task_score.change_points == 0
    assert delivery.task_score.before > 0.1
    assert np.all([row.error == 0 for row in delivery.parity])
