"""Reference recordings and their replay."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from prosthesis import cli
from prosthesis.bundles.bundle import load_bundle
from prosthesis.bundles.delivered import Delivered, Parity
from prosthesis.bundles.reference import ARRAYS, CARD, clip_inputs, digest, load_reference, record
from prosthesis.bundles.verify import judge, relative, table, verify
from prosthesis.errors import ConfigError


@pytest.fixture
def delivered(tmp_path):
    """Return a bundle's folder of one's own, with its recording of three frames."""
    source = load_bundle("luminance-32")
    folder = tmp_path / "mine"
    shutil.copytree(source.folder, folder)
    bundle = load_bundle(folder)
    record(bundle, clip_inputs(bundle, frames=3))
    return folder


def test_the_recording_replays_bit_for_bit(delivered, capsys):
    result = verify(delivered)
    assert result.holds
    assert [(v.file, v.output, v.inputs, v.equal) for v in result.verdicts] == [("graph.onnx", "map", 3, 3)]
    assert cli.main(["verify", str(delivered)]) == 0
    assert "ok      graph.onnx map: bit for bit on 3 inputs" in capsys.readouterr().out


def test_inputs_are_real_frames_at_the_graphs_size():
    bundle = load_bundle("objects")
    (some,) = clip_inputs(bundle, frames=2).values()
    assert [(a.shape, a.dtype) for i in some for a in i.values()] == [((1, 192, 320, 3), np.uint8)] * 2
    assert some[0]["frame"].std() > 20
    assert not np.array_equal(some[0]["frame"], some[1]["frame"])


def test_codes_are_seeded():
    bundle = load_bundle("bigbigan-scenes")
    first, second = (clip_inputs(bundle, frames=2) for _ in range(2))
    assert digest(first) == digest(second)
    assert first["generator.onnx"][0]["z"].dtype == np.float32


def test_another_engine_that_differs_is_found_out_and_said(delivered, capsys, monkeypatch):
    monkeypatch.setattr("prosthesis.bundles.verify.open_engine", lambda *_: Off(0.01))
    assert cli.main(["verify", str(delivered)]) == 1
    out = capsys.readouterr().out
    assert "DIFFERS graph.onnx map: largest error 0.01" in out
    assert "largest difference 0.01 on input" in out
    assert cli.main(["verify", str(delivered), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["holds"], told["verdicts"][0]["holds"]) == (False, False)


def test_a_difference_below_a_dac_step_holds(delivered, monkeypatch):
    monkeypatch.setattr("prosthesis.bundles.verify.open_engine", lambda *_: Off(1e-4))
    result = verify(delivered)
    assert result.holds
    assert "1/1023 of the largest value" in table(result)


class Off:
    """The real engine, with something added to what it gives."""

    provider = "Off"

    def __init__(self, by):
        from prosthesis.engines import open_engine

        self.by, self.engine = np.float32(by), open_engine(load_bundle("luminance-32"), "onnx")

    def run(self, inputs):
        return {name: value + self.by for name, value in self.engine.run(inputs).items()}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: (f / ARRAYS).write_bytes((f / ARRAYS).read_bytes() + b"x"), "was changed or damaged since"),
        (lambda f: (f / ARRAYS).unlink(), "cannot be read"),
        (lambda f: (f / CARD).unlink(), "no reference recording; make one at the desk"),
        (
            lambda f: (f / CARD).write_text((f / CARD).read_text().replace('"sha256": "8', '"sha256": "9')),
            "was recorded with another 'graph.onnx' than this bundle's",
        ),
        (
            lambda f: (f / CARD).write_text(
                (f / CARD).read_text().replace('"inputs_sha256": "', '"inputs_sha256": "x')
            ),
            "the inputs are not those",
        ),
    ],
)
def test_a_recording_that_is_not_this_bundles_is_refused(delivered, spoil, words):
    spoil(delivered / "reference")
    with pytest.raises(ConfigError, match=words):
        load_reference(load_bundle(delivered))


def with_tolerance(measure, tolerance):
    bundle = load_bundle("luminance-32")
    parity = Parity(file="graph.onnx", output="map", measure=measure, error=0, tolerance=tolerance, largest=0, inputs=1)
    delivery = Delivered.model_construct(parity=(parity,))
    return dataclasses.replace(bundle, manifest=bundle.manifest.model_copy(update={"delivery": delivery}))


def test_the_manifests_tolerance_decides():
    wanted = [np.array([0.0, 1.0], np.float32)]
    got = [np.array([0.0, 1.1], np.float32)]
    assert judge(with_tolerance("largest", 0.11), "graph.onnx", "map", got, wanted).holds
    tight = judge(with_tolerance("largest", 0.09), "graph.onnx", "map", got, wanted)
    assert (tight.holds, tight.source) == (False, "manifest")
    # by hand: the difference's RMS is 0.1 / sqrt 2, the output's about its mean 0.5
    assert judge(with_tolerance("relative", 0.142), "graph.onnx", "map", got, wanted).holds
    assert not judge(with_tolerance("relative", 0.141), "graph.onnx", "map", got, wanted).holds


def test_nan_is_no_number_and_shapes_count():
    bundle, nan = load_bundle("luminance-32"), np.array([np.nan, 1.0], np.float32)
    one = np.array([1.0, 1.0], np.float32)
    assert judge(bundle, "graph.onnx", "map", [nan], [nan]).holds
    assert not judge(bundle, "graph.onnx", "map", [nan], [one]).holds
    assert not judge(bundle, "graph.onnx", "map", [one[:1]], [one]).holds
    assert not judge(with_tolerance("relative", 9.0), "graph.onnx", "map", [nan], [one]).holds


def test_the_relative_error_by_hand():
    assert relative(np.array([1.0, 3.0]), np.array([1.0, 3.0])) == 0
    assert relative(np.array([2.0, 4.0]), np.array([1.0, 3.0])) == pytest.approx(1.0)
    assert relative(np.array([2.0, 2.0]), np.array([3.0, 3.0])) == np.inf
