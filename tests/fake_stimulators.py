"""Makers' Python modules as their pages describe them, with the emulator in the device's place; none was at hand.

``Xipppy`` follows the Xipppy User Manual v1.06 (in a public transcription), ``Stimpy`` the source of br_stimpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from prosthesis.stimulator.codes import StimulatorCode, StimulatorError
from prosthesis.stimulator.model import Ceiling, Group, Program, Trigger, Wait, Waveform

RESOLUTIONS_UA = (1, 2, 5, 10, 20)
FIRST = 128  # the first channel of port B: channels need not begin at 0


class XippPyException(Exception):
    pass


@dataclass
class StimSegment:
    length: int
    amplitude: int
    polarity: int
    enable: bool = True

    def __post_init__(self):
        if not (0 <= self.length <= 65535 and 0 <= self.amplitude <= 100 and self.polarity in (-1, 1)):
            raise XippPyException(f"bad segment {self}")


class Xipppy:
    """The module, connected to an emulator of ``ripple_nano``; settings take effect a question later."""

    StimSegment = StimSegment

    def __init__(self, emulator):
        self.emulator, self.opened, self.calls = emulator, 0, []
        self._enabled = self._wanted = False
        self._resolution = {}
        fake = self

        class StimSeq:
            def __init__(self, elec, period, repeats, *segments, action=0):
                if not (0 <= elec <= 511 and 1 <= repeats <= 4095 and segments):
                    raise XippPyException("bad sequence")
                self.elec, self.period, self.repeats, self.segments = elec, period, repeats, segments

            @staticmethod
            def send_stim_seqs(sequences):
                fake.send(sequences)

        self.StimSeq = StimSeq

    def _open(self, use_tcp=False):
        self.opened += 1

    def _close(self):
        self.opened -= 1

    def list_elec(self, fe_type, max_elecs=256):
        assert fe_type == "stim"
        return [FIRST + k for k in range(self.emulator.capabilities.electrodes)][:max_elecs]

    def get_fe(self, elec):
        return elec // 32

    def stim_enable(self):
        before, self._enabled = self._enabled, self._wanted
        return before

    def stim_enable_set(self, val):
        self._wanted = bool(val)
        if not val:
            self.emulator.stop()

    def stim_get_res(self, elec):
        return self._resolution.get(elec // 32, 0)

    def stim_set_res(self, elec, level):
        if self._wanted:
            raise XippPyException("stimulation is enabled")
        self._resolution[elec // 32] = level

    def impedance(self, elecs):
        return [float(self.emulator.measure(elec - FIRST).impedance_ohm) for elec in elecs]

    def send(self, sequences):
        self.calls.append(sequences)
        if not self._wanted:
            return  # the manual: nothing is stimulated while it is disabled
        for sequence in sequences:
            waveform, wait_us = self._heard(sequence)
            self.emulator.configure(waveform)
            group = Group(((sequence.elec - FIRST, waveform.slot),))
            self.emulator.fire(Program((Wait(wait_us), group) if wait_us else (group,)))

    def _heard(self, s):
        us = lambda cycles: -(-cycles * 1_000_000 // 30_000)  # noqa: E731
        step_na = 1000 * RESOLUTIONS_UA[self.stim_get_res(s.elec)]
        segments = list(s.segments)
        late = 0 if segments[0].enable else segments.pop(0).length
        first, *gap, second = segments
        assert first.polarity == -second.polarity
        assert not any(segment.enable or segment.amplitude for segment in gap)
        return Waveform(
            s.elec - FIRST + 1,
            first.amplitude * step_na,
            second.amplitude * step_na,
            us(first.length),
            us(second.length),
            us(gap[0].length) if gap else 0,
            s.repeats,
            us(s.period),
            first.polarity < 0,
        ), us(late)


class WFType(IntEnum):
    wf_anodic_first = 0
    wf_cathodic_first = 1


class TriggerType(IntEnum):
    trigger_disabled = 0
    trigger_rising = 1
    trigger_falling = 2
    trigger_change = 3


OCVolt = IntEnum("OCVolt", [(f"ocvolt{v // 10}_{v % 10}", 7 + k) for k, v in enumerate(range(47, 96, 6))])


class Stimpy:
    """The module ``br_stimpy.stimpy``, with one emulated ``cerestim_r96`` on USB."""

    WFType, TriggerType, OCVolt = WFType, TriggerType, OCVolt

    def __init__(self, emulator):
        self.Stimulator = lambda: Stimulator(emulator)


class Stimulator:
    def __init__(self, emulator):
        self.emulator, self.last_result, self.calls = emulator, 0, 0
        self._script, self._group = None, None

    def _do(self, act, *arguments):
        self.calls += 1
        try:
            act(*arguments)
            self.last_result = 0
        except StimulatorError as error:
            self.last_result = error.code
            raise RuntimeError(f"{error.code.name} error") from error

    def _fail(self, code):
        def fail():
            raise StimulatorError(code, "")

        self._do(fail)

    def connect(self, device_index=0):
        if device_index:
            raise IndexError("Invalid device_index")

    def disconnect(self):
        self.emulator.close()

    def configure_stimulus_pattern(self, configID, afcf, pulses, amp1, amp2, width1, width2, frequency, interphase):
        whole = (configID, pulses, amp1, amp2, width1, width2, frequency, interphase)
        assert all(type(value) is int for value in whole)
        period_us = 1_000_000 // frequency
        first = afcf == WFType.wf_cathodic_first
        waveform = (configID, 1000 * amp1, 1000 * amp2, width1, width2, interphase, pulses, period_us, first)
        self._do(self.emulator.configure, Waveform(*waveform))

    def begin_sequence(self):
        self.calls += 1
        self._script, self._group = [], None

    def begin_group(self):
        self.calls += 1
        self._group = []

    def auto_stimulus(self, electrode, configID):
        self.calls += 1
        if not (1 <= electrode <= 96 and 1 <= configID <= 15):
            raise ValueError("electrode or configID out of range")
        stimulus = (electrode - 1, configID)
        if self._group is None:
            self._script.append(Group((stimulus,)))
        else:
            self._group.append(stimulus)

    def end_group(self):
        self.calls += 1
        self._script.append(Group(tuple(self._group)))
        self._group = None

    def wait(self, milliseconds):
        self.calls += 1
        if not 0 <= milliseconds <= 65535:
            raise ValueError("milliseconds out of range (0,65535)")
        self._script.append(Wait(1000 * milliseconds))

    def end_sequence(self):
        self.calls += 1

    def play(self, times):
        def play():
            if self.sequence_status != 1:  # pause
                self.emulator.load(Program(tuple(self._script), times))
            self.emulator.play()

        self._do(play)

    def pause(self):
        self._do(self.emulator.pause)

    def stop(self):
        if self.sequence_status not in (1, 2):
            self._fail(StimulatorCode.SEQUENCE_ERROR)
        self._do(self.emulator.stop)

    def trigger_stimulus(self, edge):
        def wait():
            self.emulator.load(Program(tuple(self._script), 1))
            self.emulator.wait_for(Trigger(edge))

        self._do(wait)

    def stop_trigger_stimulus(self):
        self._do(self.emulator.wait_for, Trigger.DISABLED)

    @property
    def sequence_status(self):
        return self.emulator.telemetry().state.value

    def set_max_output_voltage(self, oc_voltage):
        assert oc_voltage in OCVolt

    def set_stimulus_max_values(self, voltage, amplitude, phaseCharge, frequency):
        volts = voltage.name.removeprefix("ocvolt").split("_")
        mv = 1000 * int(volts[0]) + 100 * int(volts[1])
        self._do(self.emulator.restrict, Ceiling(1000 * amplitude, phaseCharge, 1000 * frequency, mv))
