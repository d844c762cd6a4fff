"""From photographs to the map: the enrolled are known, strangers refused, and the path never waits for a network."""

import json
import threading
import time

import cv2
import numpy as np
import pytest
from face_pictures import admiral, astronaut, in_scene
from helpers import wait_for

pytest.importorskip("onnxruntime", reason="running graphs needs prosthesis[laptop]")

from prosthesis.bundles.bundle import load_bundle
from prosthesis.cli import main
from prosthesis.config import TaskConfig, find, load_rig
from prosthesis.encoders import open_encoder
from prosthesis.encoders.face import FaceEncoder, Findings, make_finder, make_painter, open_face_encoder
from prosthesis.errors import ConfigError, ProsthesisError
from prosthesis.faces.enrol import enrol, enrolled, forget
from prosthesis.faces.gallery import Gallery
from prosthesis.faces.tracks import STRANGER, follow
from prosthesis.messages import Frame
from prosthesis.protocols import Encoder
from prosthesis.view import make_view
from prosthesis.yamlfile import load_model

TASK = load_model(TaskConfig, find("tasks", "face")).encoder.task
STEP_NS = 50_000_000


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PROSTHESIS_FACES", str(tmp_path / "faces"))
    monkeypatch.setenv("PROSTHESIS_KEYS", str(tmp_path / "keys"))


@pytest.fixture(scope="module")
def utah():
    rig = load_rig("utah96")
    return make_view(rig.config.view, rig.config.camera, rig.calibration), rig.calibration


def saved(rgb, path):
    cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return path


def walk(rgb, finder, painter, frames=5):
    """Return the tracks and the map after ``frames`` equal frames, without threads."""
    tracks = ()
    for seq in range(frames):
        found = finder.find(Frame(seq, seq * STEP_NS, rgb))
        tracks = follow(tracks, found.seen, found.t_ns, TASK.threshold)
    return tracks, painter.paint(tracks, found.frame_size, found.t_ns)


def test_the_enrolled_person_is_known_and_another_is_a_stranger(tmp_path, utah):
    enrol("eileen", [saved(astronaut(), tmp_path / "eileen.png")])
    gallery = enrolled()
    finder, painter = make_finder(load_bundle("faces"), TASK, gallery), make_painter(TASK, gallery, *utah)
    above = slice(0, painter.layout.bar.top)
    tracks, shown = walk(in_scene(astronaut(), 40, (160, 90)), finder, painter)
    assert tracks[0].verdict == "eileen"
    np.testing.assert_array_equal(shown[above], painter.code.maps[1][above])
    tracks, shown = walk(in_scene(admiral(), 40, (160, 90), face_at=(266, 250), face_width=195), finder, painter)
    assert tracks[0].verdict == STRANGER
    np.testing.assert_array_equal(shown[above], painter.code.maps[0][above])


def test_forgotten_she_is_a_stranger_too(tmp_path, utah):
    enrol("eileen", [saved(astronaut(), tmp_path / "eileen.png")])
    forget("eileen")
    gallery = enrolled()
    finder, painter = make_finder(load_bundle("faces"), TASK, gallery), make_painter(TASK, gallery, *utah)
    assert walk(astronaut(), finder, painter)[0][0].verdict == STRANGER


def test_a_face_too_small_to_tell_is_somebody_but_nobody_in_particular(utah):
    finder, painter = make_finder(load_bundle("faces"), TASK, Gallery()), make_painter(TASK, Gallery(), *utah)
    tracks, shown = walk(in_scene(astronaut(), 17, (160, 90)), finder, painter)
    assert tracks[0].verdict is None
    assert shown.any()
    assert not shown[: painter.layout.bar.top].any()


def test_a_face_is_drawn_light_and_dark(utah):
    config = TASK.model_copy(update={"mode": "face"})
    finder, painter = make_finder(load_bundle("faces"), config, Gallery()), make_painter(config, Gallery(), *utah)
    _, shown = walk(astronaut(), finder, painter)
    inside = shown[painter.layout.picture.slices]
    assert inside.min() == 0
    assert inside.max() == 1
    eyes, cheeks = inside[10:15, 8:14].mean(), inside[17:22, 6:12].mean()
    assert eyes < cheeks  # her right eye is darker than her right cheek


