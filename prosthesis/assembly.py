"""The one place where a rig becomes running parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import cv2
import numpy as np
import zmq

from prosthesis.airtime import AirTime
from prosthesis.bundles.bundle import load_bundle
from prosthesis.calibration.calibrate import calibrate, choose_electrodes
from prosthesis.calibration.impedance import check_impedances
from prosthesis.calibration.participant import KeyboardParticipant, Participant, RemoteParticipant
from prosthesis.calibration.procedure import Plan
from prosthesis.calibration.table import Calibration
from prosthesis.cameras import open_camera
from prosthesis.cameras.checks import FrameCheck
from prosthesis.config import RadioConfig, Rig, TaskConfig, find, load_rig, names
from prosthesis.encoders import open_encoder
from prosthesis.encoders.switching import Switchboard, Way
from prosthesis.errors import ConfigError
from prosthesis.files import same_file
from prosthesis.glance import QuickGuard
from prosthesis.hops import EncoderConfig
from prosthesis.limits import guard_limits, hold_s
from prosthesis.links.keys import load_keys
from prosthesis.links.zmq import DEVICE_TAPS, WORLD_TAPS, ZmqLink, plain
from prosthesis.live import Desk
from prosthesis.messages import Event, Message
from prosthesis.modulator import PulseModulator
from prosthesis.pipeline import Passage, Pipeline
from prosthesis.processes import spoken_lines
from prosthesis.protocols import Clock, Encoder, FrameSource, Link, StimulatingSession, Translator
from prosthesis.recording.identity import RIG_PART, device_about, identity, rig_text
from prosthesis.recording.recorder import Recorder
from prosthesis.runtime import RunSummary, run
from prosthesis.sealing import Sealing
from prosthesis.session import Credentials, Session
from prosthesis.solver import open_modulator
from prosthesis.stimulator.addresses import open_backend
from prosthesis.stimulator.profile import capabilities
from prosthesis.taps import Context, Tap
from prosthesis.timing import MonotonicClock
from prosthesis.view import View, make_view
from prosthesis.yamlfile import load_model

if TYPE_CHECKING:
    from prosthesis.translators.bijective import BijectiveTranslator


ABOUT_NS = 500_000_000  # between two words of a device on itself; a world speaks as often


@dataclass(frozen=True, slots=True)
class Device:
    """A rig's parts, wired and ready to run."""

    rig: Rig
    source: FrameSource
    check: FrameCheck
    pipeline: Pipeline
    session: StimulatingSession
    tasks: Switchboard

    def prepare(self, hear: Callable[[Rig], None] = lambda rig: None) -> tuple[tuple[str, str], ...]:
        """Measure impedances in the open session, guard by them, and return what to tell of it as (level, text).

        ``hear`` gets the rig with what was measured.
        """
        checked = check_impedances(self.rig, self.session)
        hear(checked.rig)
        self.pipeline.be_guarded_by(QuickGuard(guard_limits(checked.rig)))
        return checked.said


def with_choices(
    rig: Rig,
    source: str | None = None,
    task: str | None = None,
    host: str | None = None,
    port: int | None = None,
    world: str | None = None,
) -> Rig:
    """Return ``rig`` with another camera, another task, another address of its implant, or another patient.

    A task is a file of ``hardware_configs/tasks``, or a model for the rig's own encoder. The patient's name is only
    noted, for recordings.
    """
    config = rig.config
    if source is not None:
        config = config.model_copy(update={"camera": config.camera.model_copy(update={"source": source})})
    if task is not None:
        config = config.model_copy(update={"encoder": _task_encoder(config.encoder, task)})
    if world is not None:
        config = config.model_copy(update={"world": world})
    address = {"host": host or rig.link.host, "port": port or rig.link.port}
    return replace(rig, config=config, link=rig.link.model_copy(update=address))


def with_tasks(rig: Rig, tasks: Sequence[str]) -> tuple[Rig, dict[str, EncoderConfig]]:
    """Return ``rig`` with the first of ``tasks`` in its encoder's place, and the encoder of each task by name.

    Names are those that ``with_choices`` takes; none at all means the rig's own encoder.
    """
    own = rig.config.encoder
    encoders = {Path(task).stem: _task_encoder(own, task) for task in tasks} or {getattr(own, "model", own.type): own}
    if len(encoders) < len(tasks):
        raise ConfigError(f"tasks {', '.join(tasks)}: two have the same name; name each once")
    return _with_encoder(rig, next(iter(encoders.values()))), encoders


def _with_encoder(rig: Rig, encoder: EncoderConfig) -> Rig:
    return replace(rig, config=rig.config.model_copy(update={"encoder": encoder}))


def _task_encoder(own: EncoderConfig, task: str) -> EncoderConfig:
    if task in names("tasks") or task.endswith((".yaml", ".yml")):
        return load_model(TaskConfig, find("tasks", task)).encoder
    return own.model_copy(update={"model": task})


def open_link(rig: Rig) -> tuple[Link, Credentials]:
    """Connect to the rig's implant with this installation's keys."""
    keys = load_keys("device")
    link = ZmqLink(rig.link.host, rig.link.port, keys, plain=plain(rig.link))
    return link, Credentials(keys.identity, keys.peer_raw)


