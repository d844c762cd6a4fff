import cv2
import numpy as np
import pytest
from made_up_session import FRAMES, LOST, MS, PERIOD_S, picture, record_session

from prosthesis.errors import ProsthesisError
from prosthesis.messages import Frame, HopTimes, ImplantState, MachineCode, Percept, Telemetry, readonly
from prosthesis.recording.recorder import Recorder, entries
from prosthesis.view import Field
from prosthesis_sim import film
from prosthesis_sim.film import (
    GAP,
    PANEL,
    TOP,
    Moment,
    Stage,
    draw_electrodes,
    layout,
    make_film,
    moments,
    still,
    stills,
)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("session") / "run.mcap"
    record_session(path)
    return path


def panel(image, index):
    left = GAP + index * (PANEL + GAP)
    return image[TOP : TOP + PANEL, left : left + PANEL].astype(int)


def is_red(pixel):
    return pixel[0] > 200 and pixel[1] < 120 and pixel[2] < 120


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_a_film_can_be_played_back_at_the_recordings_pace(log, hand_rig, tmp_path, suffix):
    out = tmp_path / "deep" / f"film{suffix}"
    codec = make_film(log, out, Stage(hand_rig))
    assert codec in film.CODECS[suffix]
    reader = cv2.VideoCapture(str(out))
    pictures = []
    while (got := reader.read())[0]:
        pictures.append(got[1])
    reader.release()
    assert pictures[0].shape == (film.HEIGHT, film.WIDTH, 3)
    assert len(pictures) / film.FPS == pytest.approx(FRAMES * PERIOD_S, abs=0.15)
    assert np.abs(pictures[2].astype(int) - still(log, hand_rig, 2 / film.FPS)[..., ::-1]).mean() < 6
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_the_first_codec_that_can_be_read_back_is_taken(log, hand_rig, tmp_path, monkeypatch):
    tried = []
    monkeypatch.setattr(film, "_works", lambda trial, codec: tried.append(codec) or codec == "mp4v")
    assert make_film(log, tmp_path / "film.mp4", Stage(hand_rig)) == "mp4v"
    assert tried == ["avc1", "mp4v"]


def test_no_codec_and_no_such_kind_of_film_are_one_line(log, hand_rig, tmp_path, monkeypatch):
    with pytest.raises(ProsthesisError, match=r"film\.avi: films are \.mp4 or \.webm"):
        make_film(log, tmp_path / "film.avi", Stage(hand_rig))
    monkeypatch.setattr(film, "_works", lambda trial, codec: False)
    with pytest.raises(ProsthesisError, match="writes none of avc1, mp4v"):
        make_film(log, tmp_path / "film.mp4", Stage(hand_rig))


def test_moments_show_what_was_newest_at_their_time(log):
    heard = [(entry.log_ns, entry.message.seq) for entry in entries(log, ["frame"])]
    shown = {moment.t_s: moment.newest["frame"].seq for moment in moments(log, [0.1, 0.3, 0.5])}
    for t_s in (0.1, 0.3, 0.5):
        assert shown[t_s] == max(seq for log_ns, seq in heard if log_ns <= heard[0][0] + t_s * 1e9)
    assert shown[0.1] < shown[0.3] < shown[0.5]


def test_times_past_the_end_show_the_end(log, hand_rig):
    pictures = stills(log, Stage(hand_rig), [0.2, 50.0, 60.0])
    assert len(pictures) == 3
    assert np.array_equal(pictures[1], pictures[2])
    assert not np.array_equal(pictures[0], pictures[1])


def test_a_log_without_frames_is_one_line(tmp_path, hand_rig):
    Recorder(tmp_path / "empty.mcap", [], {}).stop()
    with pytest.raises(ProsthesisError, match=r"empty\.mcap: this recording has no frames to show"):
        still(tmp_path / "empty.mcap", hand_rig, 0.0)


def test_the_camera_fills_its_panel_and_the_crop_is_outlined(hand_rig):
    gray = readonly(np.full((60, 80, 3), 100), np.uint8)
    shown = panel(Stage(hand_rig).draw(Moment(0.0, {"frame": Frame(1, 1, gray)})), 0)
    assert (shown[150, 150] == 100).all()
    # the rig fits the largest square of its 40 x 40 deg: all of the picture, letterboxed to 300 x 225
    assert np.allclose(shown[37, 150], film.AMBER, atol=16)
    assert (shown[10, 150] == film.WELL).all()


