"""The topics, and a protobuf schema for every message, derived from its dataclass: no protoc, no generated files.

A packed protobuf field of fixed-width numbers is, on the wire, a little-endian array's own bytes. So each message has
two descriptors with equal field numbers: the public one, kept in recordings, calls arrays ``repeated`` numbers that
Foxglove can plot; the one used here calls the same fields ``bytes``, which keeps every bit (NaN payloads too) and does
not turn a thousand electrodes into a thousand Python objects.

Images are ``foxglove.RawImage`` (https://docs.foxglove.dev/docs/sdk/schemas/raw-image), which Foxglove shows. What a
``Frame`` or ``Percept`` has beyond it sits in fields from 1001 up, which readers who know only Foxglove's pass over.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import IntEnum
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
from google.protobuf.message import DecodeError

from prosthesis.errors import ProsthesisError
from prosthesis.messages import (
    About,
    BrainCode,
    Delivered,
    Event,
    Evoked,
    Findings,
    Frame,
    GuardReport,
    Heard,
    HopTimes,
    MachineCode,
    Message,
    Percept,
    Receipt,
    StimulationPattern,
    Telemetry,
    readonly,
)
from prosthesis.timing import NS_PER_S

_Field = descriptor_pb2.FieldDescriptorProto
_Kind: TypeAlias = "descriptor_pb2.FieldDescriptorProto.Type.ValueType"
_ARRAY_KINDS = (_Field.TYPE_FLOAT, _Field.TYPE_SFIXED32, _Field.TYPE_SFIXED64, _Field.TYPE_FIXED32)


@dataclass(frozen=True, slots=True)
class Topic:
    """One stream: what it carries, which process publishes it, and about how often at 30 frames a second."""

    message: type[Message]
    producer: str
    rate_hz: float


TOPICS = {
    "frame": Topic(Frame, "device", 30),
    "machine_code": Topic(MachineCode, "device", 30),
    "brain_code": Topic(BrainCode, "device", 30),
    "wanted": Topic(StimulationPattern, "device", 30),
    "allowed": Topic(StimulationPattern, "device", 30),
    "guard": Topic(GuardReport, "device", 30),
    "hops": Topic(HopTimes, "device", 30),
    "findings": Topic(Findings, "device", 8),  # one a look, of the encoders that look for things
    "receipt": Topic(Receipt, "device", 30),  # the implant's words, published by the device that heard them
    "telemetry": Topic(Telemetry, "device", 20),
    "heard": Topic(Heard, "world", 30),
    "delivered": Topic(Delivered, "world", 100),
    "percept": Topic(Percept, "world", 40),
    "evoked": Topic(Evoked, "world", 40),
    "world_hops": Topic(HopTimes, "world", 30),
    "about": Topic(About, "both", 2),
    "event": Topic(Event, "both", 0.1),
}

# dataclass annotation -> protobuf type
_SCALARS = {int: _Field.TYPE_INT64, float: _Field.TYPE_DOUBLE, str: _Field.TYPE_STRING, bool: _Field.TYPE_BOOL}
# array dtype -> its dtype on the wire, protobuf type; protobuf has no single bytes that can be plotted
_ARRAYS = {
    np.float32: ("<f4", _Field.TYPE_FLOAT),
    np.int32: ("<i4", _Field.TYPE_SFIXED32),
    np.int64: ("<i8", _Field.TYPE_SFIXED64),
    np.uint8: ("<u4", _Field.TYPE_FIXED32),
}
_IMAGES: dict[Any, tuple[str, str, str, int]] = {  # field, Foxglove's name of the encoding, dtype on the wire, colours
    Frame: ("rgb", "rgb8", "u1", 3),
    Percept: ("image", "32FC1", "<f4", 1),
}
_FIRST_EXTRA = 1001


def encode(message: Message) -> bytes:
    """Return ``message`` in protobuf's wire format, as its public schema describes it."""
    data: bytes = _codec(type(message)).to_proto(message).SerializeToString()
    return data


def decode(topic: str, data: bytes) -> Message:
    """Return the message that ``encode`` made, equal to the bit; arrays are read-only.

    Raises ``ProsthesisError`` when the topic is unknown or ``data`` is not its message.
    """
    codec = _codec(TOPICS[check_topic(topic)].message)
    try:
        message: Message = codec.from_proto(codec.proto.FromString(data))
    except (DecodeError, ValueError) as error:
        what = TOPICS[topic].message.__name__
        raise ProsthesisError(
            f"topic '{topic}': {len(data)} bytes that are no {what}; was another version running?"
        ) from error
    return message


def stamp(topic: str, data: bytes) -> tuple[int, int]:
    """Return ``(seq, t_ns)`` of an encoded message without decoding the rest."""
    first = _FIRST_EXTRA if TOPICS[topic].message in _IMAGES else 1
    head = _head(first).FromString(data)
    return head.seq, head.t_ns


