import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from prosthesis.bundles.bundle import MODELS, load_bundle
from prosthesis.engines import open_engine
from prosthesis.engines.null import NullEngine
from prosthesis.engines.onnx import OnnxEngine
from prosthesis.errors import EngineError, MissingExtraError

GRAPH = MODELS / "luminance-32" / "graph.onnx"
NEEDS_CUBLAS = (
    "Failed to load library libonnxruntime_providers_cuda.so: libcublasLt.so.13: cannot open shared object file"
)


def frame(value=128, side=128):
    return np.full((1, side, side, 3), value, np.uint8)


class FakeOptions:
    def __init__(self):
        self.entries = {}

    def add_session_config_entry(self, key, value):
        self.entries[key] = value


class FakeSession:
    """ONNX Runtime as it behaves without a driver: a word on file descriptor 2, then another provider."""

    def __init__(self, used, words=""):
        self.used, self.words, self.fallback = used, words, True

    def __call__(self, path, options, providers, **_):
        self.options, self.asked = options, providers
        os.write(2, self.words.encode())
        return self

    def disable_fallback(self):
        self.fallback = False

    def get_providers(self):
        return [self.used, "CPUExecutionProvider"]

    def get_inputs(self):
        return [SimpleNamespace(name="frame", shape=["batch", 2], type="tensor(uint8)")]

    def get_outputs(self):
        return [SimpleNamespace(name="map")]

    def end_profiling(self):
        return ""

    def run(self, outputs, inputs):
        raise RuntimeError("CUDA failure\n2: out of memory")


@pytest.fixture
def runtime(monkeypatch, tmp_path):
    """Put a fake ONNX Runtime in the real one's place; returns the function that does."""
    monkeypatch.setenv("PROSTHESIS_ENGINES", str(tmp_path / "engines"))

    def install(session, built_in=("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")):
        fake = SimpleNamespace(
            InferenceSession=session, SessionOptions=FakeOptions, get_available_providers=lambda: list(built_in)
        )
        monkeypatch.setitem(sys.modules, "onnxruntime", fake)
        return session

    return install


def test_the_cpu_engine_says_so_and_runs():
    engine = OnnxEngine(GRAPH)
    assert engine.provider == "CPUExecutionProvider"
    assert engine.run({"frame": frame(51)})["map"] == pytest.approx(np.full((1, 32, 32), 0.2))


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, r"takes inputs \['frame'\], got \[\]"),
        ({"image": frame()}, r"got \['image'\]"),
        ({"frame": frame(), "more": frame()}, r"got \['frame', 'more'\]"),
        ({"frame": frame(side=64)}, r"must be tensor\(uint8\) \[1, 128, 128, 3\], got uint8 \[1, 64, 64, 3\]"),
        ({"frame": frame()[0]}, r"got uint8 \[128, 128, 3\]"),
        ({"frame": frame().astype(np.float32)}, "got float32"),
        ({"frame": frame().astype(np.float64)}, "got float64"),
    ],
)
def test_inputs_that_are_not_the_graphs_are_refused(inputs, words):
    with pytest.raises(EngineError, match=words):
        OnnxEngine(GRAPH).run(inputs)


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(EngineError, match=r"gone\.onnx: no such model file; copy or build"):
        OnnxEngine(tmp_path / "gone.onnx")


@pytest.mark.parametrize("keep", [0, 200])
def test_a_broken_model_is_named_in_one_line(tmp_path, keep):
    path = tmp_path / "broken.onnx"
    path.write_bytes(GRAPH.read_bytes()[:keep])
    with pytest.raises(EngineError, match=r"broken\.onnx: .* copy or build the bundle again") as caught:
        OnnxEngine(path)
    assert "\n" not in str(caught.value)


def test_an_unknown_provider_is_refused():
    with pytest.raises(EngineError, match="provider 'tpu': unknown; use one of cpu, cuda, tensorrt"):
        OnnxEngine(GRAPH, "tpu")


@pytest.mark.parametrize(("provider", "extra"), [("cpu", "laptop"), ("cuda", "gpu"), ("tensorrt", "gpu")])
@pytest.mark.parametrize("installed", [None, SimpleNamespace()], ids=["absent", "half uninstalled"])
def test_without_onnx_runtime_the_install_line_is_given(monkeypatch, provider, extra, installed):
    monkeypatch.setitem(sys.modules, "onnxruntime", installed)
    with pytest.raises(MissingExtraError) as caught:
        OnnxEngine(GRAPH, provider)
    assert str(caught.value).endswith(f"pip install 'prosthesis[{extra}]'")


def test_a_gpu_that_onnx_runtime_was_not_built_for_is_refused(runtime):
    runtime(FakeSession("CPUExecutionProvider"), built_in=("CPUExecutionProvider",))
    with pytest.raises(EngineError, match=r"^asked for CUDAExecutionProvider, got CPUExecutionProvider: .*\[gpu\]'$"):
        OnnxEngine(GRAPH, "cuda")


@pytest.mark.parametrize(
    ("provider", "asked", "used"),
    [
        ("cuda", "CUDAExecutionProvider", "CPUExecutionProvider"),
        ("tensorrt", "TensorrtExecutionProvider", "CPUExecutionProvider"),
        ("tensorrt", "TensorrtExecutionProvider", "CUDAExecutionProvider"),
    ],
)
def test_a_silent_fallback_is_refused_with_its_reason_and_without_its_noise(runtime, capfd, provider, asked, used):
    runtime(FakeSession(used, NEEDS_CUBLAS))
    with pytest.raises(
        EngineError, match=f"^asked for {asked}, got {used}: libcublasLt.so.13: cannot open shared object"
    ):
        OnnxEngine(GRAPH, provider)
    assert capfd.readouterr() == ("", "")
    os.write(2, b"restored")
    assert capfd.readouterr().err == "restored"


