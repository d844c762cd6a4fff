"""What arrives: frames through the real pipeline and the link to a simulated patient, in simulated time.

Everything is the device's and the world's own code; only the clock is ours, and computing takes no time on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from prosthesis.assembly import Device, assemble, with_tasks
from prosthesis.cameras import open_camera
from prosthesis.config import CameraConfig, LinkConfig, Rig, find
from prosthesis.errors import ConfigError
from prosthesis.messages import F32, U8, Delivered, Frame, HopTimes, Intervention, MachineCode, Percept
from prosthesis.session import Credentials
from prosthesis.timing import NS_PER_MS, NS_PER_S, ManualClock
from prosthesis.translators.retinotopic import RetinotopicTranslator
from prosthesis.view import Field, View, cell_centres_deg, make_view
from prosthesis.yamlfile import load_model
from prosthesis_sim.channel import Channel
from prosthesis_sim.emulator import Emulator
from prosthesis_sim.loop import rowwise_r
from prosthesis_sim.loopback import LoopbackLink
from prosthesis_sim.patient import WorldConfig
from prosthesis_train.study.people import patient
from prosthesis_train.study.plan import Carried, Cell

START_NS = NS_PER_S
# sources that are the same every time, and wait for nobody
REPEATABLE = ("clip:", "synthetic:", "file:", "replay:")


class Air(LoopbackLink):
    """The loopback link, of which nothing arrives before somebody looks, so that nothing arrives unseen."""

    def __init__(self, emulator: Emulator, clock: ManualClock) -> None:
        super().__init__(emulator, clock)
        self._hear = emulator.hear

    def send(self, data: bytes) -> bool:
        """Put the message on the emulator's air."""
        self._hear(data)
        return True


@dataclass(slots=True)
class Seen:
    """What was noted along the way, a frame an entry."""

    wanted: list[F32] = field(default_factory=list)
    seen: list[F32] = field(default_factory=list)
    visible: list[int] = field(default_factory=list)
    driven: list[int] = field(default_factory=list)
    ages_ms: dict[int, float] = field(default_factory=dict)
    interventions: list[Intervention] = field(default_factory=list)
    charge_nc: float = 0.0


def carry(cell: Cell, settings: Carried) -> dict[str, float]:
    """Return the figures of one cell.

    ``delivered`` is the share of sent tiles that the implant obeyed, ``shown`` the share of frames that reached it at
    least in part, ``skipped`` that of frames which newer ones pushed out of the sender, ``refused`` the share of tiles
    that arrived and were refused; ``age_ms`` is the median time from capture until obeyed.
    ``percept_r`` is the mean over frames of Pearson's r between the wanted map and the percept at the end of the frame,
    over the map's cells that some electrode samples: 0 where nothing is seen; frames that want the same everywhere are
    left out (NaN when all do). ``visible`` is the mean number of phosphenes seen, ``driven`` that of electrodes allowed
    to pulse, ``charge_uc_per_s`` the cathodic charge delivered by all together. ``hard`` and ``advisory`` are the
    guard's interventions a frame.
    """
    rig, world = patient(cell.rig, cell.patient, cell.dropout)
    rig = _chosen(rig, cell, settings)
    pictures = _pictures(rig.config.camera, settings.frames)
    clock = ManualClock(START_NS)
    device, emulator = _connect(rig, world, cell, clock)
    if len(device.tasks.shape) != 2:
        raise ConfigError(f"encoder '{cell.encoder}': makes no map to compare the percept with; choose one that does")
    noted = Seen()
    over = make_view(rig.config.view, rig.config.camera, rig.calibration)
    period_ns = round(NS_PER_S / rig.config.camera.fps)
    for index, picture in enumerate(pictures):
        _frame(device, emulator, clock, Frame(index + 1, clock.now_ns(), picture), over.field, period_ns, noted)
    likeness = _likeness(noted, rig, over, device.tasks.shape)
    return {"percept_r": likeness} | _figures(noted, emulator, rig, settings.frames)


def _chosen(rig: Rig, cell: Cell, settings: Carried) -> Rig:
    link = load_model(LinkConfig, find("links", cell.link))
    rig, _ = with_tasks(replace(rig, link=link), (cell.encoder,))
    source = settings.source or rig.config.camera.source
    if not source.startswith(REPEATABLE):
        raise ConfigError(f"source '{source}': a study needs one of {', '.join(REPEATABLE)} to be repeatable")
    camera = rig.config.camera.model_copy(update={"source": source})
    return replace(rig, config=rig.config.model_copy(update={"camera": camera}))


