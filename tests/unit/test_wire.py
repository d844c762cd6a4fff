from __future__ import annotations

import numpy as np
import pytest

from prosthesis.bitpacking import index_bits, pack_codes, pack_pairs
from prosthesis.messages import Refusal
from prosthesis.wire import (
    OVERHEAD_BYTES,
    Configuration,
    Direction,
    Header,
    Modulated,
    PacketType,
    Sealer,
    WireError,
    check_tile,
    decode_configuration,
    holds_stop,
    read_header,
    read_tiles,
    seal_pattern,
    split,
    stop_packet,
)

KEY = bytes(range(32))


def ends(session=9):
    return Sealer(KEY, session, Direction.DOWN), Sealer(KEY, session, Direction.UP)


def message(codes, seq=1, bits=10, tile=64):
    head = Header(PacketType.PATTERN, 9, seq, 123_456_789, 100, profile=77)
    return seal_pattern(ends()[0], head, np.asarray(codes, np.uint16), bits, tile)


def refused(action):
    with pytest.raises(WireError) as caught:
        action()
    return caught.value.refusal


def test_four_codes_of_ten_bits_are_the_bits_written_by_hand():
    codes = np.array([0b1111100000, 0b0000011111, 1, 512, 0, 0, 0, 0], np.uint16)
    assert pack_codes(codes, 10).tobytes()[:5] == bytes([0b11111000, 0b00000001, 0b11110000, 0b00000110, 0b00000000])


def test_header_travels_clear_and_unchanged():
    (packet,) = split(message(range(1, 9), tile=8))
    header = read_header(packet)
    assert (header.session, header.seq, header.t_ns, header.ttl_ms, header.profile) == (9, 1, 123_456_789, 100, 77)
    assert (header.tile, header.tiles) == (0, 1)


def test_the_size_of_a_dense_frame_is_payload_plus_52_bytes_a_tile():
    assert OVERHEAD_BYTES == 52
    assert len(message(np.full(1024, 5), tile=64)) == 1280 + 16 * 52


def test_a_mostly_silent_frame_travels_sparse():
    codes = np.zeros(1024, np.uint16)
    codes[3] = 500
    assert len(message(codes)) == 16 * 52 + 2  # 6 bits of index, 10 of code


@pytest.mark.parametrize("position", [0, 3, 5, 20, 30, 40, -1])
def test_any_flipped_byte_is_refused(position):
    (packet,) = split(message(range(1, 9), tile=8))
    broken = bytearray(packet)
    broken[position] ^= 1
    assert refused(lambda: ends()[1].open(bytes(broken))) in (Refusal.CORRUPT, Refusal.TRUNCATED)


def test_a_forger_who_mends_the_crc_is_refused_by_the_tag():
    import struct
    import zlib

    (packet,) = split(message(range(1, 9), tile=8))
    body = bytearray(packet[:-4])
    body[36] ^= 1
    forged = bytes(body) + struct.pack("<I", zlib.crc32(bytes(body)))
    assert refused(lambda: ends()[1].open(forged)) is Refusal.FORGED


def test_a_header_changed_by_a_forger_is_refused_by_the_tag():
    import struct
    import zlib

    (packet,) = split(message(range(1, 9), tile=8))
    body = bytearray(packet[:-4])
    body[8] ^= 1  # the sequence number
    forged = bytes(body) + struct.pack("<I", zlib.crc32(bytes(body)))
    assert refused(lambda: ends()[1].open(forged)) is Refusal.FORGED


def test_another_session_another_key_and_an_echo_are_refused():
    (packet,) = split(message(range(1, 9), tile=8))
    assert refused(lambda: ends(10)[1].open(packet)) is Refusal.SESSION
    assert refused(lambda: Sealer(bytes(32), 9, Direction.UP).open(packet)) is Refusal.FORGED
    assert refused(lambda: ends()[0].open(packet)) is Refusal.FORGED  # our own packet sent back to us


def test_a_truncated_packet_is_refused_at_every_length():
    (packet,) = split(message(range(1, 9), tile=8))
    for length in range(len(packet)):
        assert refused(lambda n=length: ends()[1].open(packet[:n])) in (Refusal.TRUNCATED, Refusal.CORRUPT)


