"""A Ripple processor with stimulating front ends, through the maker's Python module xipppy.

xipppy comes from Ripple alone, so it is imported when it is used. What it takes and means is that of its manual (v1.06,
March 2025), read in a public transcription; this adapter was never run against a processor.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

from prosthesis.errors import MissingExtraError
from prosthesis.stimulator.codes import StimulatorCode, StimulatorError
from prosthesis.stimulator.hosted import HostedBackend, starts_us
from prosthesis.stimulator.model import Capabilities, Measurement, Program, Waveform

# uA a step of pico, nano and micro front ends, by xipppy's index of resolutions
RESOLUTIONS_NA = (1000, 2000, 5000, 10_000, 20_000)
MOST_STEPS, MOST_STEPS_COARSEST = 100, 75
SETTLE_S = 1.0  # xipppy: settings travel to the front ends, and are there some time later
CATHODIC, ANODIC = -1, 1


class RippleBackend(HostedBackend):
    """A ``StimulatorBackend`` of style *channels*; electrode k is the k-th of the processor's stimulating channels.

    Trains begin together when they are sent; one that begins later waits in a silent segment at the head of each of its
    periods. ``stop`` disables stimulation of the whole processor, which cuts a pulse under way. ``xipppy`` stands in
    for the module in tests. Raises ``MissingExtraError`` without it, ``StimulatorError`` when there is no processor.
    """

    def __init__(
        self,
        capabilities: Capabilities,
        use_tcp: bool = True,
        now_ns: Callable[[], int] = time.monotonic_ns,
        xipppy: Any = None,
    ) -> None:
        super().__init__(capabilities, now_ns)
        self._xp = xipppy or _xipppy()
        if capabilities.step_na not in RESOLUTIONS_NA:
            text = f"no front end steps {capabilities.step_na} nA; give the profile an lsb_na of {RESOLUTIONS_NA}"
            raise StimulatorError(StimulatorCode.INVALID_INTERFACE, text)
        self._resolution = RESOLUTIONS_NA.index(capabilities.step_na)
        self._call(self._xp._open, use_tcp)
        try:
            self._identify()
        except StimulatorError:
            self._xp._close()
            raise

    def _identify(self) -> None:
        """Learn the channels and give every front end the profile's step."""
        self._electrodes = list(self._call(self._xp.list_elec, "stim", 512))[: self._c.electrodes]
        if len(self._electrodes) < self._c.electrodes:
            text = f"{len(self._electrodes)} stimulating channels are there, the profile has {self._c.electrodes}"
            raise StimulatorError(StimulatorCode.INVALID_INTERFACE, text)
        self._enable(False)  # the step may be set in this state only
        for electrode in {self._xp.get_fe(e): e for e in self._electrodes}.values():
            self._call(self._xp.stim_set_res, electrode, self._resolution)
            self._settled(self._resolution, "the resolution", self._xp.stim_get_res, electrode)

    def _put(self, waveform: Waveform) -> None:
        steps = max(waveform.amplitude1_na, waveform.amplitude2_na) // self._c.step_na
        most = MOST_STEPS_COARSEST if self._resolution == len(RESOLUTIONS_NA) - 1 else MOST_STEPS
        if steps > most:
            raise StimulatorError(StimulatorCode.INVALID_AMPLITUDE, f"{steps} steps of {most}")

    def _take(self, program: Program) -> None:
        for at_us, electrode, slot in starts_us(program):
            w = self._bank[slot]
            if at_us + w.pulse_us + self._c.recovery_us > w.period_us:
                text = f"electrode {electrode} begins {at_us} us late, which with its pulse is longer than its period"
                raise StimulatorError(StimulatorCode.INVALID_INTERPULSE, text)

    def _start(self, program: Program) -> None:
        self._enable(True)
        trains = [self._train(self._electrodes[e], self._bank[slot], at_us) for at_us, e, slot in starts_us(program)]
        self._call(self._xp.StimSeq.send_stim_seqs, trains)

    def _train(self, electrode: int, w: Waveform, at_us: int) -> Any:
        xp, cycles, step_na = self._xp, self._c.cycles, self._c.step_na
        first = CATHODIC if w.cathodic_first else ANODIC
        segments = [
            xp.StimSegment(cycles(w.width1_us), w.amplitude1_na // step_na, first),
            xp.StimSegment(cycles(w.width2_us), w.amplitude2_na // step_na, -first),
        ]
        if w.interphase_us:
            segments.insert(1, xp.StimSegment(cycles(w.interphase_us), 0, -first, enable=False))
        if at_us:
            segments.insert(0, xp.StimSegment(cycles(at_us), 0, first, enable=False))
        return xp.StimSeq(electrode, cycles(w.period_us), w.pulses, *segments)

    def _halt(self) -> None:
        self._enable(False)

    def _meet(self, electrode: int) -> Measurement:
        (ohm,) = self._call(self._xp.impedance, [self._electrodes[electrode]])
        return Measurement(None, round(ohm))

    def close(self) -> None:
        """Stop and disconnect."""
        try:
            self.stop()
        finally:
            self._xp._close()

    def _enable(self, on: bool) -> None:
        if bool(self._call(self._xp.stim_enable)) != on:
            self._call(self._xp.stim_enable_set, on)
            self._settled(on, "stimulation's switch", self._xp.stim_enable)

    def _settled(self, value: int, what: str, read: Callable[..., Any], *arguments: Any) -> None:
        deadline = time.monotonic() + SETTLE_S
        while self._call(read, *arguments) != value:
            if time.monotonic() > deadline:
                raise StimulatorError(StimulatorCode.INTERFACE_TIMEOUT, f"the processor does not take {what}")
            time.sleep(0.001)

    def _call(self, act: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return act(*arguments)
        except Exception as error:  # xipppy's own class of errors is not there to be named
            raise StimulatorError(StimulatorCode.NOK, f"xipppy says '{error}'") from error


def _xipppy() -> Any:
    try:
        return importlib.import_module("xipppy")
    except ImportError as error:
        raise MissingExtraError("a Ripple processor needs xipppy; get it from Ripple and install it here") from error
