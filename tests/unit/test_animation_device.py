from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
import urllib.request
import zlib
from http.server import ThreadingHTTPServer

import cv2
import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from prosthesis.animation.animator import Points, open_animator, relative
from prosthesis.animation.browser import Page
from prosthesis.animation.crops import Square, middle, portrait
from prosthesis.animation.drivers import Seen
from prosthesis.animation.films import MARK, PANEL, Film, flow_picture, panel
from prosthesis.animation.run import Wish, animate
from prosthesis.cli import main
from prosthesis.errors import ConfigError, EngineError, ProsthesisError


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


def first_picture(path):
    capture = cv2.VideoCapture(str(path))
    picture = capture.read()[1].astype(float)
    capture.release()
    return picture


def only_the_word_differs(marked, bare):
    """Whether the word is in the lower left corner of one, and nothing else is another."""
    differ = np.abs(marked - bare).mean(2)
    return differ[-30:, :110].mean() > 20 * max(differ[: PANEL // 2].mean(), 0.05)


def png_that_says(side):
    """Return the bytes of a PNG whose header declares ``side`` x ``side`` pixels, and which has few of them."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


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
        made[watermark] = first_picture(tmp_path / name)
    assert made[True].shape == (PANEL, PANEL, 3)
    assert only_the_word_differs(made[True], made[False])


def test_films_are_watermarked_unless_it_is_declined(still, tmp_path):
    """By the command line's default, and by the function's."""

    def told(name, *more):
        words = [
            "--source",
            still,
            "--driving",
            still.with_name("film.avi"),
            "--out",
            tmp_path / name,
            "--whole",
            *more,
        ]
        assert main(["animate", *map(str, words)]) == 0
        return first_picture(tmp_path / name)

    bare = told("bare.mp4", "--no-watermark")
    assert only_the_word_differs(told("marked.mp4"), bare)
    wish = Wish(still, str(still.with_name("film.avi")), False, tmp_path / "called.mp4", whole=True)
    animate(wish, "animation64", "onnx", lambda _: None)
    assert only_the_word_differs(first_picture(tmp_path / "called.mp4"), bare)


def test_panels_stand_beside_each_other(still, tmp_path):
    wish = Wish(still, str(still.with_name("film.avi")), False, tmp_path / "o.webm", panels=True, whole=True, frames=2)
    assert animate(wish, "animation64", "onnx", lambda _: None)[0] == 2
    assert cv2.VideoCapture(str(tmp_path / "o.webm")).read()[1].shape == (PANEL, 5 * PANEL, 3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source": "gone.png"}, "gone.png: cannot be read"),
        ({"source": "text.png"}, "text.png: not a picture that can be read"),
        ({"source": "empty.mp4"}, "empty.mp4: not a picture that can be read"),
        ({"source": "cut.png"}, "cut.png: not a picture that can be read"),
        ({"source": "vast.png"}, "vast.png: too large a picture to be read"),
        ({"whole": False}, "still.png: no face found"),
        ({"driving": "gone.mp4"}, "gone.mp4: no such film"),
        ({"driving": "text.mp4"}, "text.mp4: not a movie that OpenCV can play"),
        ({"driving": "empty.mp4"}, "empty.mp4: not a movie that OpenCV can play"),
        ({"driving": "cut.avi"}, r"cut.avi: ends after \d of 5 pictures; it is cut off"),
        ({"driving": "nonsense:0"}, "unknown scheme"),
        ({"driving": "77"}, "/dev/video77: no such camera"),
        ({"out": "o.gif"}, "o.gif: films are"),
        ({"out": "none/o.webm"}, "cannot be written"),
        ({"out": None}, "nowhere to show it"),
    ],
)
def test_what_cannot_be_animated_is_told_in_one_line(still, tmp_path, change, said, capfd):
    for name in ("text.png", "text.mp4"):
        (tmp_path / name).write_text("no picture")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "cut.png").write_bytes(png_that_says(500))
    (tmp_path / "vast.png").write_bytes(png_that_says(60_000))
    film = (tmp_path / "film.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(film[: len(film) // 2])
    given = {"source": "still.png", "driving": "film.avi", "out": "o.webm", "whole": True} | change
    drive = given["driving"] if ":" in given["driving"] else str(tmp_path / given["driving"])
    drive = "77" if given["driving"] == "77" else drive
    out = None if given["out"] is None else tmp_path / given["out"]
    wish = Wish(tmp_path / given["source"], drive, True, out, whole=given["whole"])
    with pytest.raises(ProsthesisError, match=said) as caught:
        animate(wish, "animation64", "onnx", lambda _: None)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")  # no library says anything beside it


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("what", ["source", "driving", "file://driving"])
def test_what_is_read_is_never_written_over(still, tmp_path, what, link, monkeypatch):
    before = (tmp_path / "film.avi").rename(tmp_path / "film.mp4").read_bytes()
    still.rename(tmp_path / "still.mp4")
    mine = tmp_path / ("still.mp4" if what == "source" else "film.mp4")
    out = tmp_path / "none" / ".." / mine.name
    (tmp_path / "none").mkdir()
    if link:
        out = tmp_path / "other.mp4"
        os.link(mine, out)
    drive = what.replace("driving", str(tmp_path / "film.mp4")) if what != "source" else str(tmp_path / "film.mp4")
    wish = Wish(tmp_path / "still.mp4", drive, out=out, whole=True)
    monkeypatch.setattr("prosthesis.animation.run.open_animator", None)  # not even that is opened
    option = "--source" if what == "source" else "--driving"
    with pytest.raises(ProsthesisError, match=rf"mp4: is what {option} is read from; choose another name for --out"):
        animate(wish, "animation64", "onnx", lambda _: None)
    assert (tmp_path / "film.mp4").read_bytes() == before


def test_a_faceless_driver_is_told_that_its_first_picture_decides(still, tmp_path, monkeypatch):
    looked_at = []

    def no_face_in_the_second(rgb, whole, what):
        looked_at.append(what)
        return portrait(rgb, None, what) if len(looked_at) == 2 else middle(rgb)

    monkeypatch.setattr("prosthesis.animation.crops.find_faces", lambda rgb, detector: [])
    monkeypatch.setattr("prosthesis.animation.run._square", no_face_in_the_second)
    wish = Wish(still, str(tmp_path / "film.avi"), out=tmp_path / "o.mp4")
    with pytest.raises(
        ProsthesisError, match=r"film\.avi, first picture \(it decides where all are cut\): no face found"
    ):
        animate(wish, "animation64", "onnx", lambda _: None)
    assert not (tmp_path / "o.mp4").exists()


@pytest.mark.parametrize("change", [{"source": "gone.png"}, {"driving": "gone.mp4"}, {"driving": "empty"}, {}])
def test_the_page_is_told_only_when_source_and_driver_serve(still, tmp_path, change):
    (tmp_path / "empty").touch()
    given = {"source": "still.png", "driving": "film.avi"} | change
    said = []
    wish = Wish(tmp_path / given["source"], str(tmp_path / given["driving"]), view=True, whole=bool(change))
    with pytest.raises(ProsthesisError):
        animate(wish, "animation64", "onnx", said.append)
    assert len(said) == 1
    animate(Wish(still, str(tmp_path / "film.avi"), view=True, whole=True), "animation64", "onnx", said.append)
    assert said[2].startswith("open http://127.0.0.1:")


def test_a_slow_film_by_its_uri_lasts_as_long(still, tmp_path):
    wish = Wish(still, f"file://{tmp_path / 'film.avi'}", out=tmp_path / "o.mp4", whole=True)
    assert animate(wish, "animation64", "onnx", lambda _: None)[0] == 5
    capture = cv2.VideoCapture(str(tmp_path / "o.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) / capture.get(cv2.CAP_PROP_FPS) == pytest.approx(0.5)


def test_a_slow_camera_films_as_long_as_it_saw(still, tmp_path, monkeypatch):
    """Its film is one of 30 pictures a second, and it gives five."""
    seen = (Seen(np.full((120, 160, 3), 50 * k, np.uint8), 8 + k / 5) for k in range(4))
    monkeypatch.setattr("prosthesis.animation.run.driving", lambda source: (seen, 30.0))
    assert animate(Wish(still, "0", out=tmp_path / "o.mp4", whole=True), "animation64", "onnx", lambda _: None)[0] == 4
    assert cv2.VideoCapture(str(tmp_path / "o.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 24


@pytest.mark.parametrize("number", ["0", "-3", "2.5", "some"])
def test_a_number_of_pictures_is_a_whole_one_above_0(number, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["animate", "--source", "a.png", "--driving", "0", "--view", f"--frames={number}"])
    assert ended.value.code == 2
    assert f"argument --frames: '{number}' is not a whole number above 0" in capsys.readouterr().err


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


@pytest.mark.parametrize("asked", [b"", b"GET / HT", b"GET / HTTP/1.0\r\n\r\n", b"GET /film HTTP/1.0\r\n\r\n"])
def test_a_tab_closed_at_any_moment_is_no_error(asked, monkeypatch):
    failed, ended = [], threading.Event()
    end = ThreadingHTTPServer.shutdown_request

    def shutdown_request(server, request):
        end(server, request)
        ended.set()

    monkeypatch.setattr(
        ThreadingHTTPServer, "handle_error", lambda server, request, address: failed.append(sys.exc_info())
    )
    monkeypatch.setattr(ThreadingHTTPServer, "shutdown_request", shutdown_request)
    with Page() as page:
        page.show(np.zeros((8, 8, 3), np.uint8))
        tab = socket.create_connection(("127.0.0.1", int(page.address.rstrip("/").rpartition(":")[2])))
        tab.sendall(asked)
        tab.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, as a closed tab does
        tab.close()
        assert ended.wait(10)
    assert failed == []


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
