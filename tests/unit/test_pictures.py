"""Picture sets: what is in them, that splits do not leak, and that they are the same in every process."""

import gzip
import importlib.util
import subprocess
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="the desk needs prosthesis[train]")

from prosthesis.errors import MissingExtraError, ProsthesisError
from prosthesis_train.data import fashion as clothes
from prosthesis_train.data import glyphs as signs
from prosthesis_train.data import photographs as photos
from prosthesis_train.data import walks as doom
from prosthesis_train.data.folder import pictures_of
from prosthesis_train.data.images import ImageSet, centre_square, imported, open_images, to_channels


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    return head + array.astype(np.uint8).tobytes()


@pytest.fixture
def download(tmp_path):
    """A user's download folder in the published format, one file not zipped."""
    random = np.random.default_rng(0)
    for part, n in (("train", 12), ("t10k", 5)):
        pictures = idx(random.integers(0, 256, (n, 28, 28)))
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(pictures))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(random.integers(0, 10, n)))
    return tmp_path


def test_fashion_is_padded_not_stretched(download):
    data = clothes.fashion(32, 1, download)
    content = gzip.decompress((download / "train-images-idx3-ubyte.gz").read_bytes())
    published = np.frombuffer(content[16:], np.uint8).reshape(-1, 28, 28)
    assert data.train.shape == (12, 32, 32, 1)
    assert (data.train[:, 2:30, 2:30, 0] == published).all()
    assert data.train.astype(int).sum() == published.astype(int).sum()  # the rest is black
    assert data.train_labels.tolist() == list((download / "train-labels-idx1-ubyte").read_bytes()[8:])
    assert clothes.fashion(64, 3, download).test.shape == (5, 64, 64, 3)


def test_a_users_download_is_found_by_the_environment(download, monkeypatch):
    monkeypatch.setenv(clothes.FOLDER_VARIABLE, str(download))
    assert len(open_images("fashion", 32, 1).train) == 12


def test_absent_or_damaged_fashion_says_what_to_do(download, tmp_path_factory):
    with pytest.raises(ProsthesisError, match="apt-get install dataset-fashion-mnist"):
        clothes.fashion(32, 1, tmp_path_factory.mktemp("empty"))
    path = download / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ProsthesisError, match="its head says 13"):
        clothes.fashion(32, 1, download)
    path.write_bytes(b"<html>")
    with pytest.raises(ProsthesisError, match="not an IDX file"):
        clothes.fashion(32, 1, download)
    zipped = download / "train-images-idx3-ubyte.gz"
    zipped.write_bytes(zipped.read_bytes()[:500])
    with pytest.raises(ProsthesisError, match="damaged"):
        clothes.fashion(32, 1, download)


def test_numbers_of_pictures_and_labels_must_agree(download):
    (download / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(3)))
    with pytest.raises(ProsthesisError, match="differ"):
        clothes.fashion(32, 1, download)


