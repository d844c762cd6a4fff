"""The world's hops of a recording lived through again: the same implant and patient, told the same when it was told."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from pydantic import ValidationError

from prosthesis.config import Rig
from prosthesis.errors import ConfigError
from prosthesis.messages import Delivered, Evoked, Heard, Percept, readonly
from prosthesis.sealing import Sealing
from prosthesis.wire import U16, Configuration, Direction, Header, PacketType, Sealer, read_header, seal_pattern, split
from prosthesis_sim.electrodes import place
from prosthesis_sim.implant import Implant
from prosthesis_sim.patient import WorldConfig
from prosthesis_sim.sites import recording
from prosthesis_sim.world import World

SESSION = 1


class Patient:
    """Hops 7 and 8 of a recording; ``about`` is its metadata. Raises ``ConfigError`` when that has no patient.

    Packets are sealed anew without keys, because those of the session are gone. What the implant knows before its first
    command is the same for every run of it; what an earlier session left in the tissue is not known here.
    """

    def __init__(self, rig: Rig, about: Mapping[str, str], configuration: Configuration) -> None:
        try:
            config = WorldConfig.model_validate_json(about["sim_world_config"])
        except (KeyError, ValidationError) as error:
            raise ConfigError("the recorded patient is another version's; rerun --to guard") from error
        array = place(rig.config.implant, rig.array)
        self._world = World(config, array, int(about["sim_patient"]), float(about["sim_day"]))
        self._evoked_hz = recording(self._world, array)
        # nothing is sealed twice with the same key here, for there is none
        self._rig = replace(rig, link=rig.link.model_copy(update={"sealing": Sealing.NONE.value}))
        self._configuration = configuration
        self._sealer = Sealer(b"", SESSION, Direction.DOWN, Sealing.NONE)
        self._implant: Implant | None = None
        self._now_ns = 0
        self._heard: deque[tuple[Heard, U16 | None]] = deque()
        self._known = self._guessed = False

    def hear(self, heard: Heard, codes: U16 | None) -> None:
        """Take note of what the implant obeyed; it is obeyed again when time has come to it."""
        self._heard.append((heard, codes))

    def deliver(self, recorded: Delivered, again: bool) -> Delivered | None:
        """Live through the recorded interval; return what is delivered now, ``None`` before the implant is configured.

        Not ``again``, the patient gets what was recorded. An interval that the recording lacks is lived through
        unrecorded. After a pattern that it lacks (a busy machine's tap may lose one, and patterns of silence are in no
        tap) nothing is compared until a whole one is known.
        """
        if not again:
            self._world.step(recorded)
            return recorded
        while self._heard and self._heard[0][0].at_ns <= recorded.t0_ns:
            self._obey(*self._heard.popleft())
        implant = self._implant
        if implant is None or not self._known:
            self._world.step(recorded)
            self._now_ns = recorded.t0_ns + recorded.dt_ns
            return None
        self._advance(recorded.t0_ns)
        pieces = implant.advance(recorded.t0_ns + recorded.dt_ns)
        self._now_ns = recorded.t0_ns + recorded.dt_ns
        if self._guessed or not pieces or pieces[-1].seq != recorded.seq:
            self._world.step(recorded)  # something that the implant heard is not in the recording
            return None
        for piece in pieces:
            self._world.step(piece)
        pulses = readonly(np.sum([piece.pulses for piece in pieces], axis=0), np.int32)
        return replace(pieces[-1], t0_ns=recorded.t0_ns, dt_ns=recorded.dt_ns, pulses=pulses)

    def see(self, recorded: Percept) -> Percept:
        """Return what is seen now, the eyes where they were."""
        self._world.gaze.deg = recorded.gaze_deg
        return self._world.percept(recorded.seq, recorded.t_ns, recorded.made_ns)

    def evoked(self, recorded: Evoked) -> Evoked:
        """Return each site's rate now."""
        return Evoked(recorded.seq, recorded.t_ns, readonly(self._evoked_hz(), np.float32))

    def _advance(self, until_ns: int) -> None:
        if self._implant is not None and until_ns > self._now_ns:
            for piece in self._implant.advance(until_ns):
                self._world.step(piece)
            self._now_ns = until_ns

    def _obey(self, heard: Heard, codes: U16 | None) -> None:
        if self._implant is None and heard.what == "open":
            self._implant = Implant(self._rig, heard.at_ns, self._world.person.impedance)
        implant = self._implant
        if implant is None:  # the recording began within a session
            return
        if self._known:
            self._advance(heard.at_ns)
        else:
            implant.advance(heard.at_ns)
        match heard.what:
            case "open":
                implant.adopt(SESSION, Sealer(b"", SESSION, Direction.UP, Sealing.NONE))
                self._known = False
            case "configure":
                implant.configure(self._configuration)
                self._known = True
            case "arm":
                implant.arm()
            case "stop":
                implant.stop("stopped by host")
            case "lock":
                implant.lock("aborted by host")
            case "reset":
                implant.reset()
            case "test":
                implant.self_test("self-test by host")
            case "offset":
                implant.offset_ns = heard.value
            case "tiles" if implant.sealer is not None and self._known:
                whole = len(heard.tiles) * self._configuration.tile_electrodes >= self._configuration.electrodes
                self._guessed = codes is None or (self._guessed and not whole)
                implant.receive(self._packets(heard, codes), heard.value)
            case _:
                pass

    def _packets(self, heard: Heard, codes: U16 | None) -> list[bytes]:
        """Return the tiles that arrived; a pattern that was not recorded was one of silence, or was lost to the tap."""
        c = self._configuration
        head = Header(PacketType.PATTERN, SESSION, heard.seq, heard.t_ns, self._rig.link.ttl_ms, profile=c.profile)
        codes = np.zeros(c.electrodes, np.uint16) if codes is None else codes
        message = seal_pattern(self._sealer, head, codes, c.bits, c.tile_electrodes)
        return [p for p in split(message) if read_header(p, Sealing.NONE).tile in heard.tiles]
