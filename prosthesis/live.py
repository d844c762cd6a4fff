"""What a running device can be told, one line of text each: another task, brightness and contrast, stop, arm."""

from __future__ import annotations

from dataclasses import replace
from queue import SimpleQueue

from prosthesis.encoders.switching import Switchboard
from prosthesis.errors import ConfigError, LinkError
from prosthesis.messages import Refusal
from prosthesis.protocols import StimulatingSession

WORDS = "task NAME, tone brightness=0.1 contrast=1.2, stop, arm, reset"


class Desk:
    """Does to a running device what the lines in ``spoken`` say; used by the thread that runs it, between frames.

    A ``stop`` is repeated until the implant has confirmed it, and holds until ``arm``, also over a lost link.
    """

    def __init__(self, tasks: Switchboard, session: StimulatingSession, spoken: SimpleQueue[str]) -> None:
        self._tasks, self._session, self._spoken = tasks, session, spoken
        self._stopping = False

    def listen(self) -> list[str]:
        """Obey what was said since last asked, and return what was done, or what was wrong with it."""
        said = [self.obey(self._spoken.get()) for _ in range(self._spoken.qsize())]
        return said + ([self._stop()] if self._stopping else [])

    def obey(self, line: str) -> str:
        """Do what one line says; return what was done, or in one sentence what was wrong."""
        word, _, rest = line.partition(" ")
        try:
            match word:
                case "task":
                    self._tasks.choose(rest.strip())
                    return f"task '{rest.strip()}' from the next frame on"
                case "tone":
                    return self._tone(rest.split())
                case "stop":
                    self._stopping = self._session.overruled = True
                    return "told to stop"
                case "arm":
                    self._stopping = False
                    self._session.permit()
                    return "the implant may be armed again"
                case "reset":
                    reply = self._session.reset()
                    done = reply.refusal is Refusal.NONE
                    return "the implant was reset" if done else f"the implant refused to reset: {reply.refusal.name}"
        except (ConfigError, LinkError) as error:
            return str(error)
        return f"'{line}': not understood; say one of: {WORDS}"

    def _stop(self) -> str:
        try:
            self._session.stop()
        except LinkError as error:
            return f"STOP is not confirmed yet ({error})"
        self._stopping = False
        return "the implant has confirmed STOP"

    def _tone(self, settings: list[str]) -> str:
        tone = self._tasks.tone
        for setting in settings:
            key, _, value = setting.partition("=")
            try:
                tone = replace(tone, **{key: float(value)})
            except (TypeError, ValueError):
                raise ConfigError(f"'{setting}': write brightness=0.1 or contrast=1.2") from None
        self._tasks.see(tone)
        return f"brightness {tone.brightness:+.2f}, contrast {tone.contrast:.2f}"
