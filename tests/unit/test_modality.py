import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from prosthesis.errors import ProsthesisError
from prosthesis_train.artefacts import load_artefact
from prosthesis_train.data.images import open_images
from prosthesis_train.methods.classifier import to_float
from prosthesis_train.reading.maps import fit_map
from prosthesis_train.reading.modality import FRAMES, SAMPLE_HZ, SOUND_S, Hearing, Vision, as_model, spectrograms
from prosthesis_train.scores.card import RANDOM, RECONSTRUCTED, score_card
from prosthesis_train.scores.features import averages
from prosthesis_train.scores.reader import Reading, reader_card, table
from prosthesis_train.scores.two_afc import two_afc


def vision():
    weights = np.random.default_rng(0).standard_normal((1024, 150)) / 32
    pictures = to_float(open_images("fashion", 32, 1).train[:900]).numpy()
    rates_hz = lambda images: 5 + 20 * np.maximum(images.reshape(len(images), -1) @ weights, 0)  # noqa: E731
    return Vision(pictures, load_artefact("bigbigan-fashion"), rates_hz)


SENSES = pytest.mark.parametrize("make", [vision, lambda: Hearing(sites=150)], ids=["vision", "hearing"])


def read(sense):
    """Return 200 stimuli, their codes, and those that ridge decodes from one trial after 600 others."""
    stimuli = sense.stimuli(800, seed=0)
    codes = sense.codes(stimuli)
    counts = np.random.default_rng(0).poisson(sense.responses_hz(stimuli) * 0.2) / 0.2
    decoded = Ridge(alpha=100.0).fit(counts[:600], codes[:600]).predict(counts[600:])
    return stimuli[600:], codes[600:], decoded, (counts, codes)


@SENSES
def test_every_modality_goes_through_the_same_decoder_and_score(make):
    sense = make()
    shown, _, decoded, _ = read(sense)
    made = sense.reconstruct(decoded)
    assert made.shape == shown.shape
    assert two_afc(torch.from_numpy(shown), torch.from_numpy(made)).low > 0.8
    mixed = two_afc(torch.from_numpy(shown), torch.from_numpy(np.roll(made, 77, axis=0)))
    assert mixed.share == pytest.approx(0.5, abs=0.1)


@SENSES
def test_every_modality_has_the_card_of_a_generator(make):
    sense = make()
    train, test = (torch.from_numpy(sense.stimuli(400, seed)) for seed in (0, 1))
    card = score_card(as_model(sense), train, test, averages(), n=300)
    assert card.row(RECONSTRUCTED).of_pairs["2AFC pixels"][0] > 0.97
    assert abs(card.row(RANDOM).of_pairs["2AFC pixels"][0] - 0.5) < 0.08


@SENSES
def test_every_modality_has_the_card_of_a_reader(make):
    sense = make()
    shown, codes, decoded, _ = read(sense)
    reading = Reading("ridge", shown, codes, decoded, 600)
    respond = lambda stimuli: sense.responses_hz(np.asarray(stimuli, np.float32))  # noqa: E731
    card = reader_card(reading, as_model(sense), averages(), respond, permutations=200)
    assert table(card)
    assert [row.verdict for row in card.rows if row.condition == "random code"] == ["no brain information"]


@SENSES
@pytest.mark.parametrize("kind", ["gls", "ridge"])
def test_every_modality_goes_through_the_same_maps(make, kind):
    sense = make()
    shown, _, _, (counts, codes) = read(sense)
    fitted = fit_map(kind, codes[:600], counts[:600])
    made = sense.reconstruct(np.asarray(fitted.to_machine(counts[600:]), np.float64))
    assert two_afc(torch.from_numpy(shown), torch.from_numpy(made)).low > 0.6
    assert np.asarray(fitted.to_brain(codes[600:])).shape == (200, sense.responses_hz(shown).shape[1])


@SENSES
def test_a_seed_fixes_the_stimuli_and_shapes_agree(make):
    sense, other = make(), make()
    first = sense.stimuli(12, 3)
    assert np.array_equal(first, other.stimuli(12, 3))
    assert not np.array_equal(first, sense.stimuli(12, 4))
    codes, rates = sense.codes(first), sense.responses_hz(first)
    assert (codes.dtype, rates.dtype, first.dtype) == (np.float64, np.float64, np.float32)
    assert len(codes) == len(rates) == 12
    assert (rates >= 0).all()
    assert np.array_equal(rates, other.responses_hz(first))
    assert np.array_equal(codes, other.codes(first))


def test_a_tone_lights_its_band_when_it_sounds():
    t = np.arange(int(SAMPLE_HZ * SOUND_S)) / SAMPLE_HZ
    tone = (np.sin(2 * np.pi * 1000 * t) * (t > 0.125)).astype(np.float32)[None]
    found = spectrograms(tone)[0]
    edges = np.geomspace(125, 3500, 25)
    band = np.searchsorted(edges, 1000) - 1
    assert found[:, -5].argmax() == band
    assert found[band, -5] > 0.7
    assert found[:, : FRAMES // 2 - 2].max() < 0.05
    assert spectrograms(np.zeros_like(tone)) == pytest.approx(0)


def test_sounds_codes_keep_most_of_their_spectrograms():
    sense = Hearing()
    sounds = sense.stimuli(300, 5)
    made = sense.reconstruct(sense.codes(sounds))
    assert ((sounds - made) ** 2).sum() < 0.2 * ((sounds - sounds.mean(0)) ** 2).sum()
    assert sense.codes(sounds).std() == pytest.approx(1, abs=0.15)


def test_more_pictures_than_there_are_is_one_line():
    with pytest.raises(ProsthesisError, match="901 pictures are wanted and there are 900"):
        vision().stimuli(901, 0)