def _pictures(config: CameraConfig, count: int) -> Iterator[U8]:
    source = open_camera(config, ManualClock(START_NS))
    try:
        for _ in range(count):
            frame = source.read(10.0)
            if frame is None:
                raise ConfigError(f"source '{config.source}': gives no frames")
            yield frame.rgb
    except EOFError:
        raise ConfigError(f"source '{config.source}': has fewer than {count} frames; ask for fewer") from None
    finally:
        source.close()


def _connect(rig: Rig, world: WorldConfig, cell: Cell, clock: ManualClock) -> tuple[Device, Emulator]:
    ours, implants = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    known = frozenset([ours.public_key().public_bytes_raw()])
    emulator = Emulator(rig, world, implants, known, cell.patient, clock.now_ns)
    emulator.channel = Channel(rig.link.radio, cell.seed)
    credentials = Credentials(ours, implants.public_key().public_bytes_raw())
    device = assemble(rig, Air(emulator, clock), credentials, clock)
    device.source.close()
    device.session.open()
    device.session.arm()
    return device, emulator


def _frame(
    device: Device, emulator: Emulator, clock: ManualClock, frame: Frame, over: Field, period_ns: int, noted: Seen
) -> None:
    """Carry one frame, then live until just before the next."""
    end_ns = frame.t_ns + period_ns
    passage = device.pipeline.process(frame)
    noted.interventions += passage.guard.interventions
    noted.driven.append(int(np.count_nonzero(passage.allowed.amplitude_ua)))
    while (event_ns := emulator.next_event_ns()) is not None and event_ns < end_ns:
        clock.sleep_until(event_ns)
        _note(emulator, noted, look=False)
    clock.sleep_until(end_ns)
    percept = _note(emulator, noted, look=True)
    assert percept is not None
    noted.wanted.append(passage.code.values)
    noted.seen.append(sampled(percept, passage.code, over))
    noted.visible.append(percept.visible)


def _note(emulator: Emulator, noted: Seen, look: bool) -> Percept | None:
    outcome = emulator.step(look=look)
    noted.charge_nc += sum(_charge_nc(piece) for piece in outcome.delivered)
    if isinstance(outcome.hops, HopTimes):
        noted.ages_ms.setdefault(outcome.hops.seq, (outcome.hops.stamps_ns[0] - outcome.hops.t_ns) / NS_PER_MS)
    return outcome.percept


def _charge_nc(delivered: Delivered) -> float:
    per_pulse = delivered.amplitude_ua.astype(np.float64) * delivered.pulse_width_us * 1e-3
    return float((per_pulse * delivered.pulses).sum())


def sampled(percept: Percept, code: MachineCode, over: Field) -> F32:
    """Return the percept at the cells of a map over ``over``, f32[cells] row by row from the top; 0 beyond its edge."""
    x_deg, y_deg = cell_centres_deg(over, (code.shape[0], code.shape[1]))
    height, width = percept.image.shape
    column = (x_deg - percept.centre_deg[0]) / percept.extent_deg[0] * width + (width - 1) / 2
    row = (percept.centre_deg[1] - y_deg) / percept.extent_deg[1] * height + (height - 1) / 2
    places = (column.astype(np.float32), row.astype(np.float32))
    image: F32 = cv2.remap(percept.image, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return image.reshape(-1)


def _figures(noted: Seen, emulator: Emulator, rig: Rig, frames: int) -> dict[str, float]:
    telemetry = emulator.implant.telemetry(0)
    tiles = frames * -(-rig.electrodes // rig.link.tile_electrodes)
    seconds = frames / rig.config.camera.fps
    return {
        "delivered": telemetry.accepted / tiles,
        "shown": len(noted.ages_ms) / frames,
        "skipped": telemetry.skipped / frames,
        "refused": sum(telemetry.refused) / tiles,
        "age_ms": float(np.median(list(noted.ages_ms.values()))) if noted.ages_ms else float("nan"),
        "visible": float(np.mean(noted.visible)),
        "driven": float(np.mean(noted.driven)),
        "charge_uc_per_s": noted.charge_nc * 1e-3 / seconds,
        "hard": sum(i.tier == "hard" for i in noted.interventions) / frames,
        "advisory": sum(i.tier == "advisory" for i in noted.interventions) / frames,
    }


def _likeness(noted: Seen, rig: Rig, view: View, shape: tuple[int, ...]) -> float:
    fields = RetinotopicTranslator(rig.calibration, view, (shape[0], shape[1])).fields
    covered = np.unique(fields.cell[fields.weight > 0])
    wanted, seen = (np.stack(part)[:, covered].astype(np.float64) for part in (noted.wanted, noted.seen))
    asked = wanted.std(axis=1) > 0
    r = np.nan_to_num(rowwise_r(wanted[asked], seen[asked]))
    return float(r.mean()) if len(r) else float("nan")
