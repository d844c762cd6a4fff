"""A CereStim R96 or M96 through br_stimpy, the open wrapper of Blackrock's library by the University of Pittsburgh.

br_stimpy is built by each lab against Blackrock's own files (Windows), so it is imported when it is used. Methods and
meanings are those of its published source; this adapter was never run against a stimulator. By its pages a call takes
2 ms on USB: a program of a hundred commands a fifth of a second, so that a CereStim takes a few new patterns a second.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

from prosthesis.errors import MissingExtraError
from prosthesis.stimulator.codes import StimulatorCode, StimulatorError
from prosthesis.stimulator.hosted import HostedBackend
from prosthesis.stimulator.model import Capabilities, Ceiling, Group, Program, StimulatorState, Trigger, Wait, Waveform

US_PER_S = 1_000_000


class CereStimBackend(HostedBackend):
    """A ``StimulatorBackend`` of style *programs*; electrode k is the stimulator's electrode k + 1.

    ``stimpy`` stands in for ``br_stimpy.stimpy`` in tests. Raises ``MissingExtraError`` without it, ``StimulatorError``
    with the library's own code when it refuses.
    """

    _loops = True

    def __init__(
        self,
        capabilities: Capabilities,
        index: int = 0,
        now_ns: Callable[[], int] = time.monotonic_ns,
        stimpy: Any = None,
    ) -> None:
        self._api = stimpy or _stimpy()
        self._device = self._api.Stimulator()
        super().__init__(capabilities, now_ns)
        self._call(self._device.connect, index)
        self._halt()
        self._limit(self._ceiling)

    def _put(self, w: Waveform) -> None:
        hz = US_PER_S // w.period_us
        if w.pulses > 1 and hz * w.period_us != US_PER_S:
            raise StimulatorError(StimulatorCode.INVALID_FREQUENCY, f"a pulse each {w.period_us} us: no whole Hz")
        first = self._api.WFType.wf_cathodic_first if w.cathodic_first else self._api.WFType.wf_anodic_first
        amplitudes, widths = (w.amplitude1_na // 1000, w.amplitude2_na // 1000), (w.width1_us, w.width2_us)
        pattern = (w.slot, first, w.pulses, *amplitudes, *widths, hz, w.interphase_us)
        self._call(self._device.configure_stimulus_pattern, *pattern)

    def _take(self, program: Program) -> None:
        device = self._device
        self._call(device.begin_sequence)
        try:
            for command in program.commands:
                if isinstance(command, Wait):
                    self._call(device.wait, command.us // 1000)
                elif isinstance(command, Group):
                    self._group(command)
        finally:
            self._call(device.end_sequence)

    def _group(self, group: Group) -> None:
        several = len(group.stimuli) > 1
        if several:
            self._call(self._device.begin_group)
        for electrode, slot in group.stimuli:
            self._call(self._device.auto_stimulus, electrode + 1, slot)
        if several:
            self._call(self._device.end_group)

    def _start(self, program: Program) -> None:
        self._call(self._device.play, program.repeats)

    def _hold(self) -> None:
        self._call(self._device.pause)

    def _go_on(self) -> None:
        self._call(self._device.play, self._loaded().repeats)

    def _halt(self) -> None:
        if self._waiting:
            self._call(self._device.stop_trigger_stimulus)
        if self._sequence() in (StimulatorState.PLAYING, StimulatorState.PAUSED):  # stop is refused in any other
            self._call(self._device.stop)

    def _await(self, program: Program, trigger: Trigger) -> None:
        edge = getattr(self._api.TriggerType, f"trigger_{trigger.name.lower()}")
        self._call(self._device.trigger_stimulus, edge)

    def _limit(self, ceiling: Ceiling) -> None:
        volts = getattr(self._api.OCVolt, f"ocvolt{ceiling.compliance_mv // 1000}_{ceiling.compliance_mv // 100 % 10}")
        most = (ceiling.amplitude_na // 1000, min(ceiling.charge_pc, 0xFFFFFFFF), ceiling.rate_mhz // 1000)
        self._call(self._device.set_max_output_voltage, volts)
        self._call(self._device.set_stimulus_max_values, volts, *most)

    def _plays(self) -> bool:
        return self._sequence() is StimulatorState.PLAYING

    def _sequence(self) -> StimulatorState:
        return StimulatorState(int(self._call(getattr, self._device, "sequence_status")))

    def close(self) -> None:
        """Stop and disconnect."""
        try:
            self.stop()
        finally:
            self._call(self._device.disconnect)

    def _call(self, act: Callable[..., Any], *arguments: Any) -> Any:
        """Call the library; its refusals keep their codes."""
        try:
            return act(*arguments)
        except (RuntimeError, ValueError, IndexError) as error:
            text = " ".join(str(error).split())
            raise StimulatorError(_code(self._device.last_result), f"br_stimpy says '{text}'") from error


def _code(result: Any) -> StimulatorCode:
    try:
        code = StimulatorCode(int(result))
    except (TypeError, ValueError):
        return StimulatorCode.NOK
    return StimulatorCode.INVALID_PARAMS if code is StimulatorCode.SUCCESS else code


def _stimpy() -> Any:
    try:
        return importlib.import_module("br_stimpy.stimpy")
    except ImportError as error:
        raise MissingExtraError(
            "a CereStim needs br_stimpy and Blackrock's CereStim API; build it as github.com/pitt-rnel/br_stimpy says"
        ) from error
