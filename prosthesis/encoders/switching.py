"""Several tasks behind one encoder and translator, of which one is in force; another is chosen while frames flow."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from prosthesis.errors import ConfigError
from prosthesis.messages import BrainCode, Findings, Frame, MachineCode
from prosthesis.protocols import Encoder, Forgetful, Pointing, Speaking, Translator
from prosthesis.tone import Tone

NEWS = 16  # more than anybody does between two frames


@dataclass(frozen=True, slots=True)
class Way:
    """What a task does with a frame: its encoder, and the translator made for that encoder's codes."""

    encoder: Encoder
    translator: Translator


class Switchboard:
    """An ``Encoder`` and ``Translator`` that is one of several loaded ways, the first until ``choose`` is called.

    ``choose`` may be called from any thread. It takes effect at the next ``encode``, so a frame is always encoded and
    translated by the same way, and nothing but that way changes: session, guard and pacing belong to others. A way with
    memory forgets it as it comes into force, because what it remembers is from before it was left. ``see`` sets the
    ``tone`` in which every way sees its frames.
    """

    def __init__(self, ways: Mapping[str, Way]) -> None:
        self.names = tuple(ways)
        self._ways = dict(ways)
        self._wanted = self._name = self.names[0]
        self._way = self._ways[self._name]
        self._news: deque[str] = deque(maxlen=NEWS)
        self.tone = Tone()

    @property
    def current(self) -> str:
        """The task that made the newest code."""
        return self._name

    @property
    def wanted(self) -> str:
        """The task chosen last, in force from the next frame on."""
        return self._wanted

    @property
    def shape(self) -> tuple[int, ...]:
        """See ``Encoder``; another way's may differ."""
        return self._way.encoder.shape

    def choose(self, name: str) -> None:
        """Put task ``name`` in force from the next frame on; ``ConfigError`` when it is not among ``names``."""
        if name not in self._ways:
            raise ConfigError(f"no task '{name}' is loaded; choose one of: {', '.join(self.names)}")
        self._wanted = name

    def see(self, tone: Tone) -> None:
        """Let encoders see frames in ``tone`` from the next on; may be called from any thread."""
        self.tone = tone
        self._news.append(f"brightness is now {tone.brightness:+.2f}, contrast {tone.contrast:.2f}")

    def turn(self) -> None:
        """Put the chosen task in force; each frame does it, and who translates recorded codes without their frames."""
        wanted = self._wanted
        if wanted != self._name:
            self._name, self._way = wanted, self._ways[wanted]
            if isinstance(self._way.encoder, Forgetful):
                self._way.encoder.forget()
            self._news.append(f"task is now '{wanted}'")

    def encode(self, frame: Frame, now_ns: int) -> MachineCode:
        """See ``Encoder``."""
        self.turn()
        return self._way.encoder.encode(self.tone.apply(frame), now_ns)

    def translate(self, code: MachineCode) -> BrainCode:
        """See ``Translator``."""
        return self._way.translator.translate(code)

    def invert(self, code: BrainCode) -> MachineCode:
        """See ``Translator``."""
        return self._way.translator.invert(code)

    def said(self) -> tuple[str, ...]:
        """Return the switches that have happened, and what the task in force has to say, since last asked."""
        news = tuple(self._news.popleft() for _ in range(len(self._news)))
        encoder = self._way.encoder
        return news + (encoder.said() if isinstance(encoder, Speaking) else ())

    def found(self) -> tuple[Findings, ...]:
        """Return what the task in force found since last asked."""
        encoder = self._way.encoder
        return encoder.found() if isinstance(encoder, Pointing) else ()
