import json
import shutil
from pathlib import Path

import pytest

from prosthesis.bundles.bundle import MODELS, bundle_names, load_bundle
from prosthesis.errors import ConfigError


@pytest.fixture
def copy(tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(MODELS / "edges-32", folder)
    return folder


def edit(folder, **changes):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for key, value in changes.items():
        if key in manifest["graphs"][0]:
            manifest["graphs"][0][key] = value
        else:
            manifest[key] = value
    path.write_text(json.dumps(manifest))


def test_a_shipped_bundle_is_found_by_name_and_says_what_it_is():
    bundle = load_bundle("edges-32")
    assert bundle.manifest.name == "edges-32"
    assert bundle.manifest.map_shape == (32, 32)
    assert bundle.manifest.input_size == (128, 128)
    assert bundle.graph_path(bundle.manifest.graphs[0]).is_file()


def test_the_four_baselines_are_shipped_in_two_sizes():
    tasks = ("contrast", "edges", "luminance", "saliency")
    assert {f"{task}-{side}" for task in tasks for side in (32, 64)} <= set(bundle_names())


def test_a_bundle_is_found_by_the_path_of_its_folder(copy, monkeypatch):
    assert load_bundle(copy).manifest == load_bundle("edges-32").manifest
    assert load_bundle(str(copy)).folder == copy
    monkeypatch.chdir(copy.parent)
    assert load_bundle("./mine").folder == Path("mine")


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(ConfigError, match=r"no model named 'edge-32'; there are: .*edges-32"):
        load_bundle("edge-32")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere: no such bundle folder"):
        load_bundle(tmp_path / "nowhere")


def test_every_changed_byte_of_a_graph_is_refused(copy):
    graph = copy / "graph.onnx"
    data = graph.read_bytes()
    for place in (0, len(data) // 2, len(data) - 1):
        graph.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(ConfigError, match=r"graph\.onnx: sha256 is .* copy or build the bundle again"):
            load_bundle(copy)
    graph.write_bytes(data)
    load_bundle(copy)


def test_a_missing_graph_is_named(copy):
    (copy / "graph.onnx").unlink()
    with pytest.raises(ConfigError, match=r"graph\.onnx: cannot be read"):
        load_bundle(copy)


@pytest.mark.parametrize(
    "file", ["../mine/graph.onnx", "a/graph.onnx", "/etc/graph.onnx", "..\\graph.onnx", "..", "", "x.onnx\n"]
)
def test_a_graph_outside_the_folder_is_refused(copy, file):
    edit(copy, file=file)
    with pytest.raises(ConfigError, match=r"manifest\.json: key 'graphs\.0\.file'"):
        load_bundle(copy)


@pytest.mark.parametrize("processor", [{"name": "taskmap", "version": 2}, {"name": "ocr", "version": 1}])
def test_a_processor_this_device_lacks_is_refused(copy, processor):
    edit(copy, processor=processor)
    with pytest.raises(ConfigError, match=r"this device has taskmap 1, latent 1, .*not .* update prosthesis"):
        load_bundle(copy)


def test_a_bundle_of_a_later_version_says_what_to_do(copy):
    edit(copy, schema_version=1)
    with pytest.raises(ConfigError, match=r"key 'schema_version': .*reads manifests of schema 0; update prosthesis"):
        load_bundle(copy)


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 1},
        {"colour_order": "yuv"},
        {"kind": "task"},
        {"sha256": "00"},
        {"map_shape": None},
        {"kind": "latent"},
        {"graphs": []},
        {"surprise": 1},
    ],
)
def test_a_manifest_that_says_something_else_is_refused(copy, change):
    edit(copy, **change)
    with pytest.raises(ConfigError, match=r"manifest\.json: "):
        load_bundle(copy)


def test_a_delivery_that_says_something_else_is_refused(copy):
    edit(copy, delivery={"board": "x"})
    with pytest.raises(ConfigError, match=r"manifest\.json: key 'delivery\.precision' is missing"):
        load_bundle(copy)
