"""A rig's ``backend`` line: which device on the bench takes the place of implant and air, and where it is."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from prosthesis.errors import ConfigError
from prosthesis.stimulator.backend import StimulatorBackend
from prosthesis.stimulator.model import Capabilities

STYLES = {"intan": "channels", "ripple": "channels", "cerestim": "program"}
EXAMPLES = "intan://127.0.0.1:5000, ripple://, cerestim://0"


def check_address(address: str, capabilities: Capabilities) -> None:
    """Raise ``ConfigError`` when the address is none, or its device is not told things as the profile is."""
    scheme = urlsplit(address).scheme
    if scheme not in STYLES or "://" not in address:
        raise ConfigError(f"key 'backend': '{address}' is no stimulator's address; write one of {EXAMPLES}")
    if capabilities.style != STYLES[scheme]:
        raise ConfigError(
            f"key 'backend': {scheme} is of style {STYLES[scheme]}, stimulator '{capabilities.device}' of style "
            f"{capabilities.style}; name the device's own profile"
        )


def open_backend(address: str, capabilities: Capabilities, now_ns: Callable[[], int]) -> StimulatorBackend:
    """Connect to the device at a checked address; ``StimulatorError`` when it is not there or is another."""
    parts = urlsplit(address)
    match parts.scheme:
        case "intan":
            from prosthesis.stimulator.intan import PORT, IntanBackend

            return IntanBackend(capabilities, parts.hostname or "127.0.0.1", parts.port or PORT, now_ns)
        case "ripple":
            from prosthesis.stimulator.ripple import RippleBackend

            return RippleBackend(capabilities, now_ns=now_ns)
        case _:
            from prosthesis.stimulator.cerestim import CereStimBackend

            return CereStimBackend(capabilities, int(parts.netloc or 0), now_ns)
