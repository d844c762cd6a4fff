import hashlib

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from prosthesis_train.data.images import ImageSet
from prosthesis_train.studies.braincodes import evolution, finetuning, modalities, textures
from prosthesis_train.studies.braincodes.paired import mean_figure


class Tiny:
    """Twelve linear units that see the whole field."""

    n = 12
    weights = np.random.default_rng(0).standard_normal((12, 8, 8))

    def rates_hz(self, images):
        small = images.reshape(len(images), 8, images.shape[1] // 8, 8, -1).mean((2, 4))
        return 5 + 20 * np.maximum(np.einsum("bij,nij->bn", small - 0.5, self.weights), 0)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    for study in (evolution, modalities, finetuning, textures):
        monkeypatch.setattr(study, "frozen_brain", lambda name, seed: Tiny())


def found(figures, name):
    return next(f for f in figures if f.name.endswith(name))


def test_the_interval_is_students():
    values = np.random.default_rng(0).normal(1, 2, 20)
    figure, oracle = mean_figure("x", values, "Hz", "units"), ttest_1samp(values, 0).confidence_interval(0.95)
    assert (figure.low, figure.high) == pytest.approx((oracle.low, oracle.high))
    assert figure.value == pytest.approx(values.mean())


def test_evolution_beats_the_natural_best_of_linear_units_and_draws_each(monkeypatch, tmp_path):
    monkeypatch.setattr(evolution, "NATURAL", 60)
    monkeypatch.setattr(evolution, "BRAINS", ("tiny",))
    small = evolution.contest("tiny", lambda text: None, units=3, generations=8)
    assert small.units == tuple(np.random.default_rng(0).permutation(12)[:3])
    assert len(small.evolved_hz) == 4
    assert all(hz.shape == (3,) for hz in (*small.natural_hz.values(), *small.evolved_hz.values()))
    assert (small.best_natural_hz >= small.natural_hz["clothes"]).all()
    evolution._done()["tiny"] = small
    figures = evolution.measure(lambda text: None)
    way = "GA, 4096 cosines"
    gain = small.evolved_hz[way] - small.best_natural_hz
    assert found(figures, f"{way}, gain on the better of both").value == pytest.approx(gain.mean())
    assert set(evolution.draw(tmp_path)) == {path.name for path in tmp_path.iterdir()}
    evolution._done().clear()


def test_what_won_is_measured_with_spikes_that_no_search_has_seen():
    brain, image = Tiny(), np.random.default_rng(1).random((32, 32)).astype(np.float32)
    again = evolution._again(brain, 3, image)
    assert again == evolution._again(brain, 3, image)
    assert again == pytest.approx(brain.rates_hz(image[None])[0, 3], abs=10)


def test_the_pair_is_frozen():
    data = modalities.pair(0)
    told = hashlib.sha256(b"".join(np.round(part, 6).tobytes() for part in (data.codes, data.slow, data.fast)))
    assert told.hexdigest()[:16] == "9b6f2f494b5d3d38"


def test_r2_of_what_says_all_and_of_what_says_nothing():
    random = np.random.default_rng(0)
    codes = random.standard_normal((800, 3))
    assert modalities.explained([codes @ random.standard_normal((3, 5))], codes) > 0.999
    assert modalities.explained([random.standard_normal((800, 5))], codes) == pytest.approx(0, abs=0.02)


def test_every_sense_has_its_measured_null():
    hearing = modalities.senses()[1]
    figures = modalities._through_the_same_map(hearing, lambda text: None, train=200, test=60)
    read, null = (found(figures, name) for name in ("read", "pairs permuted"))
    assert read.value > 0.9
    assert null.low < 0.5 < null.high < read.low


def test_fine_tuning_reports_the_linear_reader_the_ceiling_and_every_ablation(monkeypatch):
    random = np.random.default_rng(0)
    pictures = (random.random((80, 32, 32, 1)) * 255).astype(np.uint8)
    data = ImageSet("made", pictures[:50], pictures[50:], None, None, (), "", "")
    monkeypatch.setattr(finetuning, "open_images", lambda *_: data)
    for name, value in {"N": 50, "TEST": 30, "BLOCKS": 3}.items():
        monkeypatch.setattr(finetuning, name, value)
    short = finetuning.replace(finetuning.SETTINGS, steps=2, batch=8)
    monkeypatch.setattr(finetuning, "SETTINGS", short)
    monkeypatch.setattr(finetuning, "ABLATION", {"all losses": short})
    figures = finetuning.measure(lambda text: None)
    for judge in ("classifier's features", "encoder's features"):
        linear, tuned, gain = (
            found(figures, f"2AFC {judge}, {name}").value
            for name in ("linear reader", "all losses", "all losses minus linear")
        )
        assert tuned - linear == pytest.approx(gain)
        assert found(figures, f"2AFC {judge}, G(E(x))").value > 0.4


def test_the_reader_that_training_starts_from_is_the_ridge_decoder():
    random = np.random.default_rng(0)
    brain, codes = random.normal(3, 2, (60, 7)), random.standard_normal((60, 4))
    fitted = finetuning.fit_banded([brain], codes)
    weights, intercept = finetuning._plain(fitted)
    assert brain @ weights + intercept == pytest.approx(fitted.predict([brain]))
