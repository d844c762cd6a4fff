from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from prosthesis.wire import Direction, Header, PacketType, Sealer, WireError, read_tiles, seal_pattern, split

DOWN = Sealer(bytes(32), 1, Direction.DOWN)
UP = Sealer(bytes(32), 1, Direction.UP)


@st.composite
def frames(draw):
    bits = draw(st.integers(4, 16))
    tile = 8 * draw(st.integers(1, 20))
    n = draw(st.integers(1, 500))
    density = draw(st.sampled_from([0.0, 0.05, 0.5, 1.0]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    codes = random.integers(0, 1 << bits, n) * (random.random(n) < density)
    return bits, tile, codes.astype(np.uint16)


@given(frames(), st.integers(1, 2**32 - 1), st.integers(0, 2**63))
def test_what_is_sealed_is_what_is_read(frame, seq, t_ns):
    bits, tile, codes = frame
    message = seal_pattern(DOWN, Header(PacketType.PATTERN, 1, seq, t_ns, 100), codes, bits, tile)
    opened = [UP.open(packet) for packet in split(message)]
    assert [header.tile for header, _ in opened] == list(range(len(opened)))
    assert all(header.seq == seq and header.t_ns == t_ns for header, _ in opened)
    read = np.concatenate(read_tiles(opened, bits, tile))
    assert np.array_equal(read[: len(codes)], codes)
    assert not read[len(codes) :].any()


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_random_bytes_are_refused_and_never_crash(data):
    for packet in split(data):
        try:
            UP.open(packet)
        except WireError:
            continue
        raise AssertionError("random bytes were accepted")
