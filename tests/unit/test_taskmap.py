import dataclasses

import numpy as np
import pytest

from prosthesis.bundles.bundle import load_bundle
from prosthesis.encoders import open_encoder
from prosthesis.encoders.taskmap import TaskMapEncoder
from prosthesis.engines import open_engine
from prosthesis.errors import ConfigError
from prosthesis.hops import MapEncoderConfig
from prosthesis.messages import Frame
from prosthesis.view import Field, View

WHOLE = View((0.0, 0.0, 1.0, 1.0), Field(-5.0, 5.0, -5.0, 5.0))
LEFT_HALF = View((0.0, 0.0, 0.5, 1.0), Field(-5.0, 5.0, -5.0, 5.0))


class FixedEngine:
    provider = "fixed"

    def __init__(self, output):
        self.output, self.seen = output, None

    def run(self, inputs):
        self.seen = inputs
        return {"map": self.output}


def frame(rgb):
    return Frame(seq=7, t_ns=123, rgb=rgb)


def test_the_map_is_row_major_from_the_top_and_carries_the_frames_stamp():
    rgb = np.zeros((240, 320, 3), np.uint8)
    rgb[:120, 160:] = 255
    bundle = load_bundle("luminance-32")
    code = TaskMapEncoder(bundle, open_engine(bundle, "onnx"), WHOLE).encode(frame(rgb), 999)
    assert (code.seq, code.t_ns, code.kind, code.shape) == (7, 123, "map", (32, 32))
    assert code.values.shape == (1024,)
    assert code.values.dtype == np.float32
    assert not code.values.flags.writeable
    seen = code.values.reshape(code.shape)
    assert (seen[:15, 17:] == 1).all()
    assert (seen[17:] == 0).all()
    assert (seen[:, :15] == 0).all()


def test_the_graph_sees_the_views_crop_at_its_own_size():
    rgb = np.zeros((60, 80, 3), np.uint8)
    rgb[:, :42] = (1, 2, 3)  # the crop ends at column 40
    engine = FixedEngine(np.zeros((1, 32, 32), np.float32))
    TaskMapEncoder(load_bundle("edges-32"), engine, LEFT_HALF).encode(frame(rgb), 0)
    (crop,) = engine.seen.values()
    assert crop.shape == (1, 128, 128, 3)
    assert (crop == (1, 2, 3)).all()


def test_nan_passes_on_to_the_guard():
    engine = FixedEngine(np.full((1, 32, 32), np.nan, np.float32))
    code = TaskMapEncoder(load_bundle("edges-32"), engine, WHOLE).encode(frame(np.zeros((9, 9, 3), np.uint8)), 0)
    assert np.isnan(code.values).all()


def changed(bundle, **changes):
    return dataclasses.replace(bundle, manifest=bundle.manifest.model_copy(update=changes))


@pytest.mark.parametrize("changes", [{"input_size": (64, 64)}, {"map_shape": (16, 64)}, {"map_shape": None}])
def test_a_bundle_that_is_no_such_graph_is_refused(changes):
    bundle = load_bundle("edges-32")
    with pytest.raises(ConfigError, match=r"manifest\.json: processor taskmap 1 runs one graph"):
        TaskMapEncoder(changed(bundle, **changes), FixedEngine(None), WHOLE)


def test_open_encoder_builds_what_the_config_names():
    black = frame(np.zeros((48, 64, 3), np.uint8))
    for engine in ("onnx", "null"):
        config = MapEncoderConfig(type="map", model="edges-64", engine=engine)
        assert open_encoder(config, WHOLE).encode(black, 0).shape == (64, 64)
    with pytest.raises(ConfigError, match="no model named 'nothing'"):
        open_encoder(MapEncoderConfig(type="map", model="nothing"), WHOLE)