def open_session(rig: Rig, link: Link, credentials: Credentials, clock: Clock) -> tuple[Session, PulseModulator]:
    """Return a session, not yet opened, with the modulator whose configuration it carries."""
    modulator = open_modulator(rig)
    sealing = Sealing(rig.link.sealing)
    return Session(link, credentials, modulator.configuration, rig.link.ttl_ms, clock, sealing), modulator


def connect(rig: Rig, clock: Clock, stack: ExitStack) -> tuple[StimulatingSession, PulseModulator]:
    """Return a session, not yet opened, with the rig's implant, or with the stimulator that its ``backend`` names.

    ``stack`` closes what it needs.
    """
    if (address := rig.config.backend) is None:
        link, credentials = open_link(rig)
        stack.callback(link.close)
        return open_session(rig, link, credentials, clock)
    from prosthesis.stimulator.wired import WiredSession

    modulator, profile = open_modulator(rig), capabilities(rig.stimulator)
    where = address
    session = WiredSession(
        lambda: open_backend(where, profile, clock.now_ns), modulator.configuration, hold_s(rig), clock
    )
    stack.callback(session.close)
    return session, modulator


def assemble(
    rig: Rig, link: Link, credentials: Credentials, clock: Clock, tasks: Mapping[str, EncoderConfig] | None = None
) -> Device:
    """Make every part that the rig names, with the implant behind ``link``; errors name the part's file or key.

    ``tasks`` (of ``with_tasks``) are all loaded, the first in force; without them the rig's own encoder alone.
    """
    return assemble_with(rig, *open_session(rig, link, credentials, clock), clock, tasks)


def assemble_with(
    rig: Rig,
    session: StimulatingSession,
    modulator: PulseModulator,
    clock: Clock,
    tasks: Mapping[str, EncoderConfig] | None = None,
) -> Device:
    """Make every other part around a session and the modulator of its configuration."""
    # OpenCV's threads cost more to wake than our small pictures take
    cv2.setNumThreads(1)
    config = rig.config
    view = make_view(config.view, config.camera, rig.calibration)
    board = Switchboard({name: open_way(rig, view, task) for name, task in (tasks or with_tasks(rig, ())[1]).items()})
    air = AirTime(modulator.configuration, radio_of(rig), rig.link.air_ms)
    pipeline = Pipeline(board, board, modulator, QuickGuard(guard_limits(rig)), session, clock, air)
    source = open_camera(config.camera, clock)
    frames = FrameCheck(config.camera.width, config.camera.height, source.live)
    return Device(rig, source, frames, pipeline, session, board)


def radio_of(rig: Rig) -> RadioConfig:
    """Return the radio that a rig's patterns go over: an ideal one where a stimulator is wired."""
    return rig.link.radio if rig.config.backend is None else RadioConfig()


def open_way(rig: Rig, view: View, config: EncoderConfig) -> Way:
    """Return a task's encoder, loaded, and the translator made for its codes."""
    encoder = open_encoder(config, view, rig.calibration)
    return Way(encoder, _translator(_with_encoder(rig, config), view, encoder))


def _translator(rig: Rig, view: View, encoder: Encoder) -> Translator:
    match rig.config.translator.type:
        case "retinotopic":
            from prosthesis.translators.retinotopic import RetinotopicTranslator

            if len(encoder.shape) != 2:
                raise ConfigError(f"{rig.path}: key 'translator': retinotopic needs a map, not a latent code")
            return RetinotopicTranslator(rig.calibration, view, (encoder.shape[0], encoder.shape[1]))
        case "bijective":
            if len(encoder.shape) != 1:
                raise ConfigError(f"{rig.path}: key 'translator': bijective needs a latent code, not a map")
            return open_bijective(rig)


def open_bijective(rig: Rig) -> BijectiveTranslator:
    """Return the rig's translator by code map; ``ConfigError`` when its map was made for another encoder or array.

    A site's maximum is what calibration recorded there; where it recorded nothing, the most that the map's card says.
    """
    from prosthesis.brainmap import load_brain_map, map_folder
    from prosthesis.translators.bijective import BijectiveTranslator

    config = rig.config
    if config.translator.type != "bijective":
        raise ConfigError(f"{rig.path}: key 'translator': has no code map; use a rig whose translator is bijective")
    brain_map = load_brain_map(map_folder(config.translator.map, rig.path.parent))
    graph = load_bundle(config.encoder.model).manifest.graphs[0]
    if graph.sha256 != brain_map.card.model_sha256:
        raise ConfigError(
            f"{rig.path}: key 'translator.map': '{brain_map.card.name}' was made for encoder "
            f"'{brain_map.card.model}', not for '{config.encoder.model}' as it is here; make a map for it"
        )
    card, enabled = brain_map.card, rig.calibration.column("enabled").astype(bool)
    rest_hz = np.asarray(card.spontaneous_hz)
    if max(card.sites, default=0) >= len(enabled):
        raise ConfigError(
            f"{rig.path}: key 'translator.map': '{card.name}' was made for more electrodes; make one for it"
        )
    evoked_hz = np.zeros(len(enabled))
    evoked_hz[list(card.sites)] = np.asarray(card.most_hz) - rest_hz
    if rig.calibration.evoked_hz is not None:
        evoked_hz = rig.calibration.column("evoked_hz")
    return BijectiveTranslator(brain_map.code_map, card.sites, rest_hz, evoked_hz, enabled)


