"""How long a pattern occupies the air, and what a device does when that is too long.

Three things give way, in this order. Tiles: a link whose ``tile_electrodes`` is 0 takes the size that carries most
electrodes a second over its air (large ones cost less, small ones lose less to one wrong bit). Sparse: of a pattern
that takes longer than the link's ``air_ms``, the weakest electrodes are silenced until it fits, and reported. Rate: a
pattern waits while another is on the air, and only the newest does.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from prosthesis.bitpacking import U16, index_bits
from prosthesis.config import RadioConfig
from prosthesis.messages import Intervention
from prosthesis.radio import air_bytes
from prosthesis.wire import OVERHEAD_BYTES, Configuration


class AirTime:
    """Keeps every pattern of one configuration within ``air_ms`` on the air of ``radio``."""

    def __init__(self, configuration: Configuration, radio: RadioConfig, air_ms: float | None) -> None:
        self._tile, self._bits = configuration.tile_electrodes, configuration.bits
        self._tiles = -(-configuration.electrodes // self._tile)
        self._pair = index_bits(self._tile) + self._bits
        self._radio, self._air_ms = radio, air_ms

    def ms(self, codes: U16) -> float:
        """Return how long ``codes`` u16[n] occupy the air; 0 where its rate has no limit."""
        return self._ms([OVERHEAD_BYTES + size for size in self._payload_bytes(codes)])

    def longest_ms(self) -> float:
        """Return the same of a pattern with all electrodes driven."""
        return self._ms([OVERHEAD_BYTES + self._tile * self._bits // 8] * self._tiles)

    def fit(self, codes: U16) -> tuple[U16, tuple[Intervention, ...]]:
        """Return ``codes`` with the weakest silenced until they fit, and what was done if anything was."""
        if self._air_ms is None or self._radio.rate_kbps is None or (wanted_ms := self.ms(codes)) <= self._air_ms:
            return codes, ()
        strongest = np.argsort(codes, kind="stable")[::-1][: np.count_nonzero(codes)]
        few, many = 0, len(strongest)
        while few < many:  # the most that fit; the air time never falls with more of them
            middle = (few + many + 1) // 2
            fits = self.ms(_only(codes, strongest[:middle])) <= self._air_ms
            few, many = (middle, many) if fits else (few, middle - 1)
        cut = len(strongest) - few
        return _only(codes, strongest[:few]), (
            Intervention("air time", "hard", cut, round(wanted_ms, 1), self._air_ms, "ms"),
        )

    def _payload_bytes(self, codes: U16) -> list[int]:
        padded = np.zeros(self._tiles * self._tile, np.uint16)
        padded[: len(codes)] = codes
        active = np.count_nonzero(padded.reshape(self._tiles, self._tile), axis=1)
        sizes: list[int] = np.minimum((active * self._pair + 7) // 8, self._tile * self._bits // 8).tolist()
        return sizes

    def _ms(self, packets: list[int]) -> float:
        if self._radio.rate_kbps is None:
            return 0.0
        return math.fsum(air_bytes(size, self._radio.parity) for size in packets) * 8 / self._radio.rate_kbps


def _only(codes: U16, kept: npt.NDArray[np.intp]) -> U16:
    fewer = np.zeros_like(codes)
    fewer[kept] = codes[kept]
    return fewer
