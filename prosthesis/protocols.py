"""The seams of the device, one verb each; every implementation passes the suite in ``tests/contract``.

>>> from prosthesis.timing import MonotonicClock
>>> isinstance(MonotonicClock(), Clock)
True
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy.typing as npt

from prosthesis.bitpacking import U16
from prosthesis.messages import BrainCode, Findings, Frame, MachineCode, Receipt, StimulationPattern, Telemetry

if TYPE_CHECKING:
    from prosthesis.control import Command, Reply


@runtime_checkable
class Clock(Protocol):
    """A monotonic clock in nanoseconds, and the only way code waits."""

    def now_ns(self) -> int:
        """Return the time now, e.g. ``1_234_567_890``."""
        ...

    def sleep_until(self, t_ns: int) -> None:
        """Return at ``t_ns`` or at once when it has passed."""
        ...


@runtime_checkable
class FrameSource(Protocol):
    """A camera, a recording or a formula that makes frames."""

    @property
    def live(self) -> bool:
        """Whether frames come from a real sensor, whose noise makes two equal frames a fault."""
        ...

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest unseen frame, ``None`` when none came in ``timeout_s``; ``EOFError`` at the end.

        Raises ``CameraError`` when no further frame can ever come. Example: ``Frame(7, t_ns, rgb=u8[240, 320, 3])``.
        """
        ...

    def close(self) -> None:
        """Release the device; reading afterwards raises ``EOFError``."""
        ...


@runtime_checkable
class Engine(Protocol):
    """Something that runs one graph."""

    @property
    def provider(self) -> str:
        """What really computes, e.g. ``"CPUExecutionProvider"``."""
        ...

    def run(self, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Return the outputs by name, e.g. ``{"map": f32[1, 32, 32]}``."""
        ...


@runtime_checkable
class Encoder(Protocol):
    """A task network: camera frame to machine code. It may keep memory from frame to frame."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its codes: (rows, columns) of a map, (d,) of a latent."""
        ...

    def encode(self, frame: Frame, now_ns: int) -> MachineCode:
        """Return e.g. ``MachineCode(seq=7, values=f32[1024], kind="map", shape=(32, 32))``."""
        ...


@runtime_checkable
class Speaking(Protocol):
    """What an encoder that has something to be read out also is."""

    def said(self) -> tuple[str, ...]:
        """Return what was new since last asked, e.g. ``("EXIT",)``."""
        ...


@runtime_checkable
class Pointing(Protocol):
    """What an encoder that looks for things in the picture also is."""

    def found(self) -> tuple[Findings, ...]:
        """Return the newest look of each network that is new since last asked.

        A look that found nothing comes only after one that did, e.g. ``(Findings(7, t_ns, "text", ()),)``.
        """
        ...


@runtime_checkable
class Forgetful(Protocol):
    """What an encoder with memory also is, so that another task can be chosen and this one again later."""

    def forget(self) -> None:
        """Forget every earlier frame and all that came of it, as if new; what was loaded stays loaded."""
        ...


@runtime_checkable
class Translator(Protocol):
    """Machine codes to brain codes and back."""

    def translate(self, code: MachineCode) -> BrainCode:
        """Return e.g. ``BrainCode(seq=7, activity=f32[96] in 0..1, clipped=0)``."""
        ...

    def invert(self, code: BrainCode) -> MachineCode:
        """Return the machine code that best explains ``code``."""
        ...


@runtime_checkable
class Modulator(Protocol):
    """Brain codes to pulse parameters."""

    def modulate(self, code: BrainCode) -> StimulationPattern:
        """Return e.g. ``StimulationPattern(seq=7, amplitude_ua=f32[96], ...)``."""
        ...


@runtime_checkable
class Link(Protocol):
    """A transport of bytes to one implant; what the bytes mean is ``session``'s business."""

    def send(self, data: bytes) -> bool:
        """Send one stimulation message now; ``False`` when nobody can take it (it is dropped, never queued)."""
        ...

    def receive(self, timeout_s: float) -> bytes | None:
        """Return the next uplink message (receipt or telemetry), ``None`` when none came in ``timeout_s``."""
        ...

    def request(self, data: bytes, timeout_s: float) -> bytes:
        """Send one command and return its reply; ``LinkError`` says why when none came in ``timeout_s``."""
        ...

    def close(self) -> None:
        """Release the sockets without waiting for unsent data."""
        ...


@runtime_checkable
class StimulatingSession(Protocol):
    """A way to what stimulates: an implant over the air, or a device on the bench. ``LinkError`` when it is lost."""

    overruled: bool

    def open(self) -> None:
        """Reach it, and have it silent and configured; again after it was lost."""
        ...

    def arm(self) -> Reply:
        """Ask to stimulate; the reply's refusal says why not."""
        ...

    def permit(self) -> None:
        """Let ``arm`` be called again after somebody's STOP, because a person says so."""
        ...

    def stop(self) -> None:
        """Silence it."""
        ...

    def reset(self) -> Reply:
        """Unlock it after a fault that it keeps."""
        ...

    def align_clock(self) -> None:
        """Let its times mean ours."""
        ...

    def seal(self, seq: int, t_ns: int, codes: U16) -> bytes:
        """Return the message of one pattern."""
        ...

    def send(self, message: bytes) -> bool:
        """Send it now; ``False`` when it is not taken, and never queued."""
        ...

    def receive(self, timeout_s: float = 0.0) -> Receipt | Telemetry | None:
        """Return what it says next of itself, ``None`` when nothing comes in time."""
        ...

    def command(self, command: Command, body: bytes = b"", timeout_s: float = 0.5) -> Reply:
        """Return its answer to a command; what it cannot do is refused as TYPE."""
        ...