def run_rig(
    rig: Rig,
    seconds: float | None = None,
    record: Path | None = None,
    on_frame: Callable[[Passage | None, RunSummary], bool] | None = None,
    say: Callable[[str], None] = lambda text: None,
    tasks: Sequence[str] = (),
    ready: Callable[[Switchboard], None] = lambda board: None,
    lines: TextIO | None = None,
) -> RunSummary:
    """Run a rig against the implant at its link's address, with its taps open, recording them to ``record`` if given.

    ``say`` gets every event as one sentence. ``tasks`` are loaded in the place of the rig's encoder, the first in
    force; ``ready`` gets, once all is loaded, the ``Switchboard`` that puts another in force during the run. ``lines``
    of text (a pipe's) steer the run as ``live.Desk`` says. Errors are ``ProsthesisError``.
    """
    _check_record(record, rig)
    rig, encoders = with_tasks(rig, tasks)
    known = identity(rig, encoders)
    clock = MonotonicClock()
    context: Context = zmq.Context.instance()
    with ExitStack() as stack:
        device = assemble_with(rig, *connect(rig, clock, stack), clock, encoders)
        stack.callback(device.source.close)
        ready(device.tasks)
        # our own taps stay on this machine, wherever the implant is
        ours = f"tcp://127.0.0.1:{rig.link.port + DEVICE_TAPS}"
        tap = Tap(ours, context)
        stack.callback(tap.close)
        if record is not None:
            worlds = f"tcp://{rig.link.host}:{rig.link.port + WORLD_TAPS}"
            recorder = Recorder(record, [ours, worlds], known, {RIG_PART: rig_text(rig)}, say)
            stack.callback(recorder.stop)
            recorder.await_world()

        def publish(topic: str, message: Message) -> None:
            tap.publish(topic, message)
            if isinstance(message, Event):
                say(message.text)

        desk = Desk(device.tasks, device.session, spoken_lines(lines))

        about = _Spoken(known, publish)

        def steered(passage: Passage | None, summary: RunSummary) -> bool:
            about.say_again(clock.now_ns())
            for text in desk.listen():
                say(text)
            return on_frame is None or on_frame(passage, summary)

        parts = (device.source, device.check, device.pipeline, device.session, clock)

        def prepare() -> tuple[tuple[str, str], ...]:
            return device.prepare(lambda measured: about.say(clock.now_ns(), measured))

        return run(*parts, publish, seconds, steered, prepare)


def _check_record(record: Path | None, rig: Rig) -> None:
    """Refuse to record over the recording that is the camera."""
    scheme, _, replayed = rig.config.camera.source.partition(":")
    if record is not None and scheme == "replay" and same_file(record, Path(replayed)):
        raise ConfigError(f"{record}: is the recording that is replayed; choose another name to record to")


class _Spoken:
    """What the device says of itself, again and again, for a recorder or watcher that comes late."""

    def __init__(self, known: Mapping[str, str], publish: Callable[[str, Message], None]) -> None:
        self._known, self._publish = known, publish
        self._measured: Rig | None = None
        self._told_ns = -ABOUT_NS

    def say(self, now_ns: int, measured: Rig) -> None:
        """Say it with what was ``measured`` in this session."""
        self._measured, self._told_ns = measured, -ABOUT_NS
        self.say_again(now_ns)

    def say_again(self, now_ns: int) -> None:
        """Say it where the last time was half a second ago."""
        if now_ns - self._told_ns >= ABOUT_NS:
            self._told_ns = now_ns
            self._publish("about", device_about(self._known, self._measured, now_ns))


def calibrate_rig(
    rig_name: str,
    electrodes: Iterable[int] | None = None,
    keyboard: bool = False,
    recovery_s: float = 0.0,
    host: str | None = None,
    port: int | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Calibration:
    """Measure the patient of the implant at the rig's link, in real time; answers come from its keypad's socket.

    ``keyboard`` asks the person at this terminal instead. Errors are ``ProsthesisError``.
    """
    rig = with_choices(load_rig(rig_name, uncalibrated=True), host=host, port=port)
    chosen = choose_electrodes(rig, electrodes)
    clock = MonotonicClock()
    with ExitStack() as stack:
        session, _ = connect(rig, clock, stack)
        session.open()
        stack.callback(session.stop)
        person: Participant = KeyboardParticipant()
        if not keyboard:
            person = remote = RemoteParticipant(rig.link.host, rig.link.port, load_keys("device"))
            stack.callback(remote.close)
        return calibrate(rig, session, person, clock, Plan(recovery_s=recovery_s), chosen, progress=progress)
