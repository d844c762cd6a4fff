"""The obstacle encoder and the layer, with the real graph on real pictures."""

import math
import time

import cv2
import numpy as np
import pytest
from skimage import data

from prosthesis.bundles.bundle import load_bundle
from prosthesis.config import TaskConfig, find
from prosthesis.encoders import open_encoder
from prosthesis.encoders.layered import lay
from prosthesis.encoders.obstacle import LOOK_S, patch_shape
from prosthesis.engines import open_engine
from prosthesis.errors import ConfigError
from prosthesis.hops import LatentEncoderConfig, LayeredEncoderConfig, MapEncoderConfig, ObstacleEncoderConfig
from prosthesis.messages import Frame
from prosthesis.obstacles.boxes import ObjectFinder
from prosthesis.protocols import Encoder, Pointing, Speaking
from prosthesis.view import Field, View
from prosthesis.yamlfile import load_model

VIEW = View((0.21875, 0.0, 0.78125, 1.0), Field(-5, 5, -5, 5))
STEP_NS = 33_333_333


def config(**choices):
    return ObstacleEncoderConfig.model_validate({"type": "obstacle", "engine": "null", **choices})


def approach(seconds, left_s, shift=0.0):
    """Yield frames of a photographed wall that is reached ``left_s`` after the last of them."""
    photo = cv2.resize(data.astronaut(), (640, 640), interpolation=cv2.INTER_AREA)
    for k in range(round(seconds * 30)):
        size = (left_s) / (left_s + seconds - k / 30)
        matrix = np.array([[size, 0, 159.5 - 319.5 * size + shift * k], [0, size, 89.5 - 319.5 * size]])
        rgb = cv2.warpAffine(photo, matrix, (320, 180), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
        yield Frame(k + 1, (k + 1) * STEP_NS, rgb)


@pytest.fixture(params=["obstacle", "layered"])
def encoder(request):
    own = config()
    if request.param == "obstacle":
        return open_encoder(own, VIEW)
    task = MapEncoderConfig(type="map", model="luminance-32")
    return open_encoder(LayeredEncoderConfig(type="layered", task=task, obstacle=own), VIEW)


@pytest.mark.parametrize("shape", [(180, 320), (480, 640), (241, 319), (16, 16)])
def test_codes_are_maps_of_any_frame(encoder, shape):
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, Speaking)
    random = np.random.default_rng(0)
    for seq in range(8):
        rgb = random.integers(0, 256, (*shape, 3), dtype=np.uint8)
        rgb.flags.writeable = False
        code = encoder.encode(Frame(seq, seq * STEP_NS, rgb), seq * STEP_NS)
        assert (code.seq, code.t_ns, code.kind, code.shape) == (seq, seq * STEP_NS, "map", (32, 32))
        assert code.values.dtype == np.float32
        assert code.values.shape == (1024,)
        assert not code.values.flags.writeable
        assert code.values.min() >= 0
        assert code.values.max() <= 1


def test_black_is_silence(encoder):
    for seq in range(8):
        code = encoder.encode(Frame(seq, seq * STEP_NS, np.zeros((180, 320, 3), np.uint8)), seq * STEP_NS)
        assert not code.values.any()


def test_an_approaching_wall_is_bright_flashes_and_is_said(encoder):
    maps = [encoder.encode(frame, frame.t_ns).values.reshape(32, 32) for frame in approach(1.5, 1.0)]
    assert maps[-1][8:24, 8:24].mean() > 0.5
    (said,) = encoder.said()
    assert said.startswith("Stop: obstacle ahead")
    assert any(task_map[0].min() == 1.0 for task_map in maps)


def test_an_approaching_wall_is_found_in_the_frame_it_was_seen_in_and_its_time_counts_down(encoder):
    assert isinstance(encoder, Pointing)
    told = []
    for frame in approach(1.5, 1.0):
        encoder.encode(frame, frame.t_ns)
        told += [(frame.seq, one) for one in encoder.found()]
    assert encoder.found() == ()
    assert all((one.seq, one.t_ns, one.task) == (seq, seq * STEP_NS, "obstacle") for seq, one in told)
    assert told[0][1].seq > 1  # from one frame no approach is known
    wall = max(told[-1][1].items, key=lambda item: item.width * item.height)
    assert (wall.kind, wall.label, wall.side) == ("obstacle", "", "ahead")
    assert math.isnan(wall.confidence)
    assert wall.time_s == pytest.approx(1.0, abs=0.25)
    assert wall.width * wall.height > 0.5
    earlier = next(one for seq, one in told if seq == 30)
    before = max(earlier.items, key=lambda item: item.width * item.height)
    assert before.time_s - wall.time_s == pytest.approx(0.5, abs=0.25)


def test_what_is_gone_is_told_once(encoder):
    for frame in approach(1.5, 1.0):
        encoder.encode(frame, frame.t_ns)
    encoder.found()
    told = []
    for seq in range(46, 106):
        encoder.encode(Frame(seq, seq * STEP_NS, np.zeros((180, 320, 3), np.uint8)), seq * STEP_NS)
        told += encoder.found()
    assert [one.items for one in told[-1:]] == [()]
    assert all(one.items for one in told[:-1])