def test_a_broken_tile_loses_only_itself():
    codes = np.arange(256, dtype=np.uint16)
    packets = list(split(message(codes)))
    broken = bytearray(packets[1])
    broken[45] ^= 8
    packets[1] = bytes(broken)
    good = []
    for packet in packets:
        try:
            good.append(ends()[1].open(packet))
        except WireError:
            continue
    tiles = dict(zip([h.tile for h, _ in good], read_tiles(good, 10, 64), strict=True))
    assert sorted(tiles) == [0, 2, 3]
    assert np.array_equal(tiles[2], codes[128:192])


def test_stop_is_readable_without_any_key():
    assert read_header(stop_packet(5, 0)).type is PacketType.STOP


def test_a_configuration_survives_and_its_profile_changes_with_any_value():
    n = 12
    configuration = Configuration(
        Modulated.AMPLITUDE, 10, 100, 8, 60, 450,
        np.full(n, 170, np.uint16), np.zeros(n, np.uint32),
        np.full(n, 300_000, np.uint32), np.arange(n, dtype=np.uint8),
    )  # fmt: skip
    body = configuration.encode()
    back = decode_configuration(body)
    assert back.encode() == body
    assert back.profile == configuration.profile
    changed = bytearray(body)
    changed[-1] ^= 1
    assert decode_configuration(bytes(changed)).profile != configuration.profile


@pytest.mark.parametrize("body", [b"", b"x", bytes(14), bytes(40)])
def test_what_is_not_a_configuration_is_refused(body):
    assert refused(lambda: decode_configuration(body)) is Refusal.LAYOUT


def test_sparse_payloads_with_impossible_indices_are_refused():
    header = Header(PacketType.PATTERN, 9, 1, 0, flags=1)
    pairs = {
        "an index beyond a tile of 40": (40, bytes([0b10100000, 1])),
        "half a pair": (64, b"\x01"),
        "a code of 0": (64, b"\x04\x00"),
        "one electrode twice": (64, b"\x04\x01\x04\x02"),
        "falling indices": (64, b"\x08\x01\x04\x02"),
        "a byte too many": (64, b"\x04\x01\x00"),
        "a pair too many": (64, b"\x04\x01\x00\x00"),
    }
    for what, (tile, payload) in pairs.items():
        assert refused(lambda t=tile, p=payload: check_tile(header, p, 10, t)) is Refusal.LAYOUT, what


def test_a_dense_payload_of_another_length_is_refused():
    header = Header(PacketType.PATTERN, 9, 1, 0)
    check_tile(header, bytes(80), 10, 64)
    for length in (0, 79, 81):
        assert refused(lambda n=length: check_tile(header, bytes(n), 10, 64)) is Refusal.LAYOUT


def test_sparse_pairs_are_the_bits_written_by_hand():
    header = Header(PacketType.PATTERN, 9, 1, 0, flags=1)
    codes = np.zeros(64, np.uint16)
    codes[[1, 63]] = 1, 1023
    (payload,) = pack_pairs(codes, 10, 64)
    assert payload == bytes([0b00000100, 0b00000001, 0b11111111, 0b11111111])
    for good in (b"", payload):
        check_tile(header, good, 10, 64)
    assert np.array_equal(read_tiles([(header, payload)], 10, 64)[0], codes)


def test_zeros_that_fill_the_last_byte_may_be_as_long_as_a_pair():
    header = Header(PacketType.PATTERN, 9, 1, 0, flags=1)
    codes = np.array([0, 0, 0, 0, 0, 9, 0, 7], np.uint16)
    assert index_bits(8) == 3
    (payload,) = pack_pairs(codes, 4, 8)
    assert payload == bytes([0b10110011, 0b11011100])  # 101 1001, 111 0111, and two zeros
    check_tile(header, payload, 4, 8)
    one = bytes([0b10110010, 0])  # 101 1001, and nine zeros: a byte too many
    assert refused(lambda: check_tile(header, one, 4, 8)) is Refusal.LAYOUT
    assert np.array_equal(read_tiles([(header, payload)], 4, 8)[0], codes)


def test_a_stop_is_noticed_anywhere_in_a_message():
    pattern = message(range(1, 9), tile=8)
    assert not holds_stop(pattern)
    assert not holds_stop(b"nonsense")
    assert holds_stop(stop_packet(5, 0))
    assert holds_stop(pattern + stop_packet(5, 0))
