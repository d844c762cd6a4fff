"""Hop 3: the rates with which these sites would answer what the machine code stands for, by a fitted code map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prosthesis.brainmap import CodeMap
from prosthesis.errors import ConfigError
from prosthesis.messages import BrainCode, MachineCode, readonly

F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class BijectiveTranslator:
    """``code_map`` joins latent codes f32[d] and rates f[n] in Hz; activity is (rate - spontaneous) / evoked.

    ``spontaneous_hz`` f64[n] are the sites' rates at rest, ``evoked_hz`` f64[n] how far above it each can be driven,
    ``enabled`` the sites in use; one that is not has activity 0 on the way out, and on the way back counts as the rate
    it would have for the code of zeros, which tells the map nothing. Raises ``ConfigError`` when lengths do not fit.
    """

    def __init__(self, code_map: CodeMap, spontaneous_hz: F64, evoked_hz: F64, enabled: Mask) -> None:
        lengths = {len(spontaneous_hz), len(evoked_hz), len(enabled)}
        if lengths != {code_map.n}:
            raise ConfigError(
                f"key 'translator.map': a map of {code_map.n} sites, but there are {len(enabled)} electrodes; "
                "make a map for this rig"
            )
        self._map, self._off = code_map, ~enabled
        self.rest_hz: F64 = np.asarray(spontaneous_hz, np.float64)
        self.evoked_hz: F64 = np.asarray(evoked_hz, np.float64)
        self._per_hz: F64 = np.where(enabled & (evoked_hz > 0), 1 / np.maximum(evoked_hz, 1e-9), 0.0)
        self._neutral: F64 = np.asarray(code_map.to_brain(np.zeros((1, code_map.d))), np.float64)[0]

    def translate(self, code: MachineCode) -> BrainCode:
        """Return the wanted activity f32[n]; what is outside 0..1 is clipped and counted, NaN passes on.

        Stimulation only raises activity: all that asks for less than a site's rate at rest is lost here.
        """
        wanted = self._map.to_brain(code.values[None])[0] - self.rest_hz
        wanted = wanted * self._per_hz
        clipped = np.clip(wanted, 0.0, 1.0)
        count = int(np.count_nonzero(np.abs(wanted - clipped) > 1e-6))
        return BrainCode(code.seq, code.t_ns, readonly(clipped, np.float32), count)

    def invert(self, code: BrainCode) -> MachineCode:
        """Return the machine code that the map reads from the activity."""
        rates = self.rest_hz + code.activity.astype(np.float64) * self.evoked_hz
        return self.read(code.seq, code.t_ns, rates)

    def read(self, seq: int, t_ns: int, rates_hz: npt.NDArray[np.floating]) -> MachineCode:
        """Return the machine code that the map reads from rates f[n] recorded at the sites."""
        rates = np.where(self._off, self._neutral, rates_hz)
        values = readonly(self._map.to_machine(rates[None])[0], np.float32)
        return MachineCode(seq, t_ns, values, "latent", values.shape)