def test_without_a_rig_there_is_no_crop_and_electrodes_stand_in_rows(log):
    picture_ = still(log, None, 0.3)
    assert not np.allclose(panel(picture_, 0)[37, 150], film.AMBER, atol=16)
    shown = panel(picture_, 2)
    for index, (x, y) in enumerate([(75, 75), (225, 75), (75, 225), (225, 225)]):
        lit = not (shown[y, x] == film.WELL).all()
        assert lit == (index > 0)  # the first is silent


def test_the_task_map_has_its_first_row_at_the_top(hand_rig):
    values = np.zeros((2, 2), np.float32)
    values[0, 1] = 1.0
    code = MachineCode(1, 1, readonly(values.ravel(), np.float32), "map", (2, 2))
    shown = panel(Stage(hand_rig).draw(Moment(0.0, {"machine_code": code})), 1)
    assert shown[75, 225].min() == 255
    assert shown[225, 75].max() == 0


def test_the_percept_keeps_its_shape_and_clips_what_is_not_a_brightness(hand_rig):
    image = readonly([[np.nan, 2.0]], np.float32)
    percept = Percept(1, 1, image, (0.0, 0.0), (8.0, 4.0), 1, 1)
    shown = panel(Stage(hand_rig).draw(Moment(0.0, {"percept": percept})), 3)
    assert shown[150, 290].min() == 255
    assert shown[150, 10].max() == 0
    assert (shown[60, 150] == film.WELL).all()  # twice as wide as high


def test_electrodes_stand_at_their_degrees_y_up():
    places = layout(np.array([-4.0, 4.0]), np.array([4.0, 0.0]), Field(-5, 5, -5, 5))
    assert places.x_px.tolist() == [30, 270]
    assert places.y_px.tolist() == [30, 150]


def test_silent_electrodes_are_outlines_refused_ones_red_and_unused_ones_not_drawn():
    x = np.array([-3.0, 0.0, 3.0, np.nan])
    places = layout(x, np.zeros(4), Field(-5, 5, -5, 5))
    shown = draw_electrodes(places, np.array([1.0, 0.0, 0.0, 1.0]), np.array([False, False, True, True])).astype(int)
    radius = round(places.radius_px)
    assert shown[150, 60].min() > 100  # driven to its most: nearly white
    assert (shown[150, 150] == film.WELL).all()  # silent: empty inside
    assert not (shown[150, 150 - radius] == film.WELL).all()
    assert is_red(shown[150, 240 - radius])
    assert (shown[:, :40] == film.WELL).all()


def test_more_current_is_brighter():
    places = layout(np.arange(5.0), np.zeros(5), Field(-1, 5, -3, 3))
    shown = draw_electrodes(places, np.array([0.2, 0.4, 0.6, 0.8, 1.0]), np.zeros(5, bool)).astype(int)
    light = [shown[150, round(x)].sum() for x in places.x_px]
    assert light == sorted(light)


def test_a_thousand_electrodes_do_not_overlap():
    x, y = np.meshgrid(np.arange(64.0), np.arange(16.0))
    places = layout(x.ravel(), y.ravel(), Field(-1, 64, -25, 40))
    assert 2.0 <= places.radius_px <= 0.5 * PANEL / 65 + 0.01


def test_the_caption_says_time_number_latency_and_state():
    hops = HopTimes(7, 100 * MS, ("receive", "percept"), (110 * MS, 123 * MS))
    health = Telemetry(7, 1, ImplantState.HOLD, "late", 1, 1, (), 0)
    text = film.caption(Moment(1.5, {"frame": Frame(8, 1, picture(8)), "world_hops": hops, "telemetry": health}))
    for words in ("1.50 s", "frame 8", "capture to percept 23.0 ms", "implant hold"):
        assert words in text


def test_nothing_but_frames_is_still_a_picture(hand_rig):
    picture_ = Stage(hand_rig).draw(Moment(0.0, {"frame": Frame(LOST[0], 1, picture(1))}))
    assert picture_.shape == (film.HEIGHT, film.WIDTH, 3)
    assert picture_.dtype == np.uint8


def test_ffmpegs_complaints_do_not_reach_the_terminal(tmp_path, capfd):
    film._choose_codec(tmp_path / "film.webm")
    film._choose_codec(tmp_path / "film.mp4")
    assert capfd.readouterr().err == ""
