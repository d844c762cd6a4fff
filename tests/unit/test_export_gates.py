import numpy as np
import pytest

pytest.importorskip("onnx", reason="delivery needs prosthesis[export]")
pytest.importorskip("torch", reason="delivery needs prosthesis[train]")

from onnx import TensorProto, helper, numpy_helper
from tiny_graphs import SIDE, content, convolutions, entry, model

from prosthesis.bundles.bundle import bundle_names, load_bundle
from prosthesis_export.gates import NOT_IN_TENSORRT, GateError, check, cleaned, read_graph


def refuse(graph, match, ours=True, tensorrt=True, shape=(1, 2, SIDE, SIDE)):
    data = content(graph)
    with pytest.raises(GateError, match=match):
        check(data, entry(data, shape=shape), ours, tensorrt)


@pytest.mark.parametrize("name", bundle_names())
def test_every_shipped_graph_passes(name):
    bundle = load_bundle(name)
    for graph in bundle.manifest.graphs:
        check(bundle.graph_path(graph).read_bytes(), graph, ours=not bundle.manifest.weights, tensorrt=True)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.97])
def test_a_file_that_was_broken_off_is_refused(share):
    whole = content(convolutions())
    data = whole[: int(len(whole) * share)]
    with pytest.raises(GateError, match=r"graph\.onnx: .*; (copy|build)"):
        check(data, entry(data), ours=True, tensorrt=True)


def test_what_is_not_onnx_is_refused():
    with pytest.raises(GateError, match=r"x\.onnx: broken off or not ONNX \(9 bytes\); copy or build"):
        read_graph(b"\xff" * 9, "x.onnx")


def test_an_operator_of_our_own_is_refused_with_its_node():
    node = helper.make_node("Stretch", ["frame"], ["map"], name="odd", domain="mine")
    refuse(model([node], shape=(1, 3, SIDE, SIDE), domains=("mine",)), r"node 0 \('odd'\) is mine\.Stretch")


def test_an_operator_that_onnx_does_not_know_is_refused():
    refuse(model([helper.make_node("Stretch", ["frame"], ["map"])]), r"onnx\.Stretch, which onnx .* does not know")


def test_what_tensorrt_cannot_run_is_refused_for_it_only():
    graph = model([helper.make_node("Det", ["frame"], ["map"])], shape=(1, 3))
    refuse(graph, r"onnx\.Det, which TensorRT cannot run; .*laptop_cpu", shape=(1, 3))
    data = content(graph)
    check(data, entry(data, shape=(1, 3)), ours=True, tensorrt=False)


def test_the_operators_refused_for_tensorrt_are_real_ones():
    import onnx

    assert all(onnx.defs.has(name) for name in NOT_IN_TENSORRT)


def test_our_graphs_have_our_opset():
    refuse(convolutions(opset=17), r"opset 17; ours are 18: .*export with opset_version=18")
    data = content(convolutions(opset=17))
    check(data, entry(data, opset=17), ours=False, tensorrt=True)


def test_what_the_newer_exporter_writes_at_opset_17_is_refused_with_its_cause():
    # torch 2.13 converts from 18 and leaves an attribute that came with 18
    split = helper.make_node("Split", ["frame"], ["a", "map"], axis=1, num_outputs=2)
    refuse(model([split], opset=17), r"num_outputs.*a later opset in an older graph.*export with opset 18", ours=False)


def test_weights_in_another_file_are_refused():
    graph = convolutions()
    graph.graph.initializer[0].data_location = TensorProto.EXTERNAL
    refuse(graph, r"'w0' lies in another file; export with external_data=False")


def test_a_free_batch_is_refused():
    refuse(convolutions(batch="n"), r"the manifest says .*\[1, 3, 8, 8\].* the graph has .*\[\?, 3, 8, 8\]")


def test_another_name_or_size_than_the_manifests_is_refused():
    refuse(convolutions(name="other"), r"the graph has .*other float32")


def test_nothing_says_where_a_graph_was_made_and_nodes_are_in_order():
    graph = convolutions()
    graph.producer_name, graph.doc_string = "pytorch", "/home/me/model.py"
    graph.graph.node[0].doc_string = "/home/me/model.py:3"
    graph.graph.node[1].metadata_props.add(key="pkg.torch.onnx.stack_trace", value="/home/me")
    nodes = list(graph.graph.node)[::-1]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    data = content(cleaned(graph))
    assert b"/home" not in data
    assert b"pytorch" not in data
    check(data, entry(data), ours=True, tensorrt=True)


def test_a_circle_of_nodes_is_refused_not_searched_for_ever():
    nodes = [helper.make_node("Add", ["frame", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    nodes.append(helper.make_node("Relu", ["b"], ["map"]))
    refuse(cleaned(model(nodes, [numpy_helper.from_array(np.zeros(1, "f4"), "c")])), "not valid ONNX")
