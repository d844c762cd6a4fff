"""What ``prosthesis score`` does: a reader's card from a file, and the experiment for real raters."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from prosthesis.errors import ProsthesisError
from prosthesis_train.artefacts import Artefact, load_artefact
from prosthesis_train.scores.card import Model, in_batches
from prosthesis_train.scores.features import FeatureNetwork, averages, inception, own_classifier
from prosthesis_train.scores.humans import Humans, make_experiment, read_results
from prosthesis_train.scores.reader import Reading, card_json, load_reading, reader_card, table
from prosthesis_train.scores.reader.conditions import reconstructions
from prosthesis_train.scores.reader.reading import Array


def score_reader(
    path: Path,
    model_name: str,
    inception_file: tuple[str, str] | None,
    raters: Sequence[Path],
    seed: int,
    as_json: bool,
    say: Callable[[str], None],
) -> str:
    """Return the card of a reading as Markdown or JSON; ``inception_file`` is a path and its SHA-256."""
    artefact = load_artefact(model_name)
    model = artefact.model()
    reading = _reading(path, model)
    network = _network(artefact, reading, inception_file)
    humans = read_results(raters) if raters else None
    card = reader_card(reading, model, network, seed=seed, humans=humans, say=say)
    return card_json(card) if as_json else table(card)


def humans_make(path: Path, model_name: str, folder: Path, consent: Path | None, seed: int) -> str:
    """Write the experiment for real raters; return what to do with it."""
    model = load_artefact(model_name).model()
    reading = _reading(path, model)
    text = None
    if consent is not None:
        try:
            text = consent.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ProsthesisError(f"{consent}: cannot be read ({error}); give a text file in UTF-8") from error
    plan = make_experiment(folder, reading.name, reading.shown, reconstructions(reading, model).numpy(), text, seed)
    lines = [
        f"wrote {folder / 'index.html'}: {plan.trials} choices and {plan.catches} catch trials a rater",
        f"rule: {plan.rule()}",
        f"put the files that raters save into {folder} and run: prosthesis score humans read {folder}",
        "ethics approval for asking people is yours to obtain" + ", and the consent text is a sample" * (text is None),
    ]
    return "\n".join(lines)


def humans_read(paths: Sequence[Path], as_json: bool) -> str:
    """Return what raters chose as Markdown or JSON."""
    humans: Humans = read_results(paths)
    return json.dumps({**asdict(humans), "excluded": humans.excluded()}, indent=2) if as_json else humans.text()


def _reading(path: Path, model: Model) -> Reading:
    encode = model.encode

    def codes(shown: Array) -> Array:
        assert encode is not None
        return in_batches(encode, torch.from_numpy(shown).float()).numpy()

    return load_reading(path, None if encode is None else codes)


def _network(artefact: Artefact, reading: Reading, inception_file: tuple[str, str] | None) -> FeatureNetwork:
    """Return the user's Inception, else our classifier for pictures that it knows, else no network at all."""
    if inception_file is not None:
        return inception(Path(inception_file[0]), inception_file[1])
    clothes = "Fashion-MNIST" in str(artefact.card.get("data")) and reading.shown.shape[1:] == (1, 32, 32)
    return own_classifier() if clothes else averages()
