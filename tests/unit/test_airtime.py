"""How long 1024 electrodes take at 200 kbit/s, and what gives way."""

from __future__ import annotations

import math

import numpy as np
import pytest

from prosthesis.airtime import AirTime
from prosthesis.config import RadioConfig, load_rig, names
from prosthesis.modulator import PulseModulator
from prosthesis.radio import best_tile_electrodes, packet_loss
from prosthesis.wire import Direction, Header, PacketType, Sealer, seal_pattern, split
from prosthesis_sim.channel import Channel

BITS = 10
DRIVEN = np.arange(1, 1025).astype(np.uint16) % 1023 + 1


def air(name, rig="nhp1024"):
    loaded = load_rig(rig, uncalibrated=True, air=name)
    return AirTime(PulseModulator(loaded).configuration, loaded.link.radio, loaded.link.air_ms), loaded.link


def sealed_ms(codes, tile, rate_kbps):
    sealer = Sealer(bytes(32), 1, Direction.DOWN)
    head = Header(PacketType.PATTERN, 1, 1, 0)
    return len(seal_pattern(sealer, head, codes, BITS, tile)) * 8 / rate_kbps


def test_1024_electrodes_at_200_kbps_take_what_their_tiles_add_up_to():
    # 16 tiles of 64 x 10 bits and 52 bytes: 2112 bytes; in one tile 1332; the bare codes 1280
    for tile, expected_ms in ((64, 84.48), (1024, 53.28)):
        assert sealed_ms(DRIVEN, tile, 200) == pytest.approx(expected_ms)
    assert air("radio_200kbps")[0].longest_ms() == pytest.approx(84.48)
    assert air("radio_200kbps_fit")[0].longest_ms() == pytest.approx(53.28)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("name", ["radio_200kbps", "radio_200kbps_fit"])
def test_the_time_is_that_of_the_sealed_message(name, share):
    time, link = air(name)
    codes = np.where(np.random.default_rng(1).random(1024) < share, DRIVEN, 0).astype(np.uint16)
    assert time.ms(codes) == pytest.approx(sealed_ms(codes, link.tile_electrodes, 200))


def test_what_does_not_fit_loses_its_weakest_electrodes_and_says_so():
    time, link = air("radio_200kbps_fit")
    codes, (cut,) = time.fit(DRIVEN)
    kept = np.flatnonzero(codes)
    # one tile: 832 bytes in 33.3 ms, less 52, at 20 bits a pair
    assert len(kept) == (832 - 52) * 8 // 20 == 312
    assert time.ms(codes) <= link.air_ms
    assert DRIVEN[kept].min() >= np.sort(DRIVEN)[-312]
    assert np.array_equal(codes[kept], DRIVEN[kept])
    assert (cut.rule, cut.electrodes, cut.worst, cut.limit, cut.unit) == ("air time", 712, 53.3, 33.3, "ms")


def test_what_fits_is_left_alone():
    for name in ("radio_200kbps", "radio_200kbps_fit", "loopback"):
        few = np.where(np.arange(1024) < 100, DRIVEN, 0).astype(np.uint16)
        codes, cuts = air(name)[0].fit(few)
        assert codes is few
        assert cuts == ()


@pytest.mark.parametrize("bit_error", [1e-5, 1e-4, 3e-4])
def test_the_best_tile_is_that_of_the_closed_form(bit_error):
    # most of k/(h + k) (1 - p)^(h + k): k^2 + h k = h / p, in bits
    h = 52 * 8
    k = (-h + math.sqrt(h * h - 4 * h / math.log1p(-bit_error))) / 2
    tile = best_tile_electrodes(16 * 1024, BITS, RadioConfig(bit_error=bit_error))
    assert tile == pytest.approx(k / BITS, rel=0.1)  # tiles come in eights, and the last is seldom full


def test_a_perfect_air_and_one_with_a_code_take_large_tiles():
    assert best_tile_electrodes(1024, BITS, RadioConfig()) == 1024
    assert best_tile_electrodes(60, BITS, RadioConfig()) == 64
    assert best_tile_electrodes(1024, BITS, RadioConfig(bit_error=1e-4, parity=16)) == 1024


def test_parity_is_worth_hundreds_of_times_the_bit_errors():
    def tolerated(parity):  # the bit error rate at which 1 % of tiles of 64 electrodes are lost
        low, high = 1e-9, 0.4
        for _ in range(60):
            middle = math.sqrt(low * high)
            lost = packet_loss(132, RadioConfig(bit_error=middle, parity=parity)) > 0.01
            low, high = (low, middle) if lost else (middle, high)
        return low

    assert tolerated(0) == pytest.approx(-math.log(0.99) / 1056, rel=1e-3)
    assert tolerated(16) > 200 * tolerated(0)


def test_every_radio_that_ships_says_that_its_errors_are_synthetic():
    from prosthesis.config import config_root

    for name in names("links"):
        text = (config_root() / "links" / f"{name}.yaml").read_text()
        assert ("synthetic" in text) == ("loss" in text or "bit_error" in text), name
        load_rig("utah96", uncalibrated=True, air=name)


@pytest.mark.parametrize(("name", "last_ms"), [("radio_200kbps", 84.48), ("radio_200kbps_fit", 53.28)])
def test_the_last_tile_arrives_when_all_have_passed_the_air(name, last_ms):
    link = air(name)[1]
    radio = link.radio.model_copy(update={"loss": 0.0, "bit_error": 0.0})
    sealer = Sealer(bytes(32), 1, Direction.DOWN)
    message = seal_pattern(sealer, Header(PacketType.PATTERN, 1, 1, 0), DRIVEN, BITS, link.tile_electrodes)
    channel = Channel(radio, 0)
    channel.send(split(message), 0)
    arrivals_ms = []
    while (t_ns := channel.next_arrival_ns()) is not None:
        arrivals_ms += [t_ns / 1e6] * len(channel.arrivals(t_ns))
    assert arrivals_ms[-1] == pytest.approx(last_ms + radio.delay_ms)
    assert len(arrivals_ms) == 1024 // link.tile_electrodes
    assert np.diff(arrivals_ms) == pytest.approx(last_ms / len(arrivals_ms))
