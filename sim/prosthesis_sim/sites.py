"""What the array records at its electrodes' sites while they are stimulated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from prosthesis.errors import ConfigError
from prosthesis_sim.electrodes import ElectrodeArray
from prosthesis_sim.world import World

F64 = npt.NDArray[np.float64]
# spikes/s of a site driven to its maximum where nothing says more; V1 populations reach about this
MAX_RATE_HZ = 100.0


def recording(world: World, array: ElectrodeArray) -> Callable[[], F64]:
    """Return a function that gives each site's rate above spontaneous now, f64[n] in Hz.

    Where the world names a population, its rates, and an electrode also hears its neighbours' tissue
    (``brain/evoked.py``). Raises ``ConfigError`` when the population has another number of sites.
    """
    sites = world.config.sites
    if sites is None:
        return lambda: MAX_RATE_HZ * world.activity()
    from prosthesis_sim.brain import SiteResponse, frozen_brain

    brain, n = frozen_brain(sites.population, sites.seed), len(array.u_mm)
    if brain.n != n:
        raise ConfigError(
            f"world '{world.config.name}': key 'sites.population': '{sites.population}' has {brain.n} sites for "
            f"{n} electrodes; choose the population of this rig, or another world"
        )
    response = SiteResponse(world, array, brain.spontaneous_hz, brain.most_hz)
    range_hz: F64 = brain.most_hz - brain.spontaneous_hz
    return lambda: range_hz * response.activity()
