"""Tasks and their scores: nothing leaks from training into tests, controls are at chance, intervals are right."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from prosthesis.errors import ConfigError, ProsthesisError
from prosthesis_train.observers import train
from prosthesis_train.observers.matching import matched
from prosthesis_train.observers.network import SIDE, ObserverNet
from prosthesis_train.observers.observer import FROZEN, load_observer, save_observer
from prosthesis_train.observers.percepts import virtual_patient
from prosthesis_train.scores.tasks import command, scoring
from prosthesis_train.scores.tasks.answers import identified, spelt
from prosthesis_train.scores.tasks.bootstrap import interval
from prosthesis_train.scores.tasks.conditions import percepts
from prosthesis_train.tasks import faces, fonts
from prosthesis_train.tasks.letters import LETTERS, WORDS
from prosthesis_train.tasks.task import framed, open_task
from prosthesis_train.tasks.under_test import UnderTest, under_test

STILLS = ("letters", "digits", "faces", "landolt", "grating")
SEQUENCES = ("motion", "obstacle-side", "obstacle-distance", "obstacle-contact")


def untrained(task: str, frames: int = 1):
    """Return an observer that knows nothing, as frozen."""
    torch.manual_seed(0)
    classes = open_task(task).classes
    network = ObserverNet(frames, len(classes))
    return train.Observer(train._card(open_task(task), "utah96", train.Settings(), frames, network.width), network)


@pytest.mark.parametrize("name", [*STILLS, *SEQUENCES])
def test_tasks_are_balanced_repeatable_and_of_the_cameras_size(name):
    task = open_task(name)
    count = 2 * task.labels("test")
    a, b = (task.trials("test", count, 3) for _ in range(2))
    assert np.array_equal(a.frames, b.frames)
    assert np.array_equal(np.bincount(a.labels), np.full(task.labels("test"), 2))
    assert a.frames.shape == (count, task.lead + (3 if name in SEQUENCES else 1), 180, 320, 3)
    assert task.pictures("train", 2, 3)[0].shape[1] == a.frames.shape[1] - task.lead
    assert not np.array_equal(a.frames, task.trials("test", count, 4).frames)


def test_no_font_person_or_patient_is_on_both_sides():
    train_fonts, test_fonts = ({p.stem for p in fonts.paths(part)} for part in ("train", "test"))
    assert not train_fonts & test_fonts
    families = ("DejaVu", "STIX", "cm", "Liberation", "OpenSans", "Roboto", "Lato")
    of = [{f for f in families for name in names if name.startswith(f)} for names in (train_fonts, test_fonts)]
    assert not of[0] & of[1]
    assert all(any(name.startswith(f) for f in families) for name in train_fonts | test_fonts)
    people = [[tuple(faces.person(part, k).values()) for k in range(40)] for part in ("train", "test")]
    assert not set(people[0]) & set(people[1])
    assert max(scoring.SEEDS) < train.FIRST_PATIENT < train.FIRST_VALIDATION


def test_test_digits_are_not_trained_on():
    task = open_task("digits")
    random = np.random.default_rng(0)
    from prosthesis_train.tasks import digits

    images, labels = digits._digits()
    rows = {part: set() for part in ("train", "test")}
    for part, found in rows.items():
        for label in range(10):
            held = np.flatnonzero(labels == label)
            kept = (
                held[held < len(labels) - digits.HELD_OUT]
                if part == "train"
                else held[held >= len(labels) - digits.HELD_OUT]
            )
            found |= set(kept.tolist())
    assert not rows["train"] & rows["test"]
    assert len(rows["train"]) + len(rows["test"]) == len(images)
    assert task.draw("test", 3, random).shape == (1, 180, 180)


@pytest.mark.parametrize("path", sorted(FROZEN.glob("*.json")), ids=lambda p: p.stem)
def test_frozen_observers_are_what_their_cards_say(path):
    card = json.loads(path.read_text())
    observer = load_observer(card["task"], card["rig"])
    task = open_task(card["task"])
    assert observer.card.classes == (() if task.match else task.classes)
    assert bool(observer.card.how) == bool(task.match)
    assert path.with_suffix(".npz").stat().st_size < 500_000
    # patients of the scores were not seen
    assert card["patients"][0] > max(scoring.SEEDS)
    assert "plain" in card["encoders"]


def test_a_changed_observer_is_refused(tmp_path):
    observer = untrained("landolt")
    path = save_observer(observer.card, observer._network, tmp_path)
    load_observer("landolt", "utah96", tmp_path)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ProsthesisError, match="sha256"):
        load_observer("landolt", "utah96", tmp_path)
    with pytest.raises(ProsthesisError, match="train one"):
        load_observer("landolt", "argus60", tmp_path)


def test_controls_show_what_they_say():
    patient = virtual_patient("utah96", 0, 0.2, side=SIDE, look="array")
    maps = np.random.default_rng(0).uniform(0, 1, (6, 1, 32, 32)).astype(np.float32)
    shown, charge = percepts(patient, maps, "shown", 0)
    assert charge > 0
    off, none = percepts(patient, maps, "off", 0)
    assert none == 0
    assert off.max() == 0
    shuffled, _ = percepts(patient, maps, "shuffled", 0)
    # each percept is another trial's, and every trial's is there once
    # products of matrices differ in the last bit by a row's place in the batch, and by how many threads share them
    match = [[bool(torch.allclose(a, b, atol=1e-5)) for b in shown] for a in shuffled]
    assert np.array_equal(np.sum(match, axis=0), np.ones(6))
    assert not np.diagonal(match).any()
    scrambled, _ = percepts(patient, maps, "scrambled", 0)
    assert (scrambled - shown).abs().max() > 0.2


@pytest.mark.parametrize(("personal", "asked"), [(False, 1), (True, 2)])
def test_a_lead_is_seen_by_the_encoder_only_and_maps_are_made_once_for_who_shares_them(personal, asked):
    task, calls = open_task("obstacle-side"), []

    def maps_of(lead):
        def encode(trials, patient):
            calls.append(trials.frames.shape[1])
            maps = np.zeros((*trials.frames.shape[:2], 16, 16), np.float32)
            maps[:, : task.lead] = lead
            return maps

        return UnderTest("dark at last", encode, personal)

    def charges(encoder):
        cells = scoring.score("obstacle-side", "utah96", encoder, seeds=(1,), dropouts=(0.1, 0.2), trials=4)
        return [cell.charge_nc_per_s for cell in cells]

    assert charges(maps_of(1.0)) == charges(maps_of(0.0))
    assert calls == [task.lead + 3] * 2 * asked


@pytest.mark.skipif(not (FROZEN / "letters-utah96.npz").is_file(), reason="needs the frozen letters observer")
def test_the_letters_observer_reads_percepts_and_is_at_chance_on_controls():
    cells = scoring.score("letters", "utah96", under_test("fitted"), seeds=(1,), dropouts=(0.2,), trials=208)
    by = {cell.condition: cell for cell in cells}
    assert by["shown"].low > 2 * by["shown"].chance
    # balanced labels: who always says the same is right exactly once in 26
    assert by["off"].accuracy == pytest.approx(1 / 26)
    for control in ("scrambled", "shuffled"):
        assert by[control].low <= by[control].chance + 0.03
        assert by[control].accuracy < by["shown"].accuracy / 2


def test_interval_is_the_binomials_for_one_patient_and_wider_for_unlike_ones():
    right = np.arange(400) % 4 > 0
    low, high = interval(right[None])
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert (low, high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.008)
    # ten answers of each of forty pictures tell as much as forty
    assert np.subtract(*interval(right[None], asked=10)[::-1]) == pytest.approx(2 * half * np.sqrt(10), abs=0.04)
    unlike = np.stack([np.arange(400) < 200, np.ones(400, bool), np.arange(400) < 300])
    assert np.subtract(*interval(unlike)[::-1]) > 2 * np.subtract(*interval(np.stack([right] * 3))[::-1])


def test_matching_by_noise_is_at_chance_and_by_identity_right():
    labels = np.arange(200) % 40
    random = np.random.default_rng(0)
    noise = random.normal(0, 1, (200, 16))
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    assert matched(noise, labels, 4, 0).mean() == pytest.approx(0.25, abs=0.04)
    assert identified(noise, labels, 0).mean() == pytest.approx(0.1, abs=0.07)
    known = np.eye(40)[labels]
    assert matched(known, labels, 4, 0).all()
    assert identified(known, labels, 0).all()


def test_words_need_all_letters_or_the_list():
    class Reader:
        """Sees the letters of WORDS[0], the last of them taken for another."""

        card = untrained("letters").card

        def log_probabilities(self, seen):
            table = np.full((len(seen), 26), -5.0)
            for k, letter in enumerate(WORDS[0]):
                table[k, LETTERS.index(letter)] = -0.1
            table[3, (LETTERS.index(WORDS[0][3]) + 1) % 26] = 0.0
            return table

    freely, listed = spelt(Reader(), torch.zeros(4, 1, SIDE, SIDE), [WORDS[0]])
    assert not freely.any()
    assert listed.all()
    assert all(len(word) == 4 for word in WORDS)


def test_glyph_sets_are_told_what_to_show_and_wrong_ones_refused(tmp_path):
    maps = np.random.default_rng(0).uniform(0, 1, (4, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "code.npz", maps=maps)
    encoder, trials = under_test(str(tmp_path / "code.npz")), open_task("landolt").trials("test", 8, 0)
    assert encoder.told
    assert np.array_equal(encoder.encode(trials, None)[:, 0], maps[trials.labels])
    with pytest.raises(ConfigError, match="glyph set"):
        under_test(str(tmp_path / "none.npz"))
    with pytest.raises(ConfigError, match="module:function"):
        under_test("prosthesis_train.tasks:nothing")
    with pytest.raises(ConfigError, match="letters"):
        open_task("typing")


def test_every_encoder_gets_the_same_crop():
    """The plain view of a frame that is white only outside the rigs' square is black."""
    patient = virtual_patient("utah96", 0, 0.1, side=SIDE, look="array")
    trials = open_task("landolt").trials("test", 4, 0)
    frames = trials.frames.copy()
    frames[:, :, :, :70] = 255
    frames[:, :, :, 250:] = 255
    changed = type(trials)(frames, trials.labels)
    for name in ("plain", "luminance-32", "edges-32"):
        encoder = under_test(name)
        assert np.array_equal(encoder.encode(trials, patient), encoder.encode(changed, patient))


def test_the_table_names_chance_profile_and_published_context():
    cell = scoring.Cell(
        *("letters", "", "utah96", "luminance-32", 0.2, "shown", 0.5, 0.4, 0.6, 1 / 26, (0.4, 0.5, 0.6), 208),
        *(70.0, 1000.0, "hard limits of a and b, instantaneous", "0123456789abcdef", False),
    )
    text = command.table([cell], ("a person, 1 %",))
    for part in ("chance 3.8%", "50.0% [40.0%, 60.0%]", "3 patients", "hard limits", "published, not ours: a person"):
        assert part in text
    assert framed(np.zeros((1, 1, 180, 180), np.uint8)).shape == (1, 1, 180, 320, 3)
