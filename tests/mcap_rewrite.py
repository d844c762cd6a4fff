"""A recording written again with some of its messages changed."""

from __future__ import annotations

from mcap.records import Attachment, Channel, Message, Metadata, Schema
from mcap.stream_reader import StreamReader
from mcap.writer import Writer

from prosthesis.schemas import decode, encode


def rewrite(log, out, change):
    """Write ``log`` again as ``out``; ``change(topic, message)`` returns each message as it shall be, or ``None``."""
    with log.open("rb") as source, out.open("wb") as target:
        writer = Writer(target, enable_data_crcs=True)
        writer.start()
        schemas, channels, topics = {}, {}, {}
        for record in StreamReader(source).records:
            match record:
                case Schema():
                    schemas[record.id] = writer.register_schema(record.name, record.encoding, record.data)
                case Channel() if record.id not in channels:
                    schema = schemas[record.schema_id]
                    channels[record.id] = writer.register_channel(record.topic, "protobuf", schema, record.metadata)
                    topics[record.id] = record.topic.removeprefix("/")
                case Metadata():
                    writer.add_metadata(record.name, record.metadata)
                case Attachment():
                    writer.add_attachment(0, record.log_time, record.name, record.media_type, record.data)
                case Message():
                    topic = topics[record.channel_id]
                    changed = change(topic, decode(topic, record.data))
                    if changed is not None:
                        place = channels[record.channel_id]
                        writer.add_message(
                            place, record.log_time, encode(changed), record.publish_time, record.sequence
                        )
        writer.finish()
