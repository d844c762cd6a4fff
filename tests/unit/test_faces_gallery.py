"""Who is enrolled, who a face is, and what lies on the disc: sealed, private, deletable."""

import stat

import numpy as np
import pytest

from prosthesis.errors import ConfigError, ProsthesisError
from prosthesis.faces.gallery import Gallery, Person, unit
from prosthesis.faces.store import gallery_path, key_path, load_gallery, save_gallery

SHA = "a" * 64


def vector(seed):
    return unit(np.random.default_rng(seed).normal(size=192).astype(np.float32))


def gallery_of(*names):
    gallery = Gallery()
    for number, name in enumerate(names):
        gallery = gallery.enrolled(name, vector(number))
    return gallery


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PROSTHESIS_FACES", str(tmp_path / "faces"))
    monkeypatch.setenv("PROSTHESIS_KEYS", str(tmp_path / "keys"))


def test_the_nearest_person_matches_by_cosine():
    gallery = gallery_of("ann", "bob")
    match = gallery.match(unit(vector(1) + 0.5 * vector(7)))
    assert match.person is not None
    assert match.person.name == "bob"
    assert match.cosine == pytest.approx(float(vector(1) @ unit(vector(1) + 0.5 * vector(7))), abs=1e-6)
    assert Gallery().match(vector(0)).person is None


def test_more_pictures_of_a_person_are_compared_by_their_mean():
    gallery = gallery_of("ann").enrolled("ann", np.stack([vector(5), vector(6)]))
    (ann,) = gallery.people
    assert ann.embeddings.shape == (3, 192)
    assert ann.template == pytest.approx(unit(vector(0) + vector(5) + vector(6)), abs=1e-6)


def test_a_pattern_stays_with_its_person_and_a_freed_one_is_taken_again():
    gallery = gallery_of("ann", "bob", "eve").without("bob")
    assert {person.name: person.pattern for person in gallery.people} == {"ann": 0, "eve": 2}
    assert gallery.enrolled("joe", vector(9)).people[-1].pattern == 1


@pytest.mark.parametrize("name", ["", " ", " ann", "ann\n", "a\x00"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ProsthesisError, match="not a name"):
        Gallery().enrolled(name, vector(0))


def test_nobody_can_be_deleted_who_is_not_there():
    with pytest.raises(ProsthesisError, match="'eve' is not enrolled; there is: ann"):
        gallery_of("ann").without("eve")


def test_what_was_saved_comes_back():
    save_gallery(gallery_of("ann", "bob"), SHA)
    back = load_gallery(SHA)
    assert [(person.name, person.pattern) for person in back.people] == [("ann", 0), ("bob", 1)]
    np.testing.assert_array_equal(back.people[1].embeddings, vector(1)[None])


def test_without_a_file_nobody_is_enrolled():
    assert load_gallery(SHA) == Gallery()


def test_files_are_the_owners_alone():
    save_gallery(gallery_of("ann"), SHA)
    for path in (gallery_path(), key_path()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_neither_name_nor_numbers_can_be_read_in_the_file():
    save_gallery(gallery_of("annabel"), SHA)
    data = gallery_path().read_bytes()
    assert b"annabel" not in data
    assert vector(0).tobytes()[:16] not in data
    assert sorted(path.name for path in gallery_path().parent.iterdir()) == [gallery_path().name]
    save_gallery(gallery_of("annabel"), SHA)
    assert gallery_path().read_bytes() != data  # never the same nonce twice


@pytest.mark.parametrize("place", [0, 19, 30, -1])
def test_a_changed_byte_is_noticed(place):
    save_gallery(gallery_of("ann"), SHA)
    data = bytearray(gallery_path().read_bytes())
    data[place] ^= 1
    gallery_path().write_bytes(data)
    with pytest.raises(ConfigError, match="enrol again"):
        load_gallery(SHA)


def test_another_key_does_not_open_it_nor_none():
    save_gallery(gallery_of("ann"), SHA)
    key_path().write_bytes(bytes(32))
    with pytest.raises(ConfigError, match="sealed with another key"):
        load_gallery(SHA)
    key_path().write_bytes(b"short")
    with pytest.raises(ConfigError, match="must be 32 bytes"):
        load_gallery(SHA)
    key_path().unlink()
    with pytest.raises(ConfigError, match=r"key of .* is missing"):
        load_gallery(SHA)


def test_a_file_that_others_may_read_is_refused():
    save_gallery(gallery_of("ann"), SHA)
    for path in (gallery_path(), key_path()):
        path.chmod(0o640)
        with pytest.raises(ConfigError, match=f"chmod 600 {path}"):
            load_gallery(SHA)
        path.chmod(0o600)


def test_another_embedders_numbers_are_refused():
    save_gallery(gallery_of("ann"), SHA)
    with pytest.raises(ConfigError, match="another embedder"):
        load_gallery("b" * 64)


def test_the_last_persons_deletion_leaves_neither_file_nor_key():
    save_gallery(gallery_of("ann"), SHA)
    save_gallery(load_gallery(SHA).without("ann"), SHA)
    assert not gallery_path().exists()
    assert not key_path().exists()
    assert load_gallery(SHA) == Gallery()


def test_deleting_one_leaves_the_others():
    save_gallery(gallery_of("ann", "bob"), SHA)
    save_gallery(load_gallery(SHA).without("ann"), SHA)
    assert [person.name for person in load_gallery(SHA).people] == ["bob"]


def test_a_person_of_zeros_is_like_nobody():
    nobody = Person("nobody", 0, np.zeros((1, 192), np.float32))
    assert Gallery((nobody,)).match(vector(0)).cosine == 0
