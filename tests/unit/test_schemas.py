import typing
from dataclasses import fields
from enum import IntEnum

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from prosthesis.errors import ProsthesisError
from prosthesis.messages import Findings, Found, Frame, ImplantState, Percept, Receipt, Telemetry, readonly
from prosthesis.schemas import TOPICS, _scalar_of, decode, encode, file_descriptor_set, schema_name, stamp

KINDS = list({topic.message: name for name, topic in TOPICS.items()}.values())  # one topic for each message type
INT64 = st.integers(-(2**63), 2**63 - 1)


def arrays(dtype, shape):
    """Arrays of any bits at all: every NaN payload, -0.0, subnormals."""
    bits = {4: np.uint32, 8: np.uint64, 1: np.uint8}[np.dtype(dtype).itemsize]
    return hnp.arrays(bits, shape).map(lambda a: readonly(a.view(dtype), dtype))


def values(message, name, hint):
    if (message, name) == (Frame, "rgb"):
        return st.tuples(st.integers(0, 4), st.integers(0, 4)).flatmap(lambda s: arrays(np.uint8, (*s, 3)))
    if (message, name) == (Percept, "image"):
        return st.tuples(st.integers(0, 4), st.integers(0, 4)).flatmap(lambda s: arrays(np.float32, s))
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return st.sampled_from(hint)
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        if arguments == (float, float):
            return st.tuples(st.floats(), st.floats())
        item = values(message, name, arguments[0])
        return st.lists(item, max_size=5).map(tuple)
    if arguments:
        return arrays(_scalar_of(hint), st.integers(0, 9))
    simple = {int: INT64, float: st.floats(), str: st.text(), bool: st.booleans()}
    return simple[hint] if hint in simple else messages(hint)


def messages(message):
    hints = typing.get_type_hints(message)
    return st.builds(message, **{f.name: values(message, f.name, hints[f.name]) for f in fields(message)})


def bits(value):
    """Everything there is to know of a value, so that NaNs can be compared."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tobytes()
    if isinstance(value, float):
        return np.float64(value).tobytes()
    if isinstance(value, tuple):
        return tuple(bits(item) for item in value)
    if hasattr(value, "__slots__") and not isinstance(value, int):
        return type(value), tuple(bits(getattr(value, f.name)) for f in fields(value))
    return type(value), value


@pytest.mark.parametrize("topic", KINDS)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_every_message_comes_back_equal_to_the_bit(topic, data):
    message = data.draw(messages(TOPICS[topic].message))
    encoded = encode(message)
    assert bits(decode(topic, encoded)) == bits(message)
    assert stamp(topic, encoded) == (message.seq, message.t_ns)


def by_the_public_schema(topic, data):
    """Read ``data`` as anybody would who has nothing but the schema in the file."""
    message = TOPICS[topic].message
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(file_descriptor_set(message)).file:
        pool.Add(file)
    descriptor = pool.FindMessageTypeByName(schema_name(message))
    return message_factory.GetMessageClass(descriptor).FromString(data)


def test_protobuf_itself_reads_the_arrays_by_the_public_schema():
    receipt = Receipt(-7, 2**60, readonly([-1, 0, 2**50], np.int64), readonly([0, 19, 255], np.uint8))
    read = by_the_public_schema("receipt", encode(receipt))
    assert (read.seq, read.t_ns, list(read.charge_pc), list(read.refusal)) == (-7, 2**60, [-1, 0, 2**50], [0, 19, 255])


@pytest.mark.parametrize("topic", KINDS)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_protobuf_itself_knows_every_field_by_the_public_schema_and_writes_the_same_bytes(topic, data):
    message = data.draw(messages(TOPICS[topic].message))
    read = by_the_public_schema(topic, encode(message))
    read.DiscardUnknownFields()
    assert read.SerializeToString() == encode(message)
    assert {f.name for f in fields(message)} - {"rgb", "image"} <= {f.name for f in read.DESCRIPTOR.fields}


def test_protobuf_itself_reads_what_was_found_by_the_public_schema():
    items = (Found("word", "EXIT", 0.9, 0.25, 0.5, 0.125, 0.0625), Found("obstacle", "", 0.5, 0, 0, 1, 1, 1.5, "left"))
    said = Findings(7, 8, "layered", items)
    seen = json_format.MessageToDict(by_the_public_schema("findings", encode(said)), preserving_proto_field_name=True)
    assert seen["items"][0] == {
        "kind": "word", "label": "EXIT", "confidence": 0.9, "x": 0.25, "y": 0.5, "width": 0.125, "height": 0.0625,
        "time_s": "Infinity",
    }  # fmt: skip
    assert (seen["task"], seen["items"][1]["time_s"], seen["items"][1]["side"]) == ("layered", 1.5, "left")


def test_enums_have_their_names_in_the_public_schema():
    telemetry = Telemetry(1, 2, ImplantState.HOLD, "late", 3, 4, (0, 5), 6)
    seen = json_format.MessageToDict(by_the_public_schema("telemetry", encode(telemetry)))
    assert seen["state"] == "HOLD"
    assert seen["refused"] == ["0", "5"]


def test_a_frame_is_a_raw_image_that_foxglove_shows():
    rgb = readonly(np.arange(24).reshape(2, 4, 3), np.uint8)
    image = by_the_public_schema("frame", encode(Frame(5, 3_000_000_007, rgb)))
    assert (image.width, image.height, image.encoding, image.step) == (4, 2, "rgb8", 12)
    assert (image.timestamp.seconds, image.timestamp.nanos) == (3, 7)
    assert image.data == bytes(range(24))


def test_a_percept_is_a_raw_image_with_its_own_fields_beyond_1000():
    percept = Percept(5, 6, readonly([[0.5, 1.0]], np.float32), (1.5, -2.0), (8.0, 4.0), 3, 99)
    image = by_the_public_schema("percept", encode(percept))
    assert (image.width, image.height, image.encoding, image.step) == (2, 1, "32FC1", 8)
    assert np.frombuffer(image.data, "<f4").tolist() == [0.5, 1.0]
    extras = {f.name: f.number for f in image.DESCRIPTOR.fields if f.number > 1000}
    assert set(extras) == {"seq", "t_ns", "centre_deg", "extent_deg", "visible", "made_ns", "gaze_deg"}


@pytest.mark.parametrize("topic", KINDS)
@settings(max_examples=30, deadline=None)
@given(data=st.binary(max_size=40))
def test_garbage_is_refused_in_one_line_or_decodes_to_the_topics_message(topic, data):
    try:
        said = type(decode(topic, data)).__name__
    except ProsthesisError as error:
        said = str(error)
    assert TOPICS[topic].message.__name__ in said
    assert "\n" not in said


def test_an_unknown_topic_lists_those_there_are():
    with pytest.raises(ProsthesisError, match="no topic 'frames'; there are: frame, machine_code"):
        decode("frames", b"")


def test_no_topic_is_the_beginning_of_another_so_that_subscriptions_are_exact():
    assert not [(a, b) for a in TOPICS for b in TOPICS if a != b and b.startswith(a)]
