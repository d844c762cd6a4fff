"""The same sites answering stimulation: what a World's tissue does, heard by the electrodes around it too."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prosthesis.errors import ConfigError
from prosthesis.messages import Delivered
from prosthesis_sim.electrodes import ElectrodeArray
from prosthesis_sim.phosphenes import PulseBrightness
from prosthesis_sim.screen import SpotSpread, sigma_mm
from prosthesis_sim.world import World

F64 = npt.NDArray[np.float64]
# beyond this nothing is heard: at 200 uA, by sqrt(I / K) / 2 with Tehovnik's K, less than a millionth
HEARD_MM = 1.5


class SiteResponse:
    """Rates at a world's sites: spontaneous + activity x (most - spontaneous).

    Activity is the World's (threshold, time course, currents that add), dimmed by habituation as brightness is; tissue
    that an electrode activates also drives its neighbours, by exp(-d^2 / 2 sigma^2) with the World's spread sigma of
    its last current. Contributions combine as independent chances do, 1 - prod(1 - a). A dead site stays spontaneous.
    Stimulation drives all that lies at a site alike: units of other tuning there cannot be addressed.
    """

    def __init__(self, world: World, array: ElectrodeArray, spontaneous_hz: F64, most_hz: F64) -> None:
        if not isinstance(world.config.spread, SpotSpread):
            raise ConfigError(
                f"world '{world.config.name}': key 'spread': a brain needs spots on a cortex, not streaks"
            )
        if len(spontaneous_hz) != len(array.u_mm) or len(most_hz) != len(array.u_mm):
            raise ConfigError(f"brain of {len(spontaneous_hz)} sites, array of {len(array.u_mm)}; take the rig's own")
        self.world, self.spread = world, world.config.spread
        self.spontaneous_hz, self.most_hz = spontaneous_hz, most_hz
        squared = (array.u_mm[:, None] - array.u_mm) ** 2 + (array.v_mm[:, None] - array.v_mm) ** 2
        # row by row, so that products can be taken site by site; every site hears at least itself
        site, self._source = np.nonzero(squared < HEARD_MM**2)
        self._squared_mm = squared[site, self._source]
        self._start = np.searchsorted(site, np.arange(len(array.u_mm)))

    def step(self, delivered: Delivered) -> F64:
        """Live through one interval and return the rates f64[n] in Hz at its end."""
        self.world.step(delivered)
        return self.rates_hz()

    def rates_hz(self) -> F64:
        """Return the rates f64[n] now."""
        return np.asarray(self.spontaneous_hz + self.activity() * (self.most_hz - self.spontaneous_hz))

    def activity(self) -> F64:
        """Return each site's activity f64[n] in 0..1."""
        own = self.world.activity()
        if isinstance(self.world.bright, PulseBrightness):  # the other law habituates before activity
            own = own / (1 + self.world.state.trace)
        wide = 2 * np.maximum(sigma_mm(self.spread, self.world.state.last_ua), 1e-9) ** 2
        reach = own[self._source] * np.exp(-self._squared_mm / wide[self._source])
        heard: F64 = 1 - np.multiply.reduceat(1 - reach, self._start)
        return np.where(self.world.person.responsive, heard, 0.0)


def evoked_hz(response: SiteResponse, pattern: Delivered) -> F64:
    """Return what one interval of delivery evokes above spontaneous, f64[n] in Hz, after all before it."""
    return np.asarray(response.step(pattern) - response.spontaneous_hz)
