"""What every engine promises, for every bundle shipped."""

import numpy as np
import pytest

from prosthesis.bundles.bundle import bundle_names, load_bundle
from prosthesis.engines import open_engine
from prosthesis.protocols import Engine


@pytest.fixture(params=bundle_names())
def graph_and_bundle(request):
    bundle = load_bundle(request.param)
    return bundle.manifest.graphs[0], bundle


@pytest.fixture(params=["onnx", "null"])
def case(request, graph_and_bundle):
    graph, bundle = graph_and_bundle
    random = np.random.default_rng(11)
    inputs = {tensor.name: random.integers(0, 256, tensor.shape).astype(tensor.dtype) for tensor in graph.inputs}
    return open_engine(bundle, request.param), graph, inputs


def test_is_an_engine_that_says_what_computes(case):
    engine, _, _ = case
    assert isinstance(engine, Engine)
    assert engine.provider in ("CPUExecutionProvider", "null")


def test_outputs_are_those_of_the_manifest(case):
    engine, graph, inputs = case
    outputs = engine.run(inputs)
    assert {name: (array.shape, array.dtype.name) for name, array in outputs.items()} == {
        tensor.name: (tensor.shape, tensor.dtype) for tensor in graph.outputs
    }


def test_equal_inputs_give_equal_outputs_and_stay_untouched(case):
    engine, _, inputs = case
    before = {name: array.copy() for name, array in inputs.items()}
    first = engine.run(inputs)
    kept = {name: array.copy() for name, array in first.items()}
    engine.run({name: np.zeros_like(array) for name, array in inputs.items()})
    second = engine.run(inputs)
    for name in kept:
        np.testing.assert_array_equal(first[name], kept[name])  # a later run must not write into an earlier result
        np.testing.assert_array_equal(second[name], kept[name])
    for name in before:
        np.testing.assert_array_equal(inputs[name], before[name])
