import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from prosthesis.errors import ProsthesisError
from prosthesis_train.artefacts import load_artefact
from prosthesis_train.data.images import open_images
from prosthesis_train.reading.modality import FRAMES, SAMPLE_HZ, SOUND_S, Hearing, Vision, spectrograms
from prosthesis_train.scores.two_afc import two_afc


def vision():
    weights = np.random.default_rng(0).standard_normal((1024, 150)) / 32
    pictures = open_images("fashion", 32, 1).train[:900, ..., 0].astype(np.float32) / 255
    rates_hz = lambda images: 5 + 20 * np.maximum(images.reshape(len(images), -1) @ weights, 0)  # noqa: E731
    return Vision(pictures, load_artefact("bigbigan-fashion"), rates_hz)


@pytest.mark.parametrize("make", [vision, lambda: Hearing(sites=150)], ids=["vision", "hearing"])
def test_every_modality_goes_through_the_same_map_and_score(make):
    sense = make()
    stimuli = sense.stimuli(800, seed=0)
    codes, rates = sense.codes(stimuli), sense.responses_hz(stimuli)
    counts = np.random.default_rng(0).poisson(rates * 0.2) / 0.2
    train, test = slice(0, 600), slice(600, None)
    decoded = Ridge(alpha=100.0).fit(counts[train], codes[train]).predict(counts[test])
    shown, made = sense.compared(stimuli[test]), sense.reconstruct(decoded)
    assert made.shape == shown.shape
    assert two_afc(torch.from_numpy(shown), torch.from_numpy(made)).low > 0.8
    mixed = two_afc(torch.from_numpy(shown), torch.from_numpy(np.roll(made, 100, axis=0)))
    assert mixed.share == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("make", [vision, Hearing], ids=["vision", "hearing"])
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
    shown, made = sense.compared(sounds), sense.reconstruct(sense.codes(sounds))
    assert ((shown - made) ** 2).sum() < 0.2 * ((shown - shown.mean(0)) ** 2).sum()
    assert sense.codes(sounds).std() == pytest.approx(1, abs=0.15)


def test_more_pictures_than_there_are_is_one_line():
    with pytest.raises(ProsthesisError, match="901 pictures are wanted and there are 900"):
        vision().stimuli(901, 0)
