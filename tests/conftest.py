from __future__ import annotations

from pathlib import Path

import pytest

from prosthesis.config import Rig, load_rig

RIGS = Path(__file__).parent / "rigs"


@pytest.fixture
def hand_rig() -> Rig:
    """Four electrodes whose every number can be checked by hand."""
    return load_rig(str(RIGS / "hand2x2" / "rig.yaml"))
