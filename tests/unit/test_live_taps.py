"""What Prometheus and the Lab Streaming Layer get of a session, by their own clients."""

from __future__ import annotations

import sys
import threading
import time
import urllib.request

import numpy as np
import pytest
import zmq
from helpers import HAND
from made_up_session import device_messages, uplink_messages, wait_for, world_messages

from prosthesis import cli
from prosthesis.errors import LinkError, MissingExtraError
from prosthesis.links.zmq import DEVICE_TAPS
from prosthesis.messages import Event
from prosthesis.processes import free_port
from prosthesis.recording.lsl import Outlets
from prosthesis.recording.metrics import Metrics, serve
from prosthesis.taps import Tap

MS = 1_000_000
AMPLITUDE_UA, PULSES, WIDTH_US = np.array([0, 10, 20, 40]), np.array([0, 2, 2, 2]), 200


def say(take, seqs):
    for seq in seqs:
        t_ns = time.monotonic_ns()
        for messages in (device_messages, world_messages, uplink_messages):
            for topic, message in messages(seq, t_ns):
                take(topic, message)


@pytest.fixture
def metrics():
    pytest.importorskip("prometheus_client", reason="prometheus-client is not installed")
    return Metrics()


def test_what_prometheus_scrapes_is_what_was_said(metrics):
    from prometheus_client.parser import text_string_to_metric_families

    say(metrics.take, [8, 9, 10, 13])  # 11 and 12 never came
    metrics.take("event", Event(1, 1, "implant", "warning", "x"))
    port = free_port()
    server = serve(metrics, port=port)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
            text = page.read().decode()
    finally:
        server.shutdown()
        server.server_close()
    families = text_string_to_metric_families(text)
    found = {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}
    assert found[("prosthesis_frames_total",)] == 4
    assert found[("prosthesis_frames_missing_total",)] == 2
    assert found[("prosthesis_guard_interventions_total", ("rule", "charge per phase"), ("tier", "advisory"))] == 1
    charge_c = float(4 * (AMPLITUDE_UA * PULSES).sum() * WIDTH_US) * 1e-12
    assert found[("prosthesis_charge_coulombs_total",)] == pytest.approx(charge_c)
    assert found[("prosthesis_pulses_total",)] == 4 * 6
    assert found[("prosthesis_implant_state", ("state", "stimulating"))] == 1
    assert found[("prosthesis_implant_state", ("state", "silent"))] == 0
    assert found[("prosthesis_capture_to_percept_seconds_sum",)] == pytest.approx(4 * 0.020)
    assert found[("prosthesis_hop_seconds_sum", ("hop", "encode"))] == pytest.approx(4 * 0.002)
    assert found[("prosthesis_hop_seconds_sum", ("hop", "percept"))] == pytest.approx(4 * 0.008)
    assert ("prosthesis_hop_seconds_sum", ("hop", "receive")) not in found  # the air is not the world's to time
    assert found[("prosthesis_tiles_refused", ("reason", "stale"))] == 1
    assert found[("prosthesis_events_total", ("level", "warning"), ("source", "implant"))] == 1


def test_a_port_in_use_is_said(metrics):
    port = free_port()
    server = serve(metrics, port=port)
    try:
        with pytest.raises(LinkError, match=f"cannot serve metrics at 127.0.0.1:{port} .*; choose another --port"):
            serve(metrics, port=port)
    finally:
        server.shutdown()
        server.server_close()


def test_missing_packages_are_named_with_their_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.setitem(sys.modules, "pylsl", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'prosthesis\[metrics\]'"):
        Metrics()
    with pytest.raises(MissingExtraError, match=r"pip install 'prosthesis\[lsl\]'"):
        Outlets("x")


@pytest.fixture
def lsl(tmp_path, monkeypatch):
    """LSL that looks no further than this machine."""
    settings = tmp_path / "lsl_api.cfg"
    settings.write_text("[multicast]\nResolveScope = machine\n[lab]\nKnownPeers = {127.0.0.1}\n[log]\nlevel = -3\n")
    monkeypatch.setenv("LSLAPICFG", str(settings))
    try:
        import pylsl
    except (ImportError, RuntimeError, OSError):
        pytest.skip("pylsl or its library is not installed")
    return pylsl


def test_an_inlet_gets_charges_percepts_and_sentences_with_their_times(lsl):
    outlets = Outlets("test")
    deliveries = [m for topic, m in world_messages(1, time.monotonic_ns()) if topic == "delivered"]
    outlets.take(deliveries[0])
    found = {
        name: lsl.resolve_byprop("source_id", f"prosthesis-test-{name}", timeout=10)
        for name in ("stimulation", "percept", "events")
    }
    if not all(found.values()):
        pytest.skip("LSL finds no streams on this machine's network")
    inlets = {name: lsl.StreamInlet(streams[0]) for name, streams in found.items()}
    for inlet in inlets.values():
        inlet.open_stream(timeout=10)
    wait_for(lambda: outlets._percept.have_consumers() and outlets._stimulation.have_consumers(), 10)
    t_ns = time.monotonic_ns()
    messages = dict(world_messages(7, t_ns))
    for message in (messages["delivered"], messages["percept"], Event(7, t_ns, "implant", "info", "armed")):
        outlets.take(message)
    charge, at = inlets["stimulation"].pull_sample(timeout=5)
    assert charge == pytest.approx((AMPLITUDE_UA * PULSES * WIDTH_US * 1e-3).tolist())
    assert at - outlets._ahead_s == pytest.approx(messages["delivered"].t0_ns * 1e-9, abs=1e-4)
    assert abs(lsl.local_clock() - at) < 2
    percept, _ = inlets["percept"].pull_sample(timeout=5)
    image = messages["percept"].image
    assert percept == pytest.approx([3, image.mean(), image.max(), 0, 0, 20], rel=1e-5)
    assert inlets["events"].pull_sample(timeout=5)[0] == ["implant info: armed"]
    info = inlets["stimulation"].info()
    assert (info.channel_count(), info.type(), info.nominal_srate()) == (4, "Stimulation", 0.0)
    for inlet in inlets.values():
        inlet.close_stream()


def test_the_verb_listens_to_a_running_sessions_taps(capsys, monkeypatch):
    pytest.importorskip("prometheus_client")
    port, page = free_port(), free_port()
    scraped = {}
    with zmq.Context() as context:
        tap = Tap(f"tcp://127.0.0.1:{port + DEVICE_TAPS}", context)

        def session():
            wait_for(lambda: "hops" in tap.wanted, 10)
            say(lambda topic, message: tap.publish(topic, message), [1, 2, 3])
            time.sleep(0.5)
            with urllib.request.urlopen(f"http://127.0.0.1:{page}/metrics", timeout=5) as answer:
                scraped["text"] = answer.read().decode()

        thread = threading.Thread(target=session)
        thread.start()
        link = f"127.0.0.1:{port}"
        assert cli.main(["metrics", HAND, "--link", link, "--port", str(page), "--seconds", "3"]) == 0
        thread.join(10)
        tap.close()
    assert "prosthesis_frames_total 3.0" in scraped["text"]
    assert f"http://127.0.0.1:{page}/metrics" in capsys.readouterr().err
