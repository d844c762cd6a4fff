"""Prometheus metrics of a running session, read from its taps only: the path pays nothing for them.

``prosthesis metrics`` serves them from a process of its own, on loopback unless told otherwise. Names follow
Prometheus's custom: base units, ``_total`` on counters.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prosthesis.errors import LinkError, MissingExtraError
from prosthesis.messages import (
    Delivered,
    Event,
    GuardReport,
    HopTimes,
    ImplantState,
    Message,
    Percept,
    Refusal,
    Telemetry,
)
from prosthesis.timing import NS_PER_S

TOPICS = ("hops", "guard", "telemetry", "delivered", "percept", "world_hops", "event")
HOST, PORT = "127.0.0.1", 9464
BUCKETS_S = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5)
C_PER_PC = 1e-12


class Metrics:
    """Counts what is said in the taps; ``registry`` is Prometheus's. Raises ``MissingExtraError``."""

    def __init__(self) -> None:
        try:
            import prometheus_client as prometheus
        except ImportError as error:
            raise MissingExtraError("metrics need prometheus-client; run: pip install 'prosthesis[metrics]'") from error
        self.registry = prometheus.CollectorRegistry()

        def made(kind: Any, name: str, about: str, labels: tuple[str, ...] = (), **more: Any) -> Any:
            return kind(f"prosthesis_{name}", about, labels, registry=self.registry, **more)

        counter, gauge, histogram = prometheus.Counter, prometheus.Gauge, prometheus.Histogram
        self._frames = made(counter, "frames", "Frames that the device carried")
        self._missing = made(counter, "frames_missing", "Gaps in the frames' numbers: dropped, faulty or not tapped")
        self._hop = made(histogram, "hop_seconds", "How long a hop took", ("hop",), buckets=BUCKETS_S)
        self._whole = made(histogram, "capture_to_percept_seconds", "Capture to percept", buckets=BUCKETS_S)
        self._guard = made(counter, "guard_interventions", "Frames on which the guard found it", ("rule", "tier"))
        self._pulses = made(counter, "pulses", "Pulses delivered, all electrodes")
        self._charge = made(counter, "charge_coulombs", "Cathodic charge delivered, all electrodes")
        self._driven = made(gauge, "electrodes_driven", "Electrodes that pulsed in the last interval")
        self._visible = made(gauge, "visible_phosphenes", "Phosphenes above threshold")
        self._state = made(gauge, "implant_state", "1 for the state the implant is in", ("state",))
        self._accepted = made(gauge, "tiles_accepted", "Tiles obeyed since the implant was powered up")
        self._refused = made(gauge, "tiles_refused", "Tiles refused since the implant was powered up", ("reason",))
        self._power = made(gauge, "implant_power_watts", "What the implant draws")
        self._warming = made(gauge, "implant_warming_celsius", "How much warmer than the body")
        self._left = made(gauge, "implant_net_charge_coulombs", "The most charge left on any electrode")
        self._watchdog = made(gauge, "implant_watchdog_seconds", "Until the implant falls silent without a frame")
        self._events = made(counter, "events", "Sentences for people", ("source", "level"))
        self._last_seq = 0

    def take(self, topic: str, message: Message) -> None:
        """Count one message."""
        match message:
            case HopTimes():
                self._time(topic, message)
            case GuardReport():
                for item in message.interventions:
                    self._guard.labels(item.rule, item.tier).inc()
            case Delivered():
                charge_pc = message.amplitude_ua.astype(np.float64) * message.pulse_width_us * message.pulses
                self._pulses.inc(int(message.pulses.sum()))
                self._charge.inc(float(charge_pc.sum()) * C_PER_PC)
                self._driven.set(int(np.count_nonzero(message.pulses)))
            case Percept():
                self._visible.set(message.visible)
            case Telemetry():
                self._health(message)
            case Event():
                self._events.labels(message.source, message.level).inc()
            case _:
                pass

    def _time(self, topic: str, hops: HopTimes) -> None:
        if topic == "hops":
            self._frames.inc()
            if self._last_seq and hops.seq > self._last_seq + 1:
                self._missing.inc(hops.seq - self._last_seq - 1)
            self._last_seq = hops.seq
        else:
            self._whole.observe((hops.stamps_ns[-1] - hops.t_ns) / NS_PER_S)
        # the world's first hop counts from the device's last, which is not known here
        before_ns = hops.t_ns if topic == "hops" else hops.stamps_ns[0]
        for hop, stamp_ns in zip(hops.hops, hops.stamps_ns, strict=True):
            if topic == "hops" or hop != hops.hops[0]:
                self._hop.labels(hop).observe((stamp_ns - before_ns) / NS_PER_S)
            before_ns = stamp_ns

    def _health(self, telemetry: Telemetry) -> None:
        for state in ImplantState:
            self._state.labels(state.name.lower()).set(int(state is telemetry.state))
        self._accepted.set(telemetry.accepted)
        for refusal, count in zip(Refusal, telemetry.refused, strict=False):
            if count:
                self._refused.labels(refusal.name.lower()).set(count)
        self._power.set(telemetry.power_mw * 1e-3)
        self._warming.set(telemetry.warming_c)
        self._left.set(telemetry.net_charge_pc * C_PER_PC)
        self._watchdog.set(telemetry.watchdog_ms * 1e-3)


def serve(metrics: Metrics, host: str = HOST, port: int = PORT) -> Any:
    """Serve ``metrics`` over HTTP from a thread; return the server, to be shut down. Raises ``LinkError``."""
    import prometheus_client as prometheus

    try:
        server, _ = prometheus.start_http_server(port, host, metrics.registry)
    except OSError as error:
        raise LinkError(f"cannot serve metrics at {host}:{port} ({error.strerror}); choose another --port") from error
    return server