@pytest.mark.skipif(not clothes.DEBIAN.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_debians_fashion_is_the_published_one():
    data = clothes.fashion(32, 1, clothes.DEBIAN)
    assert data.train.shape == (60_000, 32, 32, 1)
    assert data.test.shape == (10_000, 32, 32, 1)
    assert np.bincount(data.train_labels).tolist() == [6000] * 10
    # the mean and deviation that everyone normalises by, of the 28 x 28 inside
    levels, shown = np.arange(256) / 255, np.bincount(data.train[:, 2:30, 2:30].ravel(), minlength=256)
    mean = np.average(levels, weights=shown)
    assert mean == pytest.approx(0.2860, abs=1e-4)
    assert np.sqrt(np.average((levels - mean) ** 2, weights=shown)) == pytest.approx(0.3530, abs=1e-4)


def test_digest_sees_pixels_labels_and_split():
    pixels, labels = np.zeros((4, 2, 2, 1), np.uint8), np.arange(4)
    one = ImageSet("a", pixels, pixels, labels, labels, (), "", "")
    other = pixels.copy()
    other[3, 1, 1, 0] = 1
    changed = [
        ImageSet("a", other, pixels, labels, labels, (), "", ""),
        ImageSet("a", pixels, pixels, labels[::-1], labels, (), "", ""),
        ImageSet("a", pixels, pixels, None, labels, (), "", ""),
        ImageSet("a", pixels[:2], np.concatenate([pixels, pixels[:2]]), labels, labels, (), "", ""),
    ]
    assert len({one.digest, *(s.digest for s in changed)}) == 5
    assert ImageSet("b", pixels.copy(), pixels, labels, labels, (), "elsewhere", "").digest == one.digest


def test_gray_is_luma_and_rgb_repeats():
    red = np.full((1, 2, 2, 3), (255, 0, 0), np.uint8)
    assert to_channels(red, 1).tolist() == [[[[76]] * 2] * 2]  # 0.299 of 255
    assert to_channels(to_channels(red, 1), 3).shape == (1, 2, 2, 3)


def test_centre_square():
    wide = np.arange(2 * 6).reshape(2, 6, 1).astype(np.uint8)
    assert centre_square(wide)[..., 0].tolist() == [[2, 3], [8, 9]]


def test_an_unknown_set_lists_the_known():
    with pytest.raises(ProsthesisError, match="fashion, glyphs"):
        open_images("no_such_set", 32, 1)
    with pytest.raises(ProsthesisError, match="1 channel"):
        open_images("glyphs", 32, 2)


def test_a_missing_package_names_its_extra():
    with pytest.raises(MissingExtraError, match=r"pip install 'prosthesis\[doom\]'"):
        imported("no_such_package", "doom", "a walk")


def write(path, height, width, value):
    cv2.imwrite(str(path), np.full((height, width, 3), value, np.uint8))


def test_a_folder_of_mixed_sizes(tmp_path):
    random = np.random.default_rng(0)
    for k in range(40):
        size = random.integers(20, 90, 2)
        cv2.imwrite(str(tmp_path / f"{k}.png"), random.integers(0, 256, (*size, 3)).astype(np.uint8))
    (tmp_path / "notes.txt").write_text("not a picture")
    data = open_images(str(tmp_path), 16, 3)
    assert len(data.train) + len(data.test) == 40
    assert data.train.shape[1:] == data.test.shape[1:] == (16, 16, 3)
    assert len(data.test) >= 1
    assert data.digest == pictures_of(tmp_path, 16, 3).digest


def test_a_picture_is_cut_about_its_centre_and_averaged_down(tmp_path):
    picture = np.zeros((20, 60, 3), np.uint8)
    picture[:, 20:40] = 200
    picture[:, 20:40:2] = 100  # stripes finer than the small picture
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), picture)
    data = pictures_of(tmp_path, 10, 1)
    assert (np.concatenate([data.train, data.test]) == 150).all()


def test_copies_of_a_picture_do_not_leak(tmp_path):
    random = np.random.default_rng(1)
    for k in range(60):
        picture = random.integers(0, 256, (12, 12, 3)).astype(np.uint8)
        for copy in ("", "-copy"):
            cv2.imwrite(str(tmp_path / f"{k}{copy}.png"), picture)
    data = pictures_of(tmp_path, 12, 1)
    train, test = ({p.tobytes() for p in part} for part in (data.train, data.test))
    assert test
    assert not train & test


def test_empty_and_damaged_folders(tmp_path):
    with pytest.raises(ProsthesisError, match="two or more are needed"):
        open_images(str(tmp_path), 16, 1)
    for name in ("good.png", "fine.png"):
        write(tmp_path / name, 20, 20, 9)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(ProsthesisError, match=r"1 of 3 pictures cannot be read: bad\.png"):
        open_images(str(tmp_path), 16, 1)


needs_photographs = pytest.mark.skipif(
    importlib.util.find_spec("skimage") is None, reason="scikit-image is not installed"
)