def test_a_fallback_without_a_word_is_refused_too(runtime):
    runtime(FakeSession("CPUExecutionProvider"))
    with pytest.raises(EngineError, match="got CPUExecutionProvider: ONNX Runtime fell back without a reason; install"):
        OnnxEngine(GRAPH, "cuda")


def test_a_real_gpu_is_used_on_one_quiet_thread_and_never_changed(runtime):
    session = runtime(FakeSession("CUDAExecutionProvider"))
    assert OnnxEngine(GRAPH, "cuda").provider == "CUDAExecutionProvider"
    assert session.asked[0] == "CUDAExecutionProvider"
    assert not session.fallback
    assert (session.options.intra_op_num_threads, session.options.inter_op_num_threads) == (1, 1)
    assert session.options.entries["session.intra_op.allow_spinning"] == "0"


class PartlyElsewhere(FakeSession):
    """A GPU's session that leaves nodes to the CPU, by the real profile of a real run there."""

    def __call__(self, path, options, providers, **_):
        super().__call__(path, options, providers)
        self.real = onnxruntime.InferenceSession(path, self._real_options(options), providers=["CPUExecutionProvider"])
        return self

    def _real_options(self, options):
        real = onnxruntime.SessionOptions()
        real.enable_profiling, real.profile_file_prefix = options.enable_profiling, options.profile_file_prefix
        return real

    def get_inputs(self):
        return self.real.get_inputs()

    def get_outputs(self):
        return self.real.get_outputs()

    def run(self, outputs, inputs):
        return self.real.run(outputs, inputs)

    def end_profiling(self):
        return self.real.end_profiling()


def test_nodes_that_a_gpu_leaves_to_the_cpu_are_reported(runtime, capfd):
    session = runtime(PartlyElsewhere("CUDAExecutionProvider"))
    engine = OnnxEngine(GRAPH, "cuda")
    assert engine.provider == "CUDAExecutionProvider"
    assert re.fullmatch(r"\d node\(s\) run on CPUExecutionProvider: .*Cast.*Reshape.*", engine.elsewhere)
    assert "does not take all of it" in capfd.readouterr().err
    assert engine.run({"frame": frame(51)})["map"] == pytest.approx(np.full((1, 32, 32), 0.2))
    assert not Path(session.options.profile_file_prefix).parent.exists()


def test_on_the_cpu_nothing_is_elsewhere():
    assert OnnxEngine(GRAPH).elsewhere == ""


def test_tensorrts_provider_keeps_its_engines(runtime, tmp_path):
    session = runtime(FakeSession("TensorrtExecutionProvider"))
    OnnxEngine(GRAPH, "tensorrt")
    name, options = session.asked[0]
    assert (name, options["trt_engine_cache_enable"]) == ("TensorrtExecutionProvider", "1")
    assert options["trt_engine_cache_path"] == str(tmp_path / "engines" / "onnxruntime")
    assert session.asked[1:] == ["CUDAExecutionProvider", "CPUExecutionProvider"]


def test_a_gpu_that_cannot_run_the_graph_fails_at_once(runtime):
    session = PartlyElsewhere("CUDAExecutionProvider")
    session.run = lambda outputs, inputs: FakeSession.run(session, outputs, inputs)
    runtime(session)
    with pytest.raises(EngineError, match=r"opens the graph but cannot run it: CUDA failure"):
        OnnxEngine(GRAPH, "cuda")


def test_a_gpu_that_cannot_open_the_model_points_to_the_cpu(runtime):
    def broken(*_, **__):
        raise RuntimeError("CUDA error 35")

    runtime(broken)
    with pytest.raises(
        EngineError, match=r"CUDAExecutionProvider cannot open it \(CUDA error 35\); try provider 'cpu'"
    ):
        OnnxEngine(GRAPH, "cuda")


def test_a_failure_inside_the_graph_is_one_line_and_free_axes_take_any_size(runtime):
    runtime(FakeSession("CUDAExecutionProvider"))
    with pytest.raises(EngineError, match="the graph failed: CUDA failure 2: out of memory"):
        OnnxEngine(GRAPH, "cuda").run({"frame": np.zeros((7, 2), np.uint8)})


def test_the_null_engine_gives_fresh_zeros_of_the_stated_shape():
    engine = NullEngine({"map": ((1, 3, 4), "float32"), "n": ((2,), np.uint8)})
    outputs = engine.run({})
    assert {name: (array.shape, array.dtype.name) for name, array in outputs.items()} == {
        "map": ((1, 3, 4), "float32"),
        "n": ((2,), "uint8"),
    }
    outputs["map"][:] = 1
    assert not engine.run({})["map"].any()


def test_engines_are_chosen_by_name():
    bundle = load_bundle("luminance-32")
    assert open_engine(bundle, "onnx").provider == "CPUExecutionProvider"
    assert open_engine(bundle, "null").provider == "null"
    with pytest.raises(EngineError, match="engine 'torch': unknown; use 'onnx', 'tensorrt', 'openvino' or 'null'"):
        open_engine(bundle, "torch")


def test_importing_hop_2_imports_no_runtime():
    code = (
        "import sys, prosthesis.encoders.taskmap, prosthesis.engines.onnx\n"
        "assert not {'onnxruntime', 'onnx', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
