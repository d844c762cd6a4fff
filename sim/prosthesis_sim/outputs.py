"""What an implant's electrodes are driven with, to be compared before and after something was received."""

from __future__ import annotations

from dataclasses import dataclass

from prosthesis.messages import ImplantState
from prosthesis_sim.frontend import I64


@dataclass(frozen=True, slots=True)
class Outputs:
    """What decides all that electrodes will do if nothing more is received: i64[n] and ns of the implant's clock."""

    state: ImplantState
    amplitude_na: I64
    rate_mhz: I64
    expires_ns: tuple[int, ...]
    last_valid_ns: int