def test_a_head_is_drawn_in_three_looks(utah):
    config = TASK.model_copy(update={"mode": "head"})
    finder, painter = make_finder(load_bundle("faces"), config, Gallery()), make_painter(config, Gallery(), *utah)
    tracks, _ = walk(astronaut(), finder, painter)
    assert tracks[0].drawing.shape == (48, 48)
    looks = [painter.paint(tracks, (512, 512), tracks[0].t_ns + ns) for ns in (0, 500_000_000, 999_000_000)]
    for shown in looks:
        assert shown[painter.layout.picture.slices].max() > 0.9
        assert shown[painter.layout.bar.slices].any()
    assert not np.array_equal(looks[0], looks[1])


@pytest.fixture
def encoder(utah):
    made = open_encoder(TASK, *utah)
    yield made
    made.close()


def test_the_path_answers_while_the_networks_still_work(utah):
    found = threading.Event()

    class SlowFinder:
        def find(self, frame):
            assert found.wait(60)
            return Findings(frame.seq, frame.t_ns, (320, 180), ())

    encoder = FaceEncoder(SlowFinder(), make_painter(TASK, Gallery(), *utah), TASK.threshold)
    for seq in range(3):
        assert encoder.encode(Frame(seq, seq, astronaut()), seq).seq == seq
    found.set()
    encoder.close()


def test_a_code_is_stamped_with_its_frame_and_the_finding_comes_after(encoder):
    assert isinstance(encoder, Encoder)
    first = encoder.encode(Frame(7, 0, astronaut()), 0)
    assert (first.seq, first.t_ns, first.kind, first.shape) == (7, 0, "map", (64, 64))
    assert not first.values.any()
    assert not first.values.flags.writeable
    seq = iter(range(8, 10_000))
    wait_for(lambda: encoder.encode(Frame(next(seq), 1, astronaut()), 2).values.any(), 20, "a person on the map")


def test_whoever_comes_is_said_once_and_again_when_back(tmp_path, utah):
    enrol("eileen", [saved(astronaut(), tmp_path / "eileen.png")])
    encoder = open_encoder(TASK, *utah)
    said, empty = [], np.full((180, 320, 3), 90, np.uint8)
    seconds = iter(np.arange(0, 1000, 0.05))

    def see(rgb, until):
        def step():
            t_ns = int(next(seconds) * 1e9)
            encoder.encode(Frame(t_ns, t_ns, rgb), t_ns)
            said.extend(encoder.said())
            return until()

        wait_for(step, 20, "what is waited for")

    see(astronaut(), lambda: said == ["eileen"])
    see(admiral(), lambda: said[1:] == ["a stranger"])
    gone = next(seconds) + 60
    seconds = iter(np.arange(gone, gone + 1000, 0.05))
    see(empty, lambda: not encoder._tracks)
    see(admiral(), lambda: said[2:] == ["a stranger"])
    assert encoder.said() == ()
    encoder.close()


