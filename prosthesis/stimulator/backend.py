"""The one seam behind which a lab device and its emulator are the same; ``tests/contract`` has its suite."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from prosthesis.stimulator.model import (
    Capabilities,
    Ceiling,
    Measurement,
    Program,
    StimulationFrame,
    StimulatorEvent,
    StimulatorTelemetry,
    Trigger,
    Waveform,
)


@runtime_checkable
class StimulatorBackend(Protocol):
    """A stimulator that is told what to play; every refusal is a ``StimulatorError`` and changes nothing.

    It drives nothing until ``play`` or a trigger. ``stop`` and ``abort`` are obeyed in every state.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What it can do, e.g. ``Capabilities("cerestim_r96", style="program", electrodes=96, waveforms=15, ...)``."""
        ...

    def configure(self, waveform: Waveform) -> None:
        """Put a waveform into its slot of the bank."""
        ...

    def load(self, program: Program) -> None:
        """Replace the program; its waveforms must be in the bank."""
        ...

    def play(self) -> None:
        """Start the program, or go on after ``pause``."""
        ...

    def pause(self) -> None:
        """Hold the program where it is; pulses under way are completed."""
        ...

    def stop(self) -> None:
        """End the program or the waiting for a trigger; pulses under way are completed."""
        ...

    def abort(self) -> None:
        """Stop and lock until ``reset``."""
        ...

    def reset(self) -> None:
        """Unlock, with an empty bank and no program, as if switched on."""
        ...

    def show(self, frame: StimulationFrame) -> None:
        """Take a frame of amplitudes from the next pulses on; ``NOT_IMPLEMENTED`` but on a framebuffer device."""
        ...

    def wait_for(self, trigger: Trigger) -> None:
        """Let each such edge of the trigger line start the program; ``DISABLED`` ends it."""
        ...

    def restrict(self, ceiling: Ceiling) -> None:
        """Lower what is allowed; raising any part of it is refused."""
        ...

    def measure(self, electrode: int) -> Measurement:
        """Give one test pulse and return the voltages that it met."""
        ...

    def telemetry(self) -> StimulatorTelemetry:
        """Return what was delivered and refused so far."""
        ...

    def events(self) -> list[StimulatorEvent]:
        """Return what happened since last asked, in order of time."""
        ...

    def close(self) -> None:
        """Stop and let go of the device."""
        ...
