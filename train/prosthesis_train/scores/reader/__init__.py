"""The score card of a brain reader: what it reads, beside every control that tells reading from pretty pictures."""

from prosthesis_train.scores.reader.card import ReaderCard, reader_card
from prosthesis_train.scores.reader.file import load_reading, save_reading
from prosthesis_train.scores.reader.reading import Reading
from prosthesis_train.scores.reader.tables import card_json, table

__all__ = ["ReaderCard", "Reading", "card_json", "load_reading", "reader_card", "save_reading", "table"]
