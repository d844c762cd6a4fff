import threading
import time

import pytest
import zmq
from made_up_session import open_taps, picture, wait_for

import prosthesis.taps
from prosthesis.errors import LinkError, ProsthesisError
from prosthesis.messages import Event, Frame
from prosthesis.schemas import TOPICS, decode
from prosthesis.taps import QUEUE, NullTap, Tap, listen


def event(seq):
    return Event(seq, seq * 10, "device", "info", f"number {seq}")


@pytest.fixture
def context():
    with zmq.Context() as made:
        yield made


@pytest.fixture
def tap(context):
    made, endpoint = open_taps(context)
    made.endpoint = endpoint
    yield made
    made.close()


@pytest.fixture
def hear(context, tap):
    """Subscribe, and wait until the tap knows."""
    opened = []

    def start(*topics, timeout_s=0.2):
        listener = listen([tap.endpoint], topics, context, timeout_s)
        opened.append(listener)
        wait_for(lambda: set(topics) <= tap.wanted)
        return listener

    yield start
    for listener in opened:
        listener.close()


def test_what_is_published_is_heard_in_order(tap, hear):
    listener = hear("event", "frame")
    sent = [("event", event(1)), ("frame", Frame(2, 3, picture(2))), ("event", event(3))]
    for topic, message in sent:
        tap.publish(topic, message)
    heard = [(topic, decode(topic, data)) for topic, data in listener]
    assert [(topic, message.seq, message.t_ns) for topic, message in heard] == [
        (topic, message.seq, message.t_ns) for topic, message in sent
    ]
    assert heard[0][1] == event(1)


def test_only_the_topics_asked_for_are_heard(tap, hear):
    listener = hear("event")
    tap.publish("frame", Frame(1, 1, picture(1)))
    tap.publish("event", event(2))
    assert [topic for topic, _ in listener] == ["event"]


def test_iterating_goes_on_after_a_pause(tap, hear):
    listener = hear("event", timeout_s=0.05)
    assert list(listener) == []
    tap.publish("event", event(1))
    assert len(list(listener)) == 1


def test_receive_keeps_its_timeout(hear):
    listener = hear("event")
    start = time.monotonic()
    assert listener.receive(0.05) is None
    assert 0.04 < time.monotonic() - start < 0.5


def test_nothing_is_encoded_while_nobody_subscribes(tap, hear, monkeypatch):
    encoded = []
    monkeypatch.setattr(prosthesis.taps, "encode", lambda message: encoded.append(message) or b"")
    hear("event")
    tap.publish("frame", Frame(1, 1, picture(1)))
    tap.publish("event", event(2))
    wait_for(lambda: encoded)
    assert encoded == [event(2)]


def test_a_topic_is_no_longer_wanted_when_its_last_subscriber_has_gone(tap, hear):
    first, second = hear("event"), hear("event")
    first.close()
    time.sleep(0.1)
    assert tap.wanted == {"event"}
    second.close()
    wait_for(lambda: not tap.wanted)


def test_a_stuck_sender_never_blocks_the_path_and_the_newest_messages_win(tap, hear, monkeypatch):
    stuck, encode = threading.Event(), prosthesis.taps.encode

    def slow(message):
        assert stuck.wait(5)
        return encode(message)

    monkeypatch.setattr(prosthesis.taps, "encode", slow)
    listener = hear("event")
    tap.publish("event", event(1))
    wait_for(lambda: not tap._queue)  # the first is being encoded
    start = time.monotonic()
    for seq in range(2, QUEUE + 12):
        tap.publish("event", event(seq))
    assert time.monotonic() - start < 0.5
    assert tap.dropped == 10
    stuck.set()
    assert [decode(*heard).seq for heard in listener] == [1, *range(12, QUEUE + 12)]


def test_a_subscriber_that_never_reads_slows_nobody(tap, hear):
    hear("frame")
    frame = Frame(1, 1, picture(1, (480, 640)))
    start = time.monotonic()
    for _ in range(400):  # 370 MB, more than any buffer on the way
        tap.publish("frame", frame)
    assert time.monotonic() - start < 0.5
    tap.close()
    assert time.monotonic() - start < 3


def test_publishing_costs_microseconds(tap, hear):
    hear("event")
    best = float("inf")
    for _ in range(20):
        start = time.perf_counter()
        tap.publish("event", event(1))
        best = min(best, time.perf_counter() - start)
    assert best < 100e-6


def test_a_message_that_cannot_be_encoded_is_counted_and_the_next_is_sent(tap, hear):
    listener = hear("event")
    tap.publish("event", Event(1, 1 << 63, "device", "info", "too late for 63 bits"))
    tap.publish("event", event(2))
    assert [decode(*heard).seq for heard in listener] == [2]
    assert tap.failed == 1


def test_what_was_published_before_close_is_still_sent(tap, hear):
    listener = hear("event")
    for seq in range(20):
        tap.publish("event", event(seq))
    tap.close()
    tap.close()
    assert len(list(listener)) == 20


def test_an_endpoint_in_use_is_one_line_for_the_user(context, tap):
    with pytest.raises(LinkError, match=r"cannot publish taps at .*tcp://127\.0\.0\.1.*use other ports"):
        Tap(tap.endpoint, context)


def test_the_endpoint_is_free_again_soon_after_close(context, tap):
    tap.close()

    def taken():
        try:
            Tap(tap.endpoint, context).close()
        except LinkError:  # ZeroMQ closes in the background
            return True
        return False

    wait_for(lambda: not taken())


def test_listening_to_an_unknown_topic_is_refused(context, tap):
    with pytest.raises(ProsthesisError, match="no topic 'fame'"):
        listen([tap.endpoint], ["fame"], context)


def test_a_null_tap_has_a_taps_verbs():
    tap = NullTap()
    tap.publish("event", event(1))
    tap.close()


def test_everything_is_wanted_by_who_subscribes_to_all(tap, hear):
    hear(*TOPICS)
    assert tap.wanted == set(TOPICS)
