"""What every clock and every link must do."""

from __future__ import annotations

import contextlib
import os
import time

import pytest
import zmq
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from zmq.utils import z85

from prosthesis.errors import LinkError
from prosthesis.links.keys import allow_device, fingerprint, load_keys, make_keys, rotate_keys
from prosthesis.links.zmq import ZmqLink, plain
from prosthesis.protocols import Clock, Link
from prosthesis.timing import ManualClock, MonotonicClock
from prosthesis_sim.emulator import Emulator
from prosthesis_sim.loopback import LoopbackLink
from prosthesis_sim.patient import load_world


@pytest.mark.parametrize("clock", [MonotonicClock(), ManualClock(5)], ids=lambda c: type(c).__name__)
def test_a_clock_never_goes_back_and_sleeps_until_told(clock):
    assert isinstance(clock, Clock)
    first = clock.now_ns()
    clock.sleep_until(first + 2_000_000)
    assert clock.now_ns() >= first + 2_000_000
    clock.sleep_until(first)
    assert clock.now_ns() >= first + 2_000_000


@pytest.fixture(params=["loopback", "zmq"])
def link(request, hand_rig, tmp_path):
    if request.param == "loopback":
        clock = ManualClock(10)
        world = load_world(hand_rig.config.world, hand_rig.path.parent)
        emulator = Emulator(hand_rig, world, X25519PrivateKey.generate(), frozenset(), 0, clock.now_ns, see=False)
        made = LoopbackLink(emulator, clock)
    else:
        make_keys(tmp_path)
        made = ZmqLink("127.0.0.1", 5990, load_keys("device", tmp_path))
    yield made
    made.close()


def test_a_link_answers_every_verb_in_bounded_time(link):
    assert isinstance(link, Link)
    began = time.monotonic()
    assert link.send(b"nonsense") in (True, False)
    assert link.receive(0.05) is None
    with contextlib.suppress(LinkError):
        assert link.request(b"nonsense", 0.1) == b""
    assert time.monotonic() - began < 2.0


def test_a_command_to_a_peer_that_has_just_gone_does_not_block(tmp_path):
    class Gone:
        """A socket that could send a moment ago."""

        def poll(self, timeout, flags):
            return True

        def send(self, data, flags=0):
            assert flags & zmq.NOBLOCK
            raise zmq.Again

    make_keys(tmp_path)
    link = ZmqLink("127.0.0.1", 5990, load_keys("device", tmp_path))
    commands, link._commands = link._commands, Gone()
    with pytest.raises(LinkError, match=r"no implant answers at 127\.0\.0\.1:5990"):
        link.request(b"a command", 0.1)
    link._commands = commands
    link.close()


def test_keys_are_made_once_and_readable_by_their_owner_only(tmp_path):
    written = make_keys(tmp_path)
    assert {p.name for p in written} == {"device.key", "device.key_secret", "implant.key", "implant.key_secret"}
    for path in tmp_path.glob("*.key_secret"):
        assert path.stat().st_mode & 0o777 == 0o600
    assert make_keys(tmp_path) == []
    assert load_keys("implant", tmp_path).allowed_raw() == {load_keys("implant", tmp_path).peer_raw}


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: f.unlink(), "no such key; make this installation's keys with 'prosthesis keys'"),
        (lambda f: os.chmod(f, 0o644), "others may read this secret; run 'chmod 600"),
        (lambda f: f.write_text("rubbish"), "not a key file|40 characters|no secret"),
    ],
)
def test_a_spoiled_key_is_one_line_with_file_and_remedy(tmp_path, spoil, says):
    from prosthesis.errors import ConfigError

    make_keys(tmp_path)
    secret = tmp_path / "device.key_secret"
    spoil(secret)
    with pytest.raises(ConfigError, match=says) as caught:
        load_keys("device", tmp_path)
    assert str(secret) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_new_pair_takes_the_old_ones_place_and_the_old_is_no_longer_allowed(tmp_path):
    make_keys(tmp_path)
    old = load_keys("device", tmp_path)
    rotate_keys(tmp_path, "device")
    new = load_keys("device", tmp_path)
    implant = load_keys("implant", tmp_path)
    assert new.public != old.public
    assert implant.peer == new.public
    assert implant.allowed_raw() == {z85.decode(new.public)}
    rotate_keys(tmp_path, "implant")
    assert load_keys("device", tmp_path).peer == load_keys("implant", tmp_path).public != implant.public
    for path in tmp_path.glob("*.key_secret"):
        assert path.stat().st_mode & 0o777 == 0o600


def test_pairing_takes_public_keys_only(tmp_path):
    from prosthesis.errors import ConfigError

    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    make_keys(ours)
    make_keys(theirs)
    allow_device(ours, theirs / "device.key")
    allow_device(ours, theirs / "device.key")
    assert len(load_keys("implant", ours).allowed_raw()) == 2
    assert fingerprint(theirs / "device.key") != fingerprint(ours / "device.key")
    with pytest.raises(ConfigError, match=r"is a secret key.*copy device\.key instead"):
        allow_device(ours, theirs / "device.key_secret")


@pytest.mark.parametrize("sealing", ["hmac", "crc", "none"])
def test_weaker_sealing_never_leaves_this_machine(hand_rig, sealing):
    from prosthesis.errors import ConfigError

    assert not plain(hand_rig.link)
    weaker = hand_rig.link.model_copy(update={"sealing": sealing})
    assert plain(weaker)
    with pytest.raises(ConfigError, match=r"works at 127\.0\.0\.1 only.*use 'sealing: aead'"):
        plain(weaker.model_copy(update={"host": "192.168.1.7"}))