def test_a_face_is_found_where_it_is_with_the_name_once_it_is_known(tmp_path, utah):
    enrol("eileen", [saved(astronaut(), tmp_path / "eileen.png")])
    encoder, told = open_encoder(TASK, *utah), []
    rgb = in_scene(astronaut(), 40, (160, 90))
    seconds = iter(np.arange(0, 1000, 0.05))

    def known():
        t_ns = int(next(seconds) * 1e9)
        encoder.encode(Frame(t_ns // 10, t_ns, rgb), t_ns)
        told.extend(encoder.found())
        return bool(told) and told[-1].items[0].label == "eileen"

    wait_for(known, 20, "her name")
    encoder.close()
    assert [one.items[0].label for one in told[:2]] == ["", ""]
    assert all(one.task == "face" and one.t_ns // 10 == one.seq for one in told)
    (face,) = told[-1].items
    assert (face.kind, face.confidence > 0.5) == ("face", True)
    height, width = rgb.shape[:2]
    assert (face.x + face.width / 2) * width == pytest.approx(160, abs=8)
    assert (face.y + face.height / 2) * height == pytest.approx(90, abs=8)
    assert face.width * width == pytest.approx(40, abs=10)


def test_a_person_gone_for_a_second_is_gone_from_the_map(encoder):
    wait_for(lambda: encoder.encode(Frame(1, 0, astronaut()), 0).values.any(), 20, "a person on the map")
    assert not encoder.encode(Frame(2, 1, astronaut()), 1_100_000_000).values.any()


def test_an_engine_that_runs_nothing_finds_nobody(utah):
    encoder = open_encoder(TASK.model_copy(update={"engine": "null"}), *utah)
    for seq in range(5):
        assert not encoder.encode(Frame(seq, seq, astronaut()), seq).values.any()
        time.sleep(0.01)
    encoder.close()


def test_more_people_than_patterns_are_refused_and_faces_need_none(utah):
    gallery = Gallery()
    for number in range(11):
        gallery = gallery.enrolled(f"p{number}", np.eye(192, dtype=np.float32)[number])
    with pytest.raises(ConfigError, match="10 people have patterns, but not p10; remove some"):
        make_painter(TASK, gallery, *utah)
    make_painter(TASK.model_copy(update={"mode": "face"}), gallery, *utah)


def test_another_bundle_is_refused(utah):
    with pytest.raises(ConfigError, match="choose model 'faces'"):
        open_face_encoder(load_bundle("edges-32"), TASK, *utah)


def test_pictures_that_cannot_be_enrolled_are_named_and_nothing_is_kept(tmp_path):
    good = saved(astronaut(), tmp_path / "good.png")
    two = saved(np.concatenate([astronaut(), astronaut()], axis=1), tmp_path / "two.png")
    none = saved(np.full((200, 200, 3), 128, np.uint8), tmp_path / "none.png")
    small = saved(in_scene(astronaut(), 30, (160, 90)), tmp_path / "small.png")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff nothing")
    cases = {
        two: "2 faces found; cut out",
        none: "no face found; give",
        small: "pixels wide; give one of at least 48",
        broken: "not a picture that can be read",
        tmp_path / "gone.png": "cannot be read",
    }
    for path, told in cases.items():
        with pytest.raises(ProsthesisError, match=f"{path.name}: .*{told}"):
            enrol("eileen", [good, path])
    assert enrolled() == Gallery()


def test_doubtful_pictures_are_told_and_kept(tmp_path):
    eileen, grace = saved(astronaut(), tmp_path / "eileen.png"), saved(admiral(), tmp_path / "grace.png")
    assert enrol("eileen", [eileen]).doubts == ()
    (doubt,) = enrol("double", [eileen]).doubts
    assert "looks like eileen too (cosine 1.00)" in doubt
    (doubt,) = enrol("eileen", [grace]).doubts
    assert "hardly like the other pictures of eileen" in doubt


def test_the_verb_enrols_lists_and_forgets(tmp_path, capsys):
    path = str(saved(astronaut(), tmp_path / "eileen.png"))
    assert main(["faces"]) == 0
    assert "nobody is enrolled" in capsys.readouterr().out
    assert main(["faces", "enroll", "eileen", path]) == 0
    assert "enrolled eileen: 1 pictures, pattern 1" in capsys.readouterr().out
    assert main(["faces", "enroll", "eileen", path]) == 0
    assert "more pictures of eileen: 2 pictures" in capsys.readouterr().out
    assert main(["faces", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"name": "eileen", "pictures": 2, "pattern": 1}]
    assert main(["faces", "delete", "nobody"]) == 1
    assert "'nobody' is not enrolled; there is: eileen" in capsys.readouterr().err
    assert main(["faces", "delete", "eileen"]) == 0
    assert main(["faces", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.split("\n", 1)[1]) == []


def test_the_verb_says_which_pattern_is_whose_and_keeps_them(tmp_path, capsys, utah):
    enrol("eileen", [saved(astronaut(), tmp_path / "eileen.png")])
    out = tmp_path / "code.npz"
    assert main(["faces", "patterns", "utah96", "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["0", "ring", "strangers"]
    assert lines[1].split()[-1] == "eileen"
    painter = make_painter(TASK.model_copy(update={"code": str(out)}), enrolled(), *utah)
    np.testing.assert_array_equal(painter.code.maps, make_painter(TASK, enrolled(), *utah).code.maps)


def test_who_was_seen_before_another_task_took_over_is_forgotten(encoder):
    wait_for(lambda: encoder.encode(Frame(1, 0, astronaut()), 0).values.any(), 20, "a person on the map")
    encoder.forget()
    assert encoder._tracks == ()
    assert encoder.said() == ()
    wait_for(lambda: encoder.encode(Frame(2, 1, astronaut()), 1).values.any(), 20, "the person again")
