"""TensorRT's engine: on fakes that keep the real order of calls, its builder on TensorRT-RTX, all of it on a GPU."""

import gc
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from fake_tensorrt import FakeCuda, Status, fake_tensorrt

from prosthesis.bundles.bundle import MODELS, load_bundle
from prosthesis.engines import open_engine, plans
from prosthesis.engines.onnx import OnnxEngine
from prosthesis.engines.tensorrt import open_tensorrt
from prosthesis.errors import EngineError, MissingExtraError

BUNDLE = load_bundle("luminance-32")
GRAPH = BUNDLE.manifest.graphs[0]
PICTURE = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)


@pytest.fixture
def board(monkeypatch, tmp_path):
    """Return a function that makes this machine a board with a fake TensorRT and CUDA."""
    monkeypatch.setenv("PROSTHESIS_ENGINES", str(tmp_path / "engines"))

    def make(cuda=None, **kind):
        cuda = cuda or FakeCuda()
        trt = fake_tensorrt(cuda, **kind)
        monkeypatch.setitem(sys.modules, "tensorrt", trt)
        monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", cuda)
        return trt, cuda

    return make


def opened():
    said = []
    return open_tensorrt(BUNDLE, GRAPH, said.append), said


@pytest.mark.parametrize("version", ["10.3.0", "11.4.1.6"])
def test_each_frame_is_one_launch_and_its_outputs_are_its_own(board, version):
    _, cuda = board(version=version)
    engine, said = opened()
    assert engine.provider == f"TensorRT {version}, CUDA graph"
    assert any("building for TensorRT" in line and "sm_87" in line for line in said)
    del cuda.calls[:]
    first = engine.run({"frame": PICTURE})["map"]
    second = engine.run({"frame": PICTURE + 7})["map"]
    assert cuda.calls == ["launch", "wait"] * 2
    np.testing.assert_array_equal(first, PICTURE + np.float32(1))
    np.testing.assert_array_equal(second, PICTURE + np.float32(8))


def test_the_first_call_is_made_before_the_capture_and_everything_is_freed(board):
    _, cuda = board()
    engine, _ = opened()
    assert cuda.calls == ["stream", "wait", "begin", "end", "launch", "wait"]
    del engine
    gc.collect()
    assert cuda.calls[-2:] == ["free graph", "destroy stream"]
    assert not cuda.memory


def test_an_engine_that_cannot_be_captured_runs_call_by_call_and_says_so(board):
    _, cuda = board(capturable=False)
    engine, _ = opened()
    assert engine.provider == "TensorRT 10.3.0, call by call: cannot be captured as a CUDA graph"
    assert "forget" in cuda.calls
    np.testing.assert_array_equal(engine.run({"frame": PICTURE})["map"], PICTURE + np.float32(1))


def test_an_engine_is_built_once_and_kept(board):
    trt, _ = board()
    opened()
    engine, said = opened()
    assert trt.builds == 1
    assert said == []
    assert engine.run({"frame": PICTURE})["map"][0, 0, 0, 0] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": "10.13.0"}, "the engine kept is of another TensorRT 10.13.0, not 10.3.0"),
        ({"cuda": FakeCuda(architecture=(11, 0))}, "the engine kept is of another GPU architecture sm_110, not sm_87"),
    ],
)
def test_a_stale_engine_is_built_again_with_the_reason_and_the_old_one_goes(board, tmp_path, change, words):
    board()
    opened()
    trt, _ = board(**change)
    _, said = opened()
    assert any(words in line for line in said)
    assert trt.builds == 1
    assert len(list((tmp_path / "engines").glob("*.plan"))) == 1


def test_another_graph_or_precision_is_another_engine(board, tmp_path):
    board()
    opened()
    key = plans.PlanKey("0" * 64, "10.3.0", "sm_87", "fp16", "frame:1x2")
    folder, said = tmp_path / "engines", []
    assert plans.kept(folder, "luminance-32-graph", key, said.append) is None
    assert "graph 000000000000, not" in said[0]
    plans.keep(folder, "luminance-32-graph", key, b"other", 1.0)
    assert len(list(folder.glob("*.plan"))) == 2


def test_every_part_of_the_key_counts():
    key = plans.PlanKey("a", "10.3.0", "sm_87", "fp16", "x:1")
    digests = {key.digest}
    for part in key.__slots__:
        digests.add(plans.PlanKey(**{**{p: getattr(key, p) for p in key.__slots__}, part: "z"}).digest)
    assert len(digests) == 6


def test_a_damaged_engine_never_reaches_tensorrt(board, tmp_path):
    trt, _ = board()
    opened()
    (plan,) = (tmp_path / "engines").glob("*.plan")
    plan.write_bytes(b"damaged")
    _, said = opened()
    assert "damaged" in said[0]
    assert trt.builds == 2


def test_an_engine_that_this_machine_refuses_is_built_again(board, tmp_path):
    trt, _ = board()
    opened()
    (plan,) = (tmp_path / "engines").glob("*.plan")
    card = plan.with_suffix(".json")
    plan.write_bytes(b"another machine's")
    noted = json.loads(card.read_text())
    noted["sha256"] = __import__("hashlib").sha256(b"another machine's").hexdigest()
    card.write_text(json.dumps(noted))
    _, said = opened()
    assert "does not take the engine that was kept (version tag does not match)" in said[0]
    assert trt.builds == 2


