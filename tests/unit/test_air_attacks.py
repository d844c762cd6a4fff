"""What each way of sealing withstands: the same attacks on the same implant, which fail or succeed where they should.

An attack succeeds when it drives an electrode. The attacker hears everything on the air and has no key.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from zlib import crc32

import numpy as np
import pytest
from lab import Lab

from prosthesis.bitpacking import pack_codes
from prosthesis.messages import ImplantState
from prosthesis.sealing import Sealing
from prosthesis.wire import stop_packet

NONE, CRC, HMAC, AEAD = Sealing
PLAIN = bytes(16)


def mended(body):
    return bytes(body) + struct.pack("<I", crc32(bytes(body)))


def with_fields(packet, session=None, seq=None, t_ns=None):
    """The packet with other numbers in its header, and the CRC that goes with them."""
    body = bytearray(packet[:-4])
    for offset, kind, value in ((4, "<I", session), (8, "<I", seq), (12, "<Q", t_ns)):
        if value is not None:
            struct.pack_into(kind, body, offset, value)
    return mended(body)


def noise(lab, heard):
    packet = bytearray(lab.message([0, 0, 0, 0, 0, 0, 0, 0]))  # lost on its way, and arrives with wrong bits
    packet[26], packet[22] = 0, 10
    return [bytes(packet[:32]) + pack_codes(np.array([0, 512] * 4, np.uint16), 10).tobytes() + bytes(packet[32:])]


def forged_payload(lab, heard):
    packet = lab.message([200, 0, 0, 0])
    body = bytearray(packet[:-4])
    body[32] ^= 0b00010000  # another electrode, in clear
    return [mended(body)]


def invented(lab, heard):
    payload = pack_codes(np.array([0, 300, 0, 0, 0, 0, 0, 0], np.uint16), 10).tobytes()
    head = bytearray(heard[-1][:32])
    struct.pack_into("<IQ", head, 8, lab.seq + 1, lab.clock.now_ns())
    head[26], head[22] = 0, len(payload)
    return [mended(bytes(head) + payload + PLAIN)]


def replayed(lab, heard):
    return [heard[-1]]


def renumbered(lab, heard):
    return [with_fields(heard[-1], seq=lab.seq + 1, t_ns=lab.clock.now_ns())]


def delayed(lab, heard):
    late = lab.message([0, 300, 0, 0])
    lab.wait(200)
    return [late]


def of_the_last_session(lab, heard):
    lab.stimulating_again()
    return [heard[-1]]


def moved_to_this_session(lab, heard):
    lab.stimulating_again()
    return [with_fields(heard[-1], session=lab.implant.session, seq=lab.seq + 1, t_ns=lab.clock.now_ns())]


# attack -> against which sealing it succeeds
SUCCEEDS = {
    noise: {NONE},
    forged_payload: {NONE, CRC},
    invented: {NONE, CRC},
    replayed: set(),
    renumbered: {NONE, CRC},
    delayed: set(),
    of_the_last_session: set(),
    moved_to_this_session: {NONE, CRC},
}


class Bench(Lab):
    """Electrode 0 was driven once, is silent now, and the implant waits for more."""

    def __init__(self, rig, sealing):
        super().__init__(replace(rig, link=rig.link.model_copy(update={"sealing": sealing.value})))
        self.stimulating()
        self.frame((0, 0, 0, 0, 0, 0, 0, 0))
        self.heard = [message for message in self.link.sent if message[3] == 1][:1]
        assert not self.driven()

    def stimulating_again(self):
        self.session = self.new_session()
        self.session.open()
        for _ in range(10):
            self.frame((0, 0, 0, 0))
        self.session.arm()
        self.frame((0, 0, 0, 0))
        assert self.implant.state is ImplantState.STIMULATING

    def driven(self):
        return bool(self.wait(20)[0].amplitude_ua.any())


@pytest.mark.parametrize("sealing", list(Sealing), ids=lambda s: s.value)
@pytest.mark.parametrize("attack", SUCCEEDS, ids=lambda a: a.__name__)
def test_an_attack_succeeds_only_where_it_should(hand_rig, attack, sealing):
    lab = Bench(hand_rig, sealing)
    for packet in attack(lab, lab.heard):
        lab.implant.receive([packet], lab.clock.now_ns())
    assert lab.driven() == (sealing in SUCCEEDS[attack])


@pytest.mark.parametrize("sealing", list(Sealing), ids=lambda s: s.value)
def test_anybody_may_stop_it(hand_rig, sealing):
    lab = Bench(hand_rig, sealing)
    lab.frame((200, 0, 0, 0))
    lab.implant.receive([stop_packet(0, 0)], lab.clock.now_ns())
    assert lab.implant.state is ImplantState.STOPPED
    assert not lab.driven()


@pytest.mark.parametrize("sealing", list(Sealing), ids=lambda s: s.value)
def test_only_aead_hides_what_is_stimulated(hand_rig, sealing):
    lab = Bench(hand_rig, sealing)
    codes = np.array([1, 2, 3, 4, 5, 6, 7, 8], np.uint16)
    packet = lab.session.seal(99, 0, codes)
    assert (pack_codes(codes, 10).tobytes() in packet) == (sealing is not AEAD)


@pytest.mark.parametrize("sealing", [HMAC, AEAD], ids=lambda s: s.value)
def test_with_a_key_only_known_devices_open_a_session(hand_rig, sealing):
    from prosthesis.errors import LinkError

    rig = replace(hand_rig, link=hand_rig.link.model_copy(update={"sealing": sealing.value}))
    with pytest.raises(LinkError, match="not among its allowed keys"):
        Lab(rig, allowed=False).session.open()


def test_an_implant_takes_no_weaker_sealing_than_its_own(hand_rig):
    lab = Bench(hand_rig, AEAD)
    (packet,) = invented(lab, lab.heard)
    lab.implant.receive([packet], lab.clock.now_ns())
    assert not lab.driven()


def test_a_device_that_is_no_longer_allowed_loses_its_session(hand_rig):
    lab = Bench(hand_rig, AEAD)
    lab.door.allow(frozenset([lab.credentials.identity.public_key().public_bytes_raw()]))
    lab.frame()
    assert lab.implant.state is ImplantState.STIMULATING
    lab.door.allow(frozenset())
    assert lab.implant.state is ImplantState.SAFE
    lab.frame()
    assert not lab.driven()
