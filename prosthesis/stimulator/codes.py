"""Why a stimulator refuses a command: the numbers and meanings of a CereStim 96's return values, one to one."""

from __future__ import annotations

from enum import IntEnum

from prosthesis.errors import ProsthesisError


class StimulatorCode(IntEnum):
    """Blackrock's BResult (BStimulator.h 4.01): above -100 the library's own, from -100 down the device's."""

    RETURN = 1
    SUCCESS = 0
    NOT_IMPLEMENTED = -1
    UNKNOWN = -2
    INVALID_HANDLE = -3
    NULL_POINTER = -4
    INVALID_INTERFACE = -5
    INTERFACE_TIMEOUT = -6
    DEVICE_REGISTERED = -7
    INVALID_PARAMS = -8
    DISCONNECTED = -9
    CONNECTED = -10
    STIM_ATTACHED = -11
    STIM_DETACHED = -12
    DEVICE_NOTIFY = -13
    INVALID_COMMAND = -14
    INTERFACE_WRITE = -15
    INTERFACE_READ = -16
    WRITE_ERROR = -17
    READ_ERROR = -18
    INVALID_MODULE_NUMBER = -19
    INVALID_CALLBACK_TYPE = -20
    CALLBACK_REGISTER_FAILED = -21
    LIBRARY_FIRMWARE = -22
    FREQUENCY_PERIOD_ZERO = -23
    NOK = -100
    SEQUENCE_ERROR = -102
    INVALID_TRIGGER = -103
    INVALID_CHANNEL = -104
    INVALID_CONFIG = -105
    INVALID_NUMBER = -106
    INVALID_RWR = -107
    INVALID_VOLTAGE = -108
    INVALID_AMPLITUDE = -109
    INVALID_AF_CF = -110
    INVALID_PULSES = -111
    INVALID_WIDTH = -112
    INVALID_INTERPULSE = -113
    INVALID_INTERPHASE = -114
    INVALID_FAST_DISCHARGE = -115
    INVALID_MODULE = -116
    STIMULI_MODULES = -117
    MODULE_UNAVAILABLE = -118
    CHANNEL_USED_IN_GROUP = -119
    CONFIG_NOT_ACTIVE = -120
    EMPTY_CONFIG = -121
    PHASE_NOT_BALANCED = -122
    PHASE_GREATER_MAX = -123
    AMPLITUDE_GREATER_MAX = -124
    WIDTH_GREATER_MAX = -125
    VOLTAGE_GREATER_MAX = -126
    MODULE_DISABLED = -127
    MODULE_ENABLED = -128
    INVALID_FREQUENCY = -129
    FREQUENCY_GREATER_MAX = -130
    DEVICE_LOCKED = -131
    ECHO_ERROR = -132


class StimulatorError(ProsthesisError):
    """A command that a stimulator refused, with its ``code``; nothing of the command was done."""

    exit_code = 7

    def __init__(self, code: StimulatorCode, text: str) -> None:
        super().__init__(f"the stimulator refused ({code.value} {code.name}): {text}")
        self.code = code
