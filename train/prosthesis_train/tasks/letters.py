"""Capital letters, one at a time; four of them in turn make the words of ``words``."""

from __future__ import annotations

import numpy as np

from prosthesis_train.data.glyphs import WORDS as READ
from prosthesis_train.tasks.drawing import lit, placed
from prosthesis_train.tasks.fonts import any_glyph
from prosthesis_train.tasks.task import U8, Part, Random, Task

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# what signs and doors say (data/glyphs.py), those of four letters
WORDS = tuple(word for word in READ if len(word) == 4)


def word(text: str, random: Random) -> U8:
    """Return a word's letters in turn, u8[letters, 180, 180], in test fonts, as ``draw`` draws each."""
    return np.concatenate([draw("test", LETTERS.index(letter), random) for letter in text])


def draw(part: Part, label: int, random: Random) -> U8:
    """Return one letter, light on dark, as clinics show them."""
    return lit(placed(any_glyph(part, LETTERS[label], random), random), random)[None]


TASKS = (
    Task(
        "letters",
        "one of 26 capital letters, light on dark",
        tuple(LETTERS),
        draw,
        "fonts of matplotlib's wheel (test), those and Debian's (train), by family",
        (
            "60 electrodes, Argus II users: letters 72 % on, 18 % off (da Cruz 2013; as recalled, unverified)",
            "96 electrodes, one CORTIVIS volunteer: 'some letters'",
            "378 pixels, PRIMA users: 81 % gained 0.2 logMAR or more",
        ),
    ),
)