def check_topic(topic: str) -> str:
    """Return ``topic``; ``ProsthesisError`` lists the topics there are when it is not one."""
    if topic not in TOPICS:
        raise ProsthesisError(f"no topic '{topic}'; there are: {', '.join(TOPICS)}")
    return topic


def schema_name(message: type[Message]) -> str:
    """Return the full name of a message's public schema, e.g. ``prosthesis.Receipt`` or ``foxglove.RawImage``."""
    return "foxglove.RawImage" if message in _IMAGES else f"prosthesis.{message.__name__}"


def file_descriptor_set(message: type[Message]) -> bytes:
    """Return a message's public schema with all it depends on, as MCAP wants it: a serialized FileDescriptorSet."""
    files = _raw_image_files() if message in _IMAGES else [_file(message, public=True)]
    return descriptor_pb2.FileDescriptorSet(file=files).SerializeToString()


@dataclass(frozen=True, slots=True)
class _Part:
    """How one field of a dataclass is declared, and how its value goes in and out of a protobuf message."""

    name: str
    kind: _Kind
    repeated: bool = False
    nested: Any = None  # the enum, the item's dataclass, or the array's dtype
    pack: Callable[[Any], Any] = lambda value: value
    unpack: Callable[[Any], Any] = lambda value: value


@dataclass(frozen=True, slots=True)
class _Codec:
    """A message's protobuf class and the two ways through it."""

    proto: Any
    to_proto: Callable[[Any], Any]
    from_proto: Callable[[Any], Any]


def _make_codec(message: Any) -> _Codec:
    return _image_codec(message) if message in _IMAGES else _plain_codec(message)


_codec: Callable[[Any], _Codec] = cache(_make_codec)


def _plain_codec(message: Any) -> _Codec:
    proto = _class(f"prosthesis.{message.__name__}", _file(message, public=False))
    parts = _parts(message)

    def to_proto(value: Any) -> Any:
        return proto(**{part.name: part.pack(getattr(value, part.name)) for part in parts})

    def from_proto(stored: Any) -> Any:
        return message(*[part.unpack(getattr(stored, part.name)) for part in parts])

    return _Codec(proto, to_proto, from_proto)


def _image_codec(message: Any) -> _Codec:
    field, encoding, dtype, colours = _IMAGES[message]
    proto = _class("foxglove.RawImage", *_raw_image_files())
    parts = [part for part in _parts(message) if part.name != field]
    pixel_bytes = colours * np.dtype(dtype).itemsize

    def to_proto(value: Any) -> Any:
        pixels = getattr(value, field)
        height, width = pixels.shape[:2]
        extras = {part.name: part.pack(getattr(value, part.name)) for part in parts}
        image = proto(frame_id=message.__name__.lower(), width=width, height=height, encoding=encoding, **extras)
        image.timestamp.seconds, image.timestamp.nanos = divmod(value.t_ns, NS_PER_S)
        image.step, image.data = width * pixel_bytes, np.asarray(pixels, dtype).tobytes()
        return image

    def from_proto(stored: Any) -> Any:
        shape = (stored.height, stored.width) if colours == 1 else (stored.height, stored.width, colours)
        pixels = np.frombuffer(stored.data, dtype).reshape(shape)
        values = {part.name: part.unpack(getattr(stored, part.name)) for part in parts}
        return message(**values, **{field: readonly(pixels, np.dtype(dtype).newbyteorder("="))})

    return _Codec(proto, to_proto, from_proto)


def _parts(message: Any) -> list[_Part]:
    hints = typing.get_type_hints(message)
    return [_part(field.name, hints[field.name]) for field in fields(message)]