def test_jetpack_5_is_refused_with_advice(board):
    board(version="8.5.2.2")
    with pytest.raises(EngineError, match=r"TensorRT 8\.5\.2\.2 is too old .*install JetPack 6\.2 or newer, or use"):
        opened()


def test_an_illegal_graph_is_refused_in_tensorrts_words(board):
    trt, _ = board()
    trt.refuses = "In node 3 (Det):\n UNSUPPORTED_NODE"
    with pytest.raises(
        EngineError, match=r"graph\.onnx: TensorRT 10\.3\.0 cannot take this graph: In node 3 \(Det\): UNSU"
    ):
        opened()


def test_a_build_without_memory_says_what_to_do(board):
    trt, _ = board()
    trt.fails = "OutOfMemory"
    with pytest.raises(EngineError, match=r"could not build it: OutOfMemory; if memory ran out, close the desktop"):
        opened()


def test_progress_is_said_every_two_seconds(board, monkeypatch):
    board()
    now = iter(range(0, 1000, 3))
    monkeypatch.setattr(plans.time, "monotonic", lambda: float(next(now)))
    _, said = opened()
    assert "graph.onnx: Building: 1 of 3, 3 s" in said


def test_without_tensorrt_or_cuda_python_the_remedy_is_given(board, monkeypatch):
    board()
    for name in ("cuda.bindings.runtime", "cuda.cudart"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'cuda-python==12\.\*' on JetPack 6"):
        opened()
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingExtraError, match=r"sudo apt install python3-libnvinfer.*--system-site-packages"):
        open_engine(BUNDLE, "tensorrt")


def test_without_a_driver_cudas_word_is_given(board):
    board(FakeCuda(driver=False))
    with pytest.raises(EngineError, match="cudaGetDevice failed with cudaErrorInsufficientDriver"):
        opened()


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, r"takes inputs \['frame'\], got \[\]"),
        ({"frame": PICTURE.astype(np.float32)}, "must be uint8 .*, got float32"),
        ({"frame": PICTURE[:, :1]}, r"got uint8 \[1, 1, 2, 3\]"),
    ],
)
def test_inputs_that_are_not_the_graphs_are_refused(board, inputs, words):
    board()
    engine, _ = opened()
    with pytest.raises(EngineError, match=words):
        engine.run(inputs)


def test_free_shapes_are_refused(board):
    board(inputs=(("frame", (-1, 3), np.uint8),))
    with pytest.raises(EngineError, match="shapes must be fixed"):
        opened()


def test_engines_are_kept_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("PROSTHESIS_ENGINES", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert plans.cache_folder() == tmp_path / "prosthesis" / "engines"


@pytest.mark.filterwarnings("ignore:Use del obj:DeprecationWarning")
@pytest.mark.parametrize("name", ["luminance-32", "learned-letters-32"])
def test_a_real_builder_takes_our_graphs_without_a_gpu(name, tmp_path):
    """TensorRT-RTX has TensorRT 11's parser and builder, and builds for GPUs that are not there."""
    rtx = pytest.importorskip("tensorrt_rtx")

    class Builder(rtx.Builder):
        def create_builder_config(self):
            config = super().create_builder_config()
            config.num_compute_capabilities = 1
            config.set_compute_capability(rtx.ComputeCapability.SM86, 0)
            return config

    trt = SimpleNamespace(**{part: getattr(rtx, part) for part in dir(rtx)})
    trt.Builder = Builder
    assert len(plans.build(trt, MODELS / name / "graph.onnx", [].append)) > 10_000
    (tmp_path / "broken.onnx").write_bytes(b"broken")
    with pytest.raises(EngineError, match="Failed to parse the ONNX model"):
        plans.build(trt, tmp_path / "broken.onnx", [].append)


def test_the_fakes_calls_are_those_of_the_real_bindings():
    """The number of arguments and of values, by NVIDIA's own binding, which needs no GPU to be asked."""
    cuda = pytest.importorskip("cuda.bindings.runtime")
    if cuda.cudaGetDevice()[0] == 0:
        pytest.skip("there is a GPU: the real test says more")
    for call, arguments in (
        ("cudaGetDevice", ()),
        ("cudaStreamCreate", ()),
        ("cudaMalloc", (8,)),
        ("cudaMallocHost", (8,)),
    ):
        status, *values = getattr(cuda, call)(*arguments)
        assert (int(status), len(values)) == (Status.cudaErrorInsufficientDriver, 1)
    for call in (name for name in dir(FakeCuda) if name.startswith("cuda")):
        assert hasattr(cuda, call)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["luminance-32", "learned-letters-32", "objects"])
def test_a_real_gpu_gives_what_the_cpu_gives(name, monkeypatch, tmp_path):
    pytest.importorskip("tensorrt")
    pytest.importorskip("cuda.bindings.runtime")
    monkeypatch.setenv("PROSTHESIS_ENGINES", str(tmp_path))
    bundle = load_bundle(name)
    graph = bundle.manifest.graphs[0]
    engine, cpu = open_tensorrt(bundle, graph), OnnxEngine(bundle.graph_path(graph))
    assert engine.provider.endswith("CUDA graph")
    for seed in range(3):
        picture = np.random.default_rng(seed).integers(0, 256, graph.inputs[0].shape, np.uint8)
        got, wanted = (e.run({graph.inputs[0].name: picture}) for e in (engine, cpu))
        for output in wanted:
            scale = np.abs(wanted[output]).max()
            np.testing.assert_allclose(got[output], wanted[output], atol=2e-3 * scale, err_msg=output)
