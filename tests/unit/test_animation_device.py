from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from prosthesis.animation.animator import Points, open_animator, relative
from prosthesis.animation.browser import Page
from prosthesis.animation.crops import Square, middle
from prosthesis.animation.films import MARK, PANEL, Film, driving, flow_picture, panel
from prosthesis.animation.run import Wish, animate
from prosthesis.errors import ConfigError, EngineError, ProsthesisError

SHOTS = Path(__file__).resolve().parents[2] / "prosthesis" / "clips" / "street.mp4"


@pytest.fixture(scope="module")
def animator():
    return open_animator()


@pytest.fixture
def still(tmp_path):
    """A picture without a face, and a film of it that moves."""
    random = np.random.default_rng(0)
    picture = cv2.resize(random.integers(0, 255, (6, 8, 3), np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)
    path = tmp_path / "still.png"
    cv2.imwrite(str(path), picture)
    out = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for k in range(5):
        out.write(np.roll(picture, 2 * k, axis=1))
    out.release()
    return path


def random_points(seed, k=10):
    random = np.random.default_rng(seed)
    turn = np.eye(2) + 0.2 * random.normal(size=(k, 2, 2))
    return Points(random.uniform(-1, 1, (k, 2)).astype(np.float32), turn.astype(np.float32))


def test_who_has_not_moved_moves_nothing():
    source, first = random_points(0), random_points(1)
    moved = relative(source, first, first)
    np.testing.assert_allclose(moved.at, source.at, atol=1e-6)
    np.testing.assert_allclose(moved.jacobian, source.jacobian, atol=1e-5)


def test_relative_movement_leads_back_as_the_paper_says():
    """J_S J^-1 of the moved keypoints is J_D1 J_Dt^-1: the source's own Jacobian drops out."""
    source, first, now = (random_points(seed) for seed in range(3))
    moved = relative(source, first, now)
    ours = source.jacobian @ np.linalg.inv(moved.jacobian)
    np.testing.assert_allclose(ours, first.jacobian @ np.linalg.inv(now.jacobian), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(moved.at - source.at, now.at - first.at, atol=1e-6)


def test_a_singular_first_jacobian_keeps_the_sources_own():
    source, now = random_points(0), random_points(1)
    flat = Points(now.at, np.zeros_like(now.jacobian))
    moved = relative(source, flat, now)
    np.testing.assert_array_equal(moved.jacobian, source.jacobian)


def test_equal_keypoints_leave_the_flow_still(animator):
    rgb = np.random.default_rng(0).integers(0, 255, (animator.side, animator.side, 3), np.uint8)
    points = animator.points(rgb)
    made = animator.make(rgb, points, points)
    line = (2 * np.arange(made.flow.shape[0]) + 1) / made.flow.shape[0] - 1
    np.testing.assert_allclose(made.flow[..., 0], np.broadcast_to(line, made.flow.shape[:2]), atol=1e-3)
    assert made.picture.shape == rgb.shape
    assert made.picture.dtype == np.uint8
    assert flow_picture(made.flow).min() > 240  # white: nothing moves


def test_a_picture_of_another_size_is_refused(animator):
    with pytest.raises(ProsthesisError, match=r"\[32, 48, 3\] cannot be animated; this model takes \[64, 64, 3\]"):
        animator.points(np.zeros((32, 48, 3), np.uint8))


def test_another_kind_of_model_is_refused():
    with pytest.raises(ConfigError, match="not an animation model"):
        open_animator("luminance-32")


def test_a_square_is_cut_where_it_lies_and_goes_on_outside():
    rgb = np.zeros((100, 200, 3), np.uint8)
    rgb[:, 100:] = 200
    assert middle(rgb) == Square(50, 0, 100)
    cut = Square(50, 0, 100).cut(rgb, 100)
    assert cut[:, :49].max() == 0
    assert cut[:, 51:].min() == 200
    assert Square(150, 0, 100).cut(rgb, 50).min() == 200


@pytest.mark.parametrize("name", ["out.webm", "out.mp4"])
def test_a_film_is_written_with_its_watermark(still, tmp_path, name):
    made = {}
    for watermark in (True, False):
        wish = Wish(still, str(still.with_name("film.avi")), True, tmp_path / name, whole=True, watermark=watermark)
        count, fps = animate(wish, "animation64", "onnx", lambda _: None)
        assert (count, fps > 0) == (5, True)
        capture = cv2.VideoCapture(str(tmp_path / name))
        made[watermark] = capture.read()[1].astype(float)
        capture.release()
    differ = np.abs(made[True] - made[False]).mean(2)
    assert differ.shape == (PANEL, PANEL)
    # the word is in the lower left corner, and nowhere else
    assert differ[-30:, :110].mean() > 20 * max(differ[: PANEL // 2].mean(), 0.05)


def test_panels_stand_beside_each_other(still, tmp_path):
    wish = Wish(still, str(still.with_name("film.avi")), False, tmp_path / "o.webm", panels=True, whole=True, frames=2)
    assert animate(wish, "animation64", "onnx", lambda _: None)[0] == 2
    assert cv2.VideoCapture(str(tmp_path / "o.webm")).read()[1].shape == (PANEL, 5 * PANEL, 3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source": "gone.png"}, "gone.png: cannot be read"),
        ({"source": "text.png"}, "text.png: not a picture that can be read"),
        ({}, "still.png: no face found"),
        ({"driving": "gone.mp4"}, "gone.mp4: no such film"),
        ({"driving": "text.mp4"}, "text.mp4: not a movie that OpenCV can play"),
        ({"driving": "nonsense:0"}, "unknown scheme"),
        ({"driving": "77"}, "/dev/video77: no such camera"),
        ({"out": "o.gif"}, "o.gif: films are"),
        ({"out": "none/o.webm", "whole": True}, "cannot be written"),
        ({"out": None}, "nowhere to show it"),
    ],
)
def test_what_cannot_be_animated_is_told_in_one_line(still, tmp_path, change, said, capfd):
    for name in ("text.png", "text.mp4"):
        (tmp_path / name).write_text("no picture")
    given = {"source": "still.png", "driving": "film.avi", "out": "o.webm", "whole": False} | change
    drive = given["driving"] if ":" in given["driving"] else str(tmp_path / given["driving"])
    drive = "77" if given["driving"] == "77" else drive
    out = None if given["out"] is None else tmp_path / given["out"]
    wish = Wish(tmp_path / given["source"], drive, True, out, whole=given["whole"])
    with pytest.raises(ProsthesisError, match=said) as caught:
        animate(wish, "animation64", "onnx", lambda _: None)
    assert "\n" not in str(caught.value)


def test_an_unknown_engine_is_refused():
    with pytest.raises(EngineError, match="unknown"):
        open_animator("animation64", "abacus")


def test_the_page_shows_the_newest_picture():
    with Page() as page:
        page.show(np.full((32, 32, 3), 200, np.uint8))
        assert b"<img src=/film" in urllib.request.urlopen(page.address, timeout=5).read()
        with urllib.request.urlopen(page.address + "film", timeout=5) as film:
            assert film.readline() == b"--picture\r\n"
            assert film.readline() == b"Content-Type: image/jpeg\r\n"
            size = int(film.readline().split(b":")[1])
            film.readline()
            picture = cv2.imdecode(np.frombuffer(film.read(size), np.uint8), cv2.IMREAD_COLOR)
    assert abs(int(picture.mean()) - 200) < 3


def test_driving_films_come_at_their_own_pace():
    pictures, fps = driving(str(SHOTS))
    first = next(pictures)
    assert first.ndim == 3
    assert fps > 1


def test_a_panel_says_what_it_is():
    assert MARK == "artificial"
    plain, marked = (panel(np.zeros((8, 8, 3), np.uint8), text) for text in ("", MARK))
    assert plain.max() == 0
    assert marked[-30:].max() == 255


def test_animating_needs_no_torch(still, tmp_path):
    code = (
        "import sys; from prosthesis.cli import main; "
        f"code = main(['animate', '--source', {str(still)!r}, '--driving', {str(still.with_name('film.avi'))!r}, "
        f"'--whole', '--relative', '--out', {str(tmp_path / 'o.webm')!r}]); "
        "sys.exit(code or int('torch' in sys.modules))"
    )
    # the other rooms' verbs are looked up by the command line, which is what a user has too
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "5 pictures" in done.stdout
    assert "only people who agreed" in done.stderr


def test_a_film_of_nothing_is_no_film(tmp_path):
    film = Film(tmp_path / "o.webm", 10)
    film.close()
    assert not (tmp_path / "o.webm").exists()
