"""How fast the neurons at the electrodes' sites can be driven."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prosthesis.errors import ConfigError
from prosthesis_sim.patient import WorldConfig

F64 = npt.NDArray[np.float64]
# spikes/s of a site driven to its maximum where nothing says more; V1 populations reach about this
MAX_RATE_HZ = 100.0


def most_evoked_hz(config: WorldConfig, electrodes: int) -> F64:
    """Return each site's rate above spontaneous when driven to its maximum, f64[electrodes] in Hz.

    Raises ``ConfigError`` when the world's population has another number of sites.
    """
    if config.sites is None:
        return np.full(electrodes, MAX_RATE_HZ)
    from prosthesis_sim.brain import frozen_brain

    brain = frozen_brain(config.sites.population, config.sites.seed)
    if brain.n != electrodes:
        raise ConfigError(
            f"world '{config.name}': key 'sites.population': '{config.sites.population}' has {brain.n} sites for "
            f"{electrodes} electrodes; choose the population of this rig, or another world"
        )
    most: F64 = np.asarray(brain.most_hz - brain.spontaneous_hz, np.float64)
    return most
