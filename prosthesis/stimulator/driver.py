"""Guarded patterns to a stimulator of any style: compiled, and told as far as they are new."""

from __future__ import annotations

from prosthesis.messages import StimulationPattern
from prosthesis.stimulator.backend import StimulatorBackend
from prosthesis.stimulator.codes import StimulatorError
from prosthesis.stimulator.compiler import Compiled, compile_pattern
from prosthesis.stimulator.model import Program, StimulatorState, Waveform


class StimulatorDriver:
    """Keeps one stimulator at the newest pattern.

    A framebuffer takes each frame while it plays. A device of programs or channels is stopped and told anew when levels
    or groups change; it plays for at most ``train_s``, so that it ends by itself when the host is gone, and again with
    the next pattern.
    """

    def __init__(self, backend: StimulatorBackend, interphase_us: int, train_s: float = 0.25) -> None:
        self._backend, self._interphase_us, self._train_s = backend, interphase_us, train_s
        self._told: tuple[tuple[Waveform, ...], Program] | None = None

    def deliver(self, pattern: StimulationPattern) -> Compiled:
        """Let the device deliver ``pattern`` from now on, and return what that is.

        A refusal leaves the device stopped and is raised as ``StimulatorError``.
        """
        compiled = compile_pattern(pattern, self._backend.capabilities, self._interphase_us, self._train_s)
        try:
            self._tell(compiled)
        except StimulatorError:
            self._told = None
            self._backend.stop()
            raise
        return compiled

    def _tell(self, compiled: Compiled) -> None:
        backend, program = self._backend, compiled.program
        if program is None:
            self._told = None
            backend.stop()
            return
        if (compiled.waveforms, program) != self._told:
            backend.stop()
            for waveform in compiled.waveforms:
                backend.configure(waveform)
            backend.load(program)
            self._told = compiled.waveforms, program
        if compiled.frame is not None:
            backend.show(compiled.frame)
        if backend.telemetry().state is StimulatorState.STOPPED:
            backend.play()
