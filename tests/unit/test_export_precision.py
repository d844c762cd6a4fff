import math

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="delivery needs prosthesis[laptop]")
pytest.importorskip("torch", reason="delivery needs prosthesis[train]")

from onnx import TensorProto
from tiny_graphs import constants_of, content, convolutions, entry, inputs

from prosthesis_export.gates import check, cleaned
from prosthesis_export.legality import legality
from prosthesis_export.precision.graphs import layers, output_part, prepare
from prosthesis_export.precision.half import halved
from prosthesis_export.precision.int8 import calibrate, quantised
from prosthesis_export.precision.lower import lower
from prosthesis_export.precision.parity import parity, reference


@pytest.fixture(scope="module")
def ready():
    return prepare(convolutions())


@pytest.fixture(scope="module")
def ranges(ready):
    return calibrate(ready, inputs())


def test_the_layer_that_gives_the_output_is_known_and_what_is_before_it_is_not_of_it(ready):
    assert len(layers(ready)) == 3
    assert output_part(ready) == {layers(ready)[-1]}


def test_fp16_halves_all_but_the_output_layer(ready):
    found = constants_of(cleaned(halved(ready, output_part(ready))))
    kinds = {name: value.dtype for name, value in found.items() if value.ndim == 4}
    assert sorted(map(str, kinds.values())) == ["float16", "float16", "float32"]
    # whatever the converter leaves behind, the gates take what is delivered
    data = content(cleaned(halved(ready, output_part(ready))))
    check(data, entry(data), ours=True, tensorrt=True)


def test_int8_for_tensorrt_is_symmetric_by_channel_and_leaves_biases(ready, ranges):
    made = quantised(ready, ranges, "int8-tensorrt", output_part(ready))
    known = constants_of(made)
    nodes = [node for node in made.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert nodes
    for node in nodes:
        zero = known[node.input[2]]
        assert zero.dtype == np.int8
        assert not zero.any()
    weights = [node for node in nodes if node.input[0] in known]
    assert [known[node.input[1]].shape for node in weights] == [(6,), (6,)]  # a scale a channel
    assert all(value.dtype != np.int32 for value in known.values())


def test_int8_weights_are_the_old_ones_within_half_a_step(ready, ranges):
    old = {value.shape: value for value in constants_of(ready).values() if value.ndim == 4}
    made = quantised(ready, ranges, "int8-tensorrt", output_part(ready))
    known = constants_of(made)
    for node in made.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in known:
            step = known[node.input[1]][:, None, None, None]
            again = known[node.input[0]] * step
            assert np.all(np.abs(again - old[again.shape]) <= step * 0.5001)


def test_int8_for_the_cpu_is_unsigned_with_biases_in_int32(ready, ranges):
    known = constants_of(quantised(ready, ranges, "int8-cpu", output_part(ready)))
    kinds = {value.dtype for value in known.values()}
    assert np.dtype(np.uint8) in kinds
    assert np.dtype(np.int32) in kinds
    weights = [value for value in known.values() if value.dtype == np.int8 and value.ndim == 4]
    assert max(int(np.abs(value.astype(int)).max()) for value in weights) <= 64  # 7 bits


@pytest.mark.parametrize("recipe", ["fp16", "int8-cpu", "int8-tensorrt"])
def test_where_tolerance_is_wide_all_but_the_output_layer_is_lowered(recipe):
    graph = convolutions("scores")
    known = reference(content(graph), inputs(seed=1))
    made = lower(entry(content(graph), "scores"), graph, recipe, inputs(), known)
    assert (made.layers.lowered, made.layers.of) == (2, 3)
    assert all(row.holds and row.error > 0 for row in made.parity)


def test_where_tolerance_is_narrow_layers_are_put_back_until_it_holds():
    graph = convolutions("map")
    known = reference(content(graph), inputs(seed=1))
    made = lower(entry(content(graph)), graph, "int8-cpu", inputs(), known)
    assert made.layers.lowered < 2
    assert all(row.holds for row in made.parity)
    assert not all(row.holds for row in made.whole)
    loose = lower(entry(content(graph)), graph, "int8-cpu", inputs(), known, share=math.inf)
    assert loose.layers.lowered == 2
    assert loose.parity == loose.whole == made.whole


def test_parity_is_the_error_it_says():
    graph = convolutions("scores")
    known = reference(content(graph), inputs())
    changed = convolutions("scores")
    bias = changed.graph.initializer[-1]
    bias.raw_data = np.full(2, 0.25, np.float32).tobytes()
    (row,) = parity(entry(content(graph), "scores"), content(changed), known, "fp32")
    assert row.measure == "relative"
    assert row.largest == pytest.approx(0.25, rel=1e-4)
    assert row.error == pytest.approx(0.25 / known.outputs["scores"].std(), rel=1e-4)
    assert not row.holds


def test_tensorrt_takes_the_recipe_made_for_it_and_says_where_another_fails(ready, ranges):
    pytest.importorskip("tensorrt_rtx", reason="legality needs prosthesis[tensorrt-check]")
    good = quantised(ready, ranges, "int8-tensorrt", output_part(ready))
    assert legality(content(cleaned(good)), "a.onnx").legal
    bad = legality(content(cleaned(quantised(ready, ranges, "int8-cpu", output_part(ready)))), "b.onnx")
    assert bad.legal is False
    assert all(text.startswith("b.onnx: ") for text in bad.errors)
    assert "DequantizeLinear" in bad.errors[0]


def test_without_the_checker_nothing_is_claimed(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorrt_rtx", None)
    found = legality(content(convolutions()), "a.onnx")
    assert found.legal is None
    assert "pip install" in found.checker


def test_casts_at_the_ends_keep_what_the_device_feeds(ready):
    made = halved(ready, output_part(ready))
    ends = [item.type.tensor_type.elem_type for item in (*made.graph.input, *made.graph.output)]
    assert ends == [TensorProto.FLOAT, TensorProto.FLOAT]
