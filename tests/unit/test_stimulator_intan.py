"""Intan's words on the wire: our adapter before a scripted server, and our server before Intan's own example."""

from __future__ import annotations

import socket
import threading

import pytest

from prosthesis.config import StimulatorConfig, find
from prosthesis.stimulator.codes import StimulatorCode, StimulatorError
from prosthesis.stimulator.intan import IntanBackend, channel_name
from prosthesis.stimulator.model import EventKind, Group, Program, Trigger, Wait, Waveform
from prosthesis.stimulator.profile import capabilities
from prosthesis.timing import ManualClock
from prosthesis.yamlfile import load_model
from prosthesis_sim.backends.intan import IntanCommands, IntanServer
from prosthesis_sim.backends.stimulator import EmulatedStimulator

RHS = capabilities(load_model(StimulatorConfig, find("stimulators", "intan_rhs")))
MS = 1_000_000
RUNNING = "cannot be executed while the board is running"


class Script:
    """A server that expects exactly these messages, and gives these answers."""

    def __init__(self, *lines):
        self.lines, self.wrong = list(lines), []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        client, _ = self._listener.accept()
        with client, self._listener:
            while data := client.recv(65536):
                expected, reply = self.lines.pop(0) if self.lines else ("nothing more", "")
                if data.decode() != expected:
                    self.wrong.append((data.decode(), expected))
                client.sendall(reply.encode() or b"?")

    def done(self):
        self._thread.join()
        assert self.wrong == []
        assert self.lines == []


HELLO = (
    ("get type", "Return: Type ControllerStimRecord"),
    ("get stimstepsizemicroamps", "Return: StimStepSizeMicroAmps 1"),
    ("get runmode", "Return: RunMode Stop"),
)
UPLOAD = (
    "set b-007.stimenabled true;set b-007.source keypressf1;set b-007.triggeredgeorlevel edge;"
    "set b-007.triggerhighorlow high;set b-007.shape biphasicwithinterphasedelay;set b-007.polarity negativefirst;"
    "set b-007.firstphaseamplitudemicroamps 12;set b-007.secondphaseamplitudemicroamps 12;"
    "set b-007.firstphasedurationmicroseconds 200;set b-007.secondphasedurationmicroseconds 200;"
    "set b-007.interphasedelaymicroseconds 67;set b-007.posttriggerdelaymicroseconds 500;"
    "set b-007.pulseortrain pulsetrain;set b-007.numberofstimpulses 3;set b-007.pulsetrainperiodmicroseconds 10000;"
    "execute uploadstimparameters b-007;get runmode"
)
WAVEFORM = Waveform(40, 12_000, 12_000, 200, 200, 67, 3, 10_000)
PROGRAM = Program((Wait(500), Group(((39, 40),))))


def test_the_adapter_says_exactly_this():
    script = Script(
        *HELLO,
        ("get runmode", "Return: RunMode Stop"),
        (UPLOAD, "Return: RunMode Stop"),
        ("get runmode", "Return: RunMode Stop"),
        ("set runmode run;get runmode", "Return: RunMode Run"),
        ("execute manualstimtriggerpulse f1;get runmode", "Return: RunMode Run"),
        # again: nothing has changed
        ("get runmode", "Return: RunMode Run"),
        ("execute manualstimtriggerpulse f1;get runmode", "Return: RunMode Run"),
        ("get runmode", "Return: RunMode Run"),
        ("set runmode stop;get runmode", "Return: RunMode Stop"),
    )
    clock = ManualClock(1)
    backend = IntanBackend(RHS, port=script.port, now_ns=clock.now_ns)
    backend.configure(WAVEFORM)
    backend.load(PROGRAM)
    backend.play()
    clock.advance(100 * MS)
    backend.play()
    backend.close()
    script.done()


def test_what_rhx_objects_to_is_an_error_in_its_own_words():
    script = Script(
        *HELLO,
        ("get runmode", "Return: RunMode Stop"),
        (UPLOAD, "Invalid value for Shape command. Acceptable: xReturn: RunMode Stop"),
        ("get runmode", "Return: RunMode Stop"),
    )
    backend = IntanBackend(RHS, port=script.port)
    backend.configure(WAVEFORM)
    backend.load(PROGRAM)
    with pytest.raises(StimulatorError, match="Invalid value for Shape") as caught:
        backend.play()
    assert caught.value.code is StimulatorCode.NOK
    assert backend.events() == []
    backend.close()
    script.done()


@pytest.mark.parametrize("what", ["another controller", "another step"])
def test_a_controller_that_is_not_the_profiles_is_refused(what):
    kind, step = ("ControllerRecordUSB3", "1") if what == "another controller" else ("ControllerStimRecord", "5")
    script = Script((HELLO[0][0], f"Return: Type {kind}"), (HELLO[1][0], f"Return: StimStepSizeMicroAmps {step}"))
    with pytest.raises(StimulatorError) as caught:
        IntanBackend(RHS, port=script.port)
    assert caught.value.code is StimulatorCode.INVALID_INTERFACE
    script.done()