def test_an_alarm_from_before_another_task_took_over_is_forgotten(encoder):
    for frame in approach(1.5, 1.0):
        encoder.encode(frame, frame.t_ns)
    encoder.forget()
    assert encoder.said() == ()


def test_a_picture_that_slides_by_says_nothing():
    encoder = open_encoder(config(), VIEW)
    for frame in approach(1.0, 1e6, shift=3.0):
        code = encoder.encode(frame, frame.t_ns)
    assert encoder.said() == ()
    assert code.values.max() < 0.3


def test_blindness_is_said():
    encoder = open_encoder(config(), VIEW)
    said = []
    for seq in range(60):
        encoder.encode(Frame(seq, seq * STEP_NS, np.zeros((180, 320, 3), np.uint8)), seq * STEP_NS)
        said += encoder.said()
    assert len(said) == 1
    assert "cannot be seen" in said[0]


def test_the_graph_finds_people_and_a_motorcycle():
    bundle = load_bundle("objects")
    finder = ObjectFinder(bundle, open_engine(bundle, "onnx"))
    people = [box for box in finder.find(data.astronaut()) if box.kind == "person"]
    assert people[0].score > 0.6
    assert people[0].area > 0.4
    left = data.stereo_motorcycle()[0]
    kinds = {box.kind for box in finder.find(left)}
    assert "motorcycle" in kinds
    (cat,) = (box for box in finder.find(data.chelsea()) if box.kind == "cat")
    assert cat.area > 0.2
    assert finder.find(np.zeros((180, 320, 3), np.uint8)) == []


def test_boxes_come_beside_the_path_and_are_shown():
    encoder = open_encoder(config(engine="onnx"), View((0, 0, 1, 1), VIEW.field))
    person = cv2.resize(data.astronaut(), (320, 180), interpolation=cv2.INTER_AREA)
    end = time.monotonic() + 20.0
    seq = 0
    while True:
        seq += 1
        code = encoder.encode(Frame(seq, seq * round(LOOK_S * 1.1e9), person), 0)
        found = encoder.found()
        if code.values.max() > 0 or time.monotonic() > end:
            break
        time.sleep(0.05)
    encoder.close()
    shown = code.values.reshape(32, 32) > 0
    assert shown.mean() > 0.3
    assert code.values.max() < 0.5  # it does not come nearer
    (she,) = (item for item in found[0].items if item.label == "person")
    assert (she.kind, she.time_s) == ("obstacle", math.inf)
    assert she.confidence > 0.5
    assert she.width * she.height > 0.3


def test_another_bundle_is_refused():
    with pytest.raises(ConfigError, match="use the model 'objects'"):
        open_encoder(config(model="edges-32"), VIEW)
    latent = LatentEncoderConfig(type="latent", model="bigbigan-scenes", engine="null")
    with pytest.raises(ValueError, match="task"):
        LayeredEncoderConfig.model_validate({"type": "layered", "task": latent.model_dump(), "obstacle": config()})


def test_two_cameras_show_what_stands_in_the_way():
    # a wall 1 m away, seen by two cameras 0.1 m apart; nothing moves
    focal_px = 160 / math.tan(math.radians(30))
    photo = cv2.resize(data.astronaut(), (480, 480), interpolation=cv2.INTER_AREA)[:180]
    shift = round(focal_px * 0.1 / 1.0)
    pair = np.concatenate([photo[:, :320], photo[:, shift : shift + 320]], axis=1)
    encoder = open_encoder(config(stereo={"layout": "side_by_side", "baseline_m": 0.1}), VIEW)
    sight = encoder.looker.look(Frame(1, STEP_NS, pair))
    assert sight.distance_m.shape == patch_shape(pair[:, :320])
    assert np.nanmedian(sight.distance_m) == pytest.approx(1.0, rel=0.1)
    for k in range(1, 9):
        findings = encoder.find(Frame(k, k * STEP_NS, pair), sight)
    nearest = findings.obstacles[0]
    assert nearest.ahead
    assert nearest.time_s == pytest.approx(1.0 / 1.2, abs=0.25)


def test_what_two_cameras_see_is_found_in_the_left_half_of_the_frame():
    encoder = open_encoder(config(stereo={"layout": "side_by_side", "baseline_m": 0.1}), VIEW)
    for frame in approach(1.5, 1.0):
        encoder.encode(Frame(frame.seq, frame.t_ns, np.concatenate([frame.rgb, frame.rgb], axis=1)), frame.t_ns)
    (found,) = encoder.found()
    assert 0.25 < found.items[0].x + found.items[0].width <= 0.5
    encoder.close()


def test_the_layer_leaves_the_task_alone_until_something_is_urgent():
    below = np.full((64, 64), 0.6, np.float32)
    over = np.full((32, 32), 0.4, np.float32)
    np.testing.assert_array_equal(lay(below, over, 0.5), below)
    over[:16, :16] = 0.9
    laid = lay(below, over, 0.5)
    assert laid.shape == (64, 64)
    assert laid[:30, :30].min() == pytest.approx(0.9)
    assert laid[40:].max() == pytest.approx(0.06, abs=1e-3)


def test_the_shipped_task_is_this_encoder():
    task = load_model(TaskConfig, find("tasks", "obstacle"))
    assert isinstance(task.encoder, ObstacleEncoderConfig)
    assert load_bundle(task.encoder.model).manifest.weights