@needs_photographs
def test_photographs_are_split_by_photograph():
    held = {p.path for p in photos.WHEELS if p.held_out}
    assert held
    assert not held & {p.path for p in photos.WHEELS if not p.held_out}
    # a patch of a gray photograph is gray: coffee and flower, held out, are the only orange ones there
    data = photos.photographs(16, 3, 40, 30)
    assert data.train.shape == (40, 16, 16, 3)
    assert data.test.shape == (30, 16, 16, 3)
    assert data.digest != photos.photographs(16, 3, 40, 30, seed=1).digest


@needs_photographs
def test_an_added_photograph_changes_no_other_patch():
    one, two = photos.WHEELS[1], photos.WHEELS[4]
    alone = {p.tobytes() for p in photos.patches([one], 6, 16, 1, 0)}
    both = {p.tobytes() for p in photos.patches([one, two], 12, 16, 1, 0)}
    assert alone < both


def test_an_absent_wallpaper_names_its_package():
    with pytest.raises(ProsthesisError, match="apt-get install plasma-workspace-wallpapers"):
        photos.where(photos.Photograph("/nowhere", "a.jpg", False))


def test_words_and_fonts_are_held_out(monkeypatch):
    drawn = {False: set(), True: set()}
    fonts = {False: set(), True: set()}

    def note(text, font, side, random):
        held = font in signs.TEST_FONTS
        drawn[held].add(text)
        fonts[held].add(font)
        return np.zeros((side, side), np.uint8)

    monkeypatch.setattr(signs, "render", note)
    pytest.importorskip("skimage")
    signs.glyphs(8, 1, 1500, 500)
    words = [{w for w in texts if len(w) > 1} for texts in drawn.values()]
    assert min(map(len, words)) > 20
    assert not words[0] & words[1]
    assert fonts[False] == set(signs.TRAIN_FONTS)
    assert fonts[True] == set(signs.TEST_FONTS)


def test_glyphs_are_labelled_by_what_is_drawn():
    pytest.importorskip("skimage")
    data = signs.glyphs(32, 1, 60, 20)
    assert data.train.shape == (60, 32, 32, 1)
    assert data.classes[data.train_labels.max()] == "word"
    assert 15 < (data.train_labels == 36).sum() < 45
    random = np.random.default_rng(0)
    eye, slim = (signs.render(text, "DejaVuSans", 32, random).astype(float).sum() for text in "OI")
    assert eye > 1.5 * slim > 0


def test_every_font_draws_every_sign_differently():
    random = [np.random.default_rng(0) for _ in range(200)]
    for font in (*signs.TRAIN_FONTS, *signs.TEST_FONTS):
        drawn = {signs.render(sign, font, 16, random.pop()).tobytes() for sign in "ABC123"}
        assert len(drawn) == 6


def test_a_set_is_the_same_in_another_process():
    pytest.importorskip("skimage")
    code = "from prosthesis_train.data.glyphs import glyphs; print(glyphs(16, 3, 30, 10).digest)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert other.strip() == signs.glyphs(16, 3, 30, 10).digest


def test_maps_are_held_out():
    assert 0 < len(doom.HELD_OUT) < len(doom.MAPS) / 3
    assert set(doom.HELD_OUT) < set(doom.MAPS)


def test_a_walk_is_made_once_and_repeats(tmp_path, monkeypatch):
    pytest.importorskip("vizdoom", reason="ViZDoom is not installed (prosthesis[doom])")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    one = doom._cached("map01", 3, 64, 0)
    made = list((tmp_path / "prosthesis" / "walks").iterdir())
    assert len(made) == 1
    assert not (tmp_path / "_vizdoom").exists()
    again = doom._cached("map01", 3, 64, 0)
    made[0].unlink()
    assert (one == again).all()
    assert (one == doom._cached("map01", 3, 64, 0)).all()
    assert one.std() > 5


def test_a_walk_that_fails_says_so(tmp_path, monkeypatch):
    pytest.importorskip("vizdoom", reason="ViZDoom is not installed (prosthesis[doom])")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ProsthesisError, match="could not walk through map99"):
        doom._cached("map99", 3, 64, 0)
