"""A reader's card as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

from prosthesis_train.scores.reader.card import ReaderCard, Row, Score
from prosthesis_train.scores.reader.null import LEVEL

BETTER_LOW = ("latent error",)


def table(card: ReaderCard) -> str:
    """Return verdicts, a table of scores with 95 % intervals and one of nulls; conditions are columns."""
    heads = [row.condition for row in card.rows]
    lines = [
        f"# {card.reader}",
        "",
        f"{card.n} test trials; codes of {card.d} by {card.model}; {card.training_trials} training trials, data scale "
        f"N/k = {card.data_scale:.3g}; seed {card.seed}.",
        f"{card.distance} by {card.network}; it and the inception score are blind to which picture belongs to which.",
        f"Null: {card.null}. A score is bold where p <= {LEVEL}, corrected for all scores of its condition.",
        *_sites(card),
        *(f"Note: {note}." for note in card.notes),
        "",
        *_grid(["condition", "verdict"], [[row.condition, row.verdict] for row in card.rows]),
        "",
        "Scores, with 95 % intervals:",
        "",
        *_grid(["score", *heads], _lines(card, _cell)),
        "",
        "The permutation null as measured: its mean, middle 95 % and the corrected p of the score:",
        "",
        *_grid(["score", *heads], [line for line in _lines(card, _null_cell) if any(line[1:])]),
    ]
    if card.humans is not None:
        lines += ["", card.humans.text()]
    return "\n".join(lines)


def card_json(card: ReaderCard) -> str:
    """Return everything on the card as JSON."""
    content = {"format": "prosthesis-reader-card-1", "data_scale": card.data_scale, **asdict(card)}
    return json.dumps(content, indent=2, allow_nan=False)


def _sites(card: ReaderCard) -> list[str]:
    if not card.sites:
        return []
    return [
        f"Sites: {card.sites}, of which {card.dead_sites} dead and {card.unreliable_sites} unreliable are left out."
    ]


def _lines(card: ReaderCard, cell: Callable[[Row, str], str]) -> list[list[str]]:
    names = list(dict.fromkeys(name for row in card.rows for name in row.scores))
    return [[_named(name), *(cell(row, name) for row in card.rows)] for name in names]


def _named(name: str) -> str:
    return name + " (less is better)" * (name in BETTER_LOW)


def _cell(row: Row, name: str) -> str:
    score = row.scores.get(name)
    if score is None:
        return "-"
    text = f"{score.value:.3f}"
    if score.null is not None and score.null.p <= LEVEL:
        text = f"**{text}**"
    return text + _interval(score)


def _interval(score: Score) -> str:
    return "" if score.low is None else f" ({score.low:.3f} to {score.high:.3f})"


def _null_cell(row: Row, name: str) -> str:
    score = row.scores.get(name)
    if score is None or score.null is None:
        return ""
    null = score.null
    return f"{null.mean:.3f} ({null.low:.3f} to {null.high:.3f}), p {null.p:.3f}"


def _grid(head: list[str], rows: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows)]