def test_no_server_is_a_timeout_that_says_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(StimulatorError, match="Remote TCP Control") as caught:
        IntanBackend(RHS, port=port)
    assert caught.value.code is StimulatorCode.INTERFACE_TIMEOUT


@pytest.fixture
def bench():
    clock = ManualClock(1)
    emulator = EmulatedStimulator(RHS, clock.now_ns)
    return clock, emulator, IntanCommands(emulator)


def test_intans_example_session_stimulates_the_emulator_unchanged(bench):
    """The messages of Intan's published RunAndStimulate example, in its order and spelling, without semicolons."""
    clock, emulator, rhx = bench
    assert rhx.answer("get type") == "Return: Type ControllerStimRecord"
    assert rhx.answer("get runmode") == "Return: RunMode Stop"
    for line in (
        "set a-010.stimenabled true",
        "set a-010.source keypressf1",
        "set a-010.firstphaseamplitudemicroamps 10",
        "set a-010.firstphasedurationmicroseconds 500",
        "execute uploadstimparameters a-010",
        "set runmode run",
    ):
        assert rhx.answer(line) == ""
    for _ in range(5):
        clock.advance(1000 * MS)
        assert rhx.answer("execute manualstimtriggerpulse f1") == ""
    clock.advance(100 * MS)
    assert rhx.answer("set runmode stop") == ""
    told = emulator.telemetry()
    assert told.pulses[10] == told.pulses.sum() == 5
    assert told.charge_pc[10] == 5 * 10 * 500
    # the example leaves the second phase at its defaults of 0 uA: RHX does not mind, the net charge shows it
    assert told.net_charge_pc[10] == 5 * 10 * 500


@pytest.mark.parametrize(
    ("asked", "reply"),
    [
        ("get a-010.stimenabled", "Return: StimEnabled False"),
        ("GET A-010.Polarity", "Return: Polarity NegativeFirst"),
        ("get d-031.numberofstimpulses", "Return: NumberOfStimPulses 2"),
        ("get a-032.source", "Unrecognized parameter"),
        ("get nonsense", "Unrecognized parameter"),
        ("get", "Error - Command 1: Get commands require a parameter"),
        (
            "get runmode; set a-000.source",
            "Return: RunMode StopError - Command 2: Set commands require a parameter and a value",
        ),
        ("hello", "Error - Command 1: Unrecognized command"),
        ("execute nonsense", "Unrecognized action"),
        ("set runmode stop", "Board must be running in order to stop"),
        ("set runmode run; set runmode run", "Board must be stopped in order to start running"),
        ("set runmode run;execute uploadstimparameters", f"UploadStimParameters {RUNNING}"),
        ("set runmode sideways", "Invalid value for SetRunMode command"),
        ("set a-000.numberofstimpulses 257", "Invalid value for NumberOfStimPulses command. Acceptable: 0 to 256"),
        (" ; ;", ""),
    ],
)
def test_the_server_answers_as_rhx(bench, asked, reply):
    assert bench[2].answer(asked) == reply


def test_currents_and_times_are_rounded_as_rhx_does(bench):
    clock, emulator, rhx = bench
    rhx.answer(
        "set a-000.stimenabled true;set a-000.source digitalin02;set a-000.firstphaseamplitudemicroamps 10.5;"
        "set a-000.secondphaseamplitudemicroamps 10.4;set a-000.firstphasedurationmicroseconds 170;"
        "set a-000.secondphasedurationmicroseconds 185;execute uploadstimparameters a-000;set runmode run"
    )
    rhx.edge("DigitalIn01", rising=True)
    rhx.edge("DigitalIn02", rising=False)
    clock.advance(10 * MS)
    assert not emulator.telemetry().pulses.any()
    rhx.edge("DigitalIn02", rising=True)
    clock.advance(10 * MS)
    told = emulator.telemetry()
    # 10.5 uA is 11 steps, 170 us five samples of 33.3 us (written 167); 10.4 is 10, 185 us six
    assert told.charge_pc[0] == 11 * 167
    assert told.net_charge_pc[0] == 11 * 167 - 10 * 200
    assert emulator.events()[0].kind is EventKind.START


def test_the_adapter_waits_for_the_controllers_own_trigger():
    clock = ManualClock(1)
    emulator = EmulatedStimulator(RHS, clock.now_ns)
    server, over = IntanServer(emulator, port=0), threading.Event()
    thread = threading.Thread(target=server.run, args=(over.is_set,))
    thread.start()
    try:
        backend = IntanBackend(RHS, port=server.port)
        backend.configure(WAVEFORM)
        backend.load(PROGRAM)
        backend.wait_for(Trigger.FALLING)
        for rising, pulses in ((True, 0), (False, 3)):
            server.commands.edge("DigitalIn01", rising)
            clock.advance(100 * MS)
            assert emulator.telemetry().pulses[39] == pulses
        backend.close()
    finally:
        over.set()
        thread.join()


def test_channels_are_named_by_port():
    assert [channel_name(e) for e in (0, 31, 32, 127)] == ["A-000", "A-031", "B-000", "D-031"]