def _part(name: str, hint: Any) -> _Part:
    """Map one annotation; numbers and text go as they are, arrays as their bytes."""
    if hint in _SCALARS:
        return _Part(name, _SCALARS[hint])
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return _Part(name, _Field.TYPE_ENUM, nested=hint, pack=int, unpack=hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple and arguments[0] in _SCALARS:
        return _Part(name, _SCALARS[arguments[0]], repeated=True, unpack=tuple)
    if origin is tuple:
        return _nested_part(name, arguments[0])
    return _array_part(name, _scalar_of(hint))


def _scalar_of(hint: Any) -> Any:
    """Return the scalar type of an ``NDArray[...]``: a plain alias in some numpy versions, a type in others."""
    for inner in typing.get_args(hint):
        if isinstance(inner, type) and issubclass(inner, np.generic):
            return inner
        if (found := _scalar_of(inner)) is not None:
            return found
    return None


def _nested_part(name: str, item: Any) -> _Part:
    parts = _parts(item)

    def pack(values: Any) -> Any:
        return [{part.name: part.pack(getattr(value, part.name)) for part in parts} for value in values]

    def unpack(stored: Any) -> Any:
        return tuple(item(*[part.unpack(getattr(one, part.name)) for part in parts]) for one in stored)

    return _Part(name, _Field.TYPE_MESSAGE, True, item, pack, unpack)


def _array_part(name: str, dtype: Any) -> _Part:
    wire, kind = _ARRAYS[dtype]

    def pack(array: Any) -> bytes:
        return np.asarray(array, wire).tobytes()

    def unpack(stored: bytes) -> Any:
        return readonly(np.frombuffer(stored, wire), dtype)

    return _Part(name, kind, repeated=True, nested=dtype, pack=pack, unpack=unpack)


def _file(message: Any, public: bool) -> descriptor_pb2.FileDescriptorProto:
    name = f"prosthesis/{message.__name__}.proto"
    return descriptor_pb2.FileDescriptorProto(
        name=name, package="prosthesis", syntax="proto3", message_type=[_message(message, ".prosthesis", public)]
    )


def _message(message: Any, scope: str, public: bool) -> descriptor_pb2.DescriptorProto:
    """Declare a dataclass; its fields are numbered from 1 as written, enums and item types are nested in it."""
    declared = descriptor_pb2.DescriptorProto(name=message.__name__)
    path = f"{scope}.{message.__name__}"
    for number, part in enumerate(_parts(message), 1):
        declared.field.append(_declare(part, number, path, public))
        if part.kind == _Field.TYPE_ENUM:
            declared.enum_type.append(_enum(part.nested))
        elif part.kind == _Field.TYPE_MESSAGE:
            declared.nested_type.append(_message(part.nested, path, public))
    return declared


def _declare(part: _Part, number: int, path: str, public: bool) -> descriptor_pb2.FieldDescriptorProto:
    if part.kind in _ARRAY_KINDS and not public:
        return _Field(name=part.name, number=number, type=_Field.TYPE_BYTES, label=_Field.LABEL_OPTIONAL)
    label = _Field.LABEL_REPEATED if part.repeated else _Field.LABEL_OPTIONAL
    field = _Field(name=part.name, number=number, type=part.kind, label=label)
    if part.kind in (_Field.TYPE_ENUM, _Field.TYPE_MESSAGE):
        field.type_name = f"{path}.{part.nested.__name__}"
    return field


def _enum(kind: type[IntEnum]) -> descriptor_pb2.EnumDescriptorProto:
    values = [descriptor_pb2.EnumValueDescriptorProto(name=item.name, number=item.value) for item in kind]
    return descriptor_pb2.EnumDescriptorProto(name=kind.__name__, value=values)


@cache
def _raw_image_files() -> list[descriptor_pb2.FileDescriptorProto]:
    """Declare ``foxglove.RawImage`` as published, and what our images add; one schema for all of them."""
    standard = [
        ("timestamp", 1, _Field.TYPE_MESSAGE),
        ("width", 2, _Field.TYPE_FIXED32),
        ("height", 3, _Field.TYPE_FIXED32),
        ("encoding", 4, _Field.TYPE_STRING),
        ("step", 5, _Field.TYPE_FIXED32),
        ("data", 6, _Field.TYPE_BYTES),
        ("frame_id", 7, _Field.TYPE_STRING),
    ]
    declared = descriptor_pb2.DescriptorProto(name="RawImage")
    for name, number, kind in standard:
        declared.field.append(_Field(name=name, number=number, type=kind, label=_Field.LABEL_OPTIONAL))
    declared.field[0].type_name = ".google.protobuf.Timestamp"
    extras = {part.name: part for message in _IMAGES for part in _parts(message) if part.kind not in _ARRAY_KINDS}
    for number, part in enumerate(extras.values(), _FIRST_EXTRA):
        declared.field.append(_declare(part, number, ".foxglove.RawImage", public=True))
    timestamp = descriptor_pb2.FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(timestamp)
    image = descriptor_pb2.FileDescriptorProto(
        name="foxglove/RawImage.proto", package="foxglove", syntax="proto3", message_type=[declared]
    )
    image.dependency.append(timestamp.name)
    return [timestamp, image]


@cache
def _head(first: int) -> Any:
    """Return a protobuf class that knows only the two fields that begin every message."""
    declared = descriptor_pb2.DescriptorProto(name="Head")
    for number, name in enumerate(("seq", "t_ns"), first):
        declared.field.append(_Field(name=name, number=number, type=_Field.TYPE_INT64, label=_Field.LABEL_OPTIONAL))
    file = descriptor_pb2.FileDescriptorProto(name="head.proto", package="prosthesis", message_type=[declared])
    file.syntax = "proto3"
    return _class("prosthesis.Head", file)


def _class(name: str, *files: descriptor_pb2.FileDescriptorProto) -> Any:
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
