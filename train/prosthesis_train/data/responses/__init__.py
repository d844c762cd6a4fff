"""Responses of real brains to images: one form for all, and a loader for each set."""

from __future__ import annotations

from prosthesis_train.data.responses.adapters import digits69, god, nsd, nwb, vim1
from prosthesis_train.data.responses.miyawaki import miyawaki
from prosthesis_train.data.responses.recordings import Recordings, clean

__all__ = ["Recordings", "clean", "digits69", "god", "miyawaki", "nsd", "nwb", "vim1"]
