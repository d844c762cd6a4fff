"""Hop 3: the rates with which these sites would answer what the machine code stands for, by a fitted code map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prosthesis.brainmap import CodeMapLike
from prosthesis.errors import ConfigError
from prosthesis.messages import BrainCode, MachineCode, readonly

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class BijectiveTranslator:
    """``code_map`` joins latent codes f32[d] and rates f[m] in Hz; activity is (rate - spontaneous) / evoked.

    ``sites`` i64[m] are the electrodes that the map knows, of all that ``enabled`` [n] tells of; ``spontaneous_hz``
    f64[m] their rates at rest, ``evoked_hz`` f64[n] how far above it each electrode's site can be driven. Electrodes
    unknown to the map or not enabled get activity 0; on the way back a known one that is not enabled counts as the rate
    it would have for the code of zeros, which tells the map nothing. Raises ``ConfigError`` when lengths do not fit.
    """

    def __init__(
        self, code_map: CodeMapLike, sites: npt.ArrayLike, spontaneous_hz: F64, evoked_hz: F64, enabled: Mask
    ) -> None:
        self._sites: I64 = np.asarray(sites, np.int64)
        n = len(enabled)
        if code_map.n != len(self._sites) or len(spontaneous_hz) != code_map.n or len(evoked_hz) != n:
            raise ConfigError(
                f"key 'translator.map': a map of {code_map.n} sites with {len(self._sites)} electrodes and "
                f"{len(spontaneous_hz)} rates at rest; make it again"
            )
        if len(self._sites) and self._sites.max() >= n:
            raise ConfigError(
                f"key 'translator.map': the map knows electrode {self._sites.max()}, but there are {n}; "
                "make a map for this rig"
            )
        self._map, self._n, self._off = code_map, n, ~enabled[self._sites]
        self._rest: F64 = np.asarray(spontaneous_hz, np.float64)
        self.evoked_hz: F64 = np.asarray(evoked_hz, np.float64)
        self._evoked = self.evoked_hz[self._sites]
        use = ~self._off & (self._evoked > 0)
        self._per_hz: F64 = np.where(use, 1 / np.maximum(self._evoked, 1e-9), 0.0)
        neutral = np.asarray(code_map.to_brain(np.zeros((1, code_map.d))), np.float64)[0]
        self._neutral: F64 = neutral - self._rest

    def translate(self, code: MachineCode) -> BrainCode:
        """Return the wanted activity f32[n]; what is outside 0..1 is clipped and counted, NaN passes on.

        Stimulation only raises activity: all that asks for less than a site's rate at rest is lost here.
        """
        wanted = (self._map.to_brain(code.values[None])[0] - self._rest) * self._per_hz
        clipped = np.clip(wanted, 0.0, 1.0)
        count = int(np.count_nonzero(np.abs(wanted - clipped) > 1e-6))
        activity = np.zeros(self._n)
        activity[self._sites] = clipped
        return BrainCode(code.seq, code.t_ns, readonly(activity, np.float32), count)

    def invert(self, code: BrainCode) -> MachineCode:
        """Return the machine code that the map reads from the activity."""
        return self.read(code.seq, code.t_ns, code.activity.astype(np.float64) * self.evoked_hz)

    def read(self, seq: int, t_ns: int, above_hz: npt.NDArray[np.floating]) -> MachineCode:
        """Return the machine code that the map reads from recorded rates above spontaneous, f[n] in Hz."""
        above = np.where(self._off, self._neutral, above_hz[self._sites])
        values = readonly(self._map.to_machine((self._rest + above)[None])[0], np.float32)
        return MachineCode(seq, t_ns, values, "latent", values.shape)
