from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from prosthesis.config import Rig, load_rig

# a shared machine is late at times, and compiled code compiles in the first example
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
RIGS = Path(__file__).parent / "rigs"


@pytest.fixture
def hand_rig() -> Rig:
    """Four electrodes whose every number can be checked by hand."""
    return load_rig(str(RIGS / "hand2x2" / "rig.yaml"))
