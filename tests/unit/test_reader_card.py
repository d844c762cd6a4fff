"""A reader's card: its verdicts in words, its controls, and the files that it refuses."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the desk's scores need prosthesis[train]")
pytest.importorskip("sklearn", reason="the desk's scores need prosthesis[train]")
pytest.importorskip("torchmetrics", reason="the desk's scores need prosthesis[train]")

from prosthesis.cli import main  # noqa: E402
from prosthesis.errors import ProsthesisError  # noqa: E402
from prosthesis_train.scores.card import Model  # noqa: E402
from prosthesis_train.scores.features import averages  # noqa: E402
from prosthesis_train.scores.reader import Reading, card_json, load_reading, reader_card, save_reading, table  # noqa: E402
from prosthesis_train.scores.reader import conditions as rows  # noqa: E402

torch.set_num_threads(1)
N, D, SITES = 60, 6, 12
MIX = np.random.default_rng(9).normal(size=(D, 64)).astype(np.float32) / 2
TUNING = np.random.default_rng(8).normal(size=(64, SITES))


def generate(z):
    return torch.tanh(z @ torch.from_numpy(MIX)).reshape(-1, 1, 8, 8)


def encode(images):
    return torch.atanh(images.flatten(1) * 0.9999) @ torch.linalg.pinv(torch.from_numpy(MIX))


MODEL = Model("toy", D, generate, encode)


def respond(images):
    return images.flatten(1).numpy() @ TUNING


def reading(noise=0.4, informed=True, seed=0, **changes):
    """A reader whose codes are the true ones, or another draw, plus noise."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(N, D)).astype(np.float32)
    shown = generate(torch.from_numpy(z)).numpy()
    responses = respond(torch.from_numpy(shown)) + 2 * rng.normal(size=(3, N, SITES))
    of = z if informed else rng.normal(size=(N, D))
    decoded = (of + noise * rng.normal(size=(N, D))).astype(np.float32)
    found = {"shown": shown, "true_codes": z, "decoded_codes": decoded, "responses": responses}
    return Reading(**({"name": "reader", "training_trials": 300} | found | changes))


@pytest.fixture(scope="module")
def card():
    labels = np.random.default_rng(3).integers(0, 3, N)
    return reader_card(reading(labels=labels), MODEL, averages(4), respond, permutations=99)


def test_a_reader_that_reads_is_said_to_and_every_control_is_not(card):
    verdicts = {row.condition: row.verdict for row in card.rows}
    assert list(verdicts) == [rows.CEILING, rows.BOUND, "reader", "reader, pairs permuted", rows.RANDOM, rows.MEAN]
    assert verdicts["reader"] == "brain information: decoding, identification, reconstruction above the null"
    for control in ("reader, pairs permuted", rows.RANDOM, rows.MEAN):
        assert verdicts[control] == "no brain information"
    assert "not from a brain" in verdicts[rows.BOUND]


def test_the_card_holds_every_score_and_its_bounds(card):
    ceiling, mean, reader = (card.row(name).scores for name in (rows.CEILING, rows.MEAN, "reader"))
    assert ceiling["latent error"].value == 0
    assert ceiling["controllability"].value == pytest.approx(1, abs=0.1)
    assert mean["latent error"].value == pytest.approx(1, abs=1e-5)
    assert mean["controllability"].value == 0
    assert 0.8 < reader["2AFC codes"].value < 1
    assert card.data_scale == 50
    assert reader["pixel r"].null.low < reader["pixel r"].null.mean < reader["pixel r"].null.high
    for name, score in reader.items():
        assert score.low is not None, name
        assert score.low <= score.value <= score.high, name


def test_a_reader_that_only_draws_well_has_no_brain_information():
    """Codes of the prior make pictures as good as any, so their distance is low; nothing of it is about the brain."""
    found = reader_card(reading(0, informed=False), MODEL, averages(4), respond, permutations=99)
    row, bound = found.row("reader"), found.row(rows.MEAN)
    assert row.verdict == "no brain information"
    assert row.scores[found.distance].value < bound.scores[found.distance].value / 3
    assert 0.4 < row.scores["2AFC pixels"].value < 0.6
    assert "no brain information" in table(found)


def test_card_as_table_and_as_json(card):
    text = table(card)
    assert "data scale N/k = 50" in text
    assert "2AFC features" in text
    assert "Frechet distance of means by means of 4 x 4 squares" in text
    content = json.loads(card_json(card))
    assert content["format"] == "prosthesis-reader-card-1"
    assert content["rows"][2]["scores"]["2AFC codes"]["null"]["p"] == 0.01
    assert content["data_scale"] == 50


def test_without_a_model_of_the_brain_only_measured_responses_count():
    r = reading()
    again = respond(torch.from_numpy(rows.reconstructions(r, MODEL).numpy()))[None]
    found = reader_card(reading(responses_again=again), MODEL, averages(4), permutations=99)
    assert found.row("reader").scores["controllability"].value > 0.5
    assert found.row(rows.CEILING).scores["controllability"].value == 1
    assert "controllability" not in found.row(rows.RANDOM).scores
    assert any("no model of the brain" in note for note in found.notes)


def test_a_null_of_refits_replaces_the_orders_for_the_reader():
    r = reading()
    rng = np.random.default_rng(5)
    blind = rng.normal(size=(99, N, D))
    found = reader_card(reading(null_codes=blind), MODEL, averages(4), respond, permutations=99)
    assert found.row("reader").scores["2AFC codes"].null.p == 0.01
    # refits that reach what the reader reaches: it has no information, however far above one half
    cheat = np.stack([r.decoded_codes] * 90 + [r.true_codes] * 10)
    found = reader_card(reading(null_codes=cheat), MODEL, averages(4), respond, permutations=99)
    assert found.row("reader").scores["2AFC codes"].value > 0.8
    assert found.row("reader").verdict == "no brain information"
    assert "100 refits" in found.null


def test_dead_sites_are_counted_and_repeats_are_missed():
    responses = reading().responses[:1].copy()
    responses[:, :, 4] = 3
    found = reader_card(reading(responses=responses), MODEL, averages(4), respond, permutations=19)
    assert (found.sites, found.dead_sites) == (SITES, 1)
    assert "1 dead" in table(found)
    assert "controllability" not in found.row("reader").scores
    assert any("measured once" in note for note in found.notes)


def test_three_trials_give_a_card_and_say_that_they_are_few():
    r = reading()
    few = Reading("three", r.shown[:3], r.true_codes[:3], r.decoded_codes[:3], 10)
    found = reader_card(few, MODEL, averages(4), permutations=19)
    assert found.row("three").verdict == "no brain information"  # six orders can show nothing
    assert any("rough" in note for note in found.notes)
    assert not any(name.startswith("controllability") for name in found.row("three").scores)
    json.loads(card_json(found))


def test_repeated_pictures_are_noted():
    r = reading()
    twice = np.concatenate([r.shown[:30]] * 2)
    assert any(
        "only 30 of 60" in note
        for note in reader_card(reading(shown=twice), MODEL, averages(4), respond, permutations=19).notes
    )


def changed(name, change):
    value = np.array(getattr(reading(labels=np.zeros(N, int)), name), copy=True)
    return {"labels": np.zeros(N, int), name: change(value)}


def with_nan(a):
    a = a.astype(float)
    a.flat[3] = np.nan
    return a


BAD = {
    r"decoded_codes: 1 values are not finite": ("decoded_codes", with_nan),
    r"responses: 1 values are not finite": ("responses", with_nan),
    r"decoded_codes: shape \(59, 6\) is not \[60, 6\]": ("decoded_codes", lambda a: a[:-1]),
    r"decoded_codes: shape \(60, 5\)": ("decoded_codes", lambda a: a[:, 1:]),
    r"responses: shape \(3, 58, 12\) is not \[any, 60, any\]": ("responses", lambda a: a[:, 2:]),
    r"responses: shape \(60, 12\)": ("responses", lambda a: a[0]),
    r"shown: values reach 255": ("shown", lambda a: a * 0 + 255),
    r"shown: shape \(60, 8, 8\)": ("shown", lambda a: a[:, 0]),
    r"true_codes: all rows are equal": ("true_codes", lambda a: a * 0),
    r"labels: not class numbers": ("labels", lambda a: a - 1),
    r"labels: shape \(59,\)": ("labels", lambda a: a[1:]),
}


@pytest.mark.parametrize("match", BAD)
def test_a_reading_that_does_not_fit_is_refused_in_one_line(match):
    with pytest.raises(ProsthesisError, match=match) as caught:
        reading(**changed(*BAD[match]))
    assert "\n" not in str(caught.value)


def test_other_refusals():
    r = reading()
    with pytest.raises(ProsthesisError, match="2 trials"):
        Reading("two", r.shown[:2], r.true_codes[:2], r.decoded_codes[:2], 10)
    with pytest.raises(ProsthesisError, match="no responses to compare"):
        reading(responses=None, responses_again=r.responses)
    with pytest.raises(ProsthesisError, match="5 refits"):
        reading(null_codes=np.zeros((5, N, D)))
    with pytest.raises(ProsthesisError, match="training_trials: 0"):
        reading(training_trials=0)
    with pytest.raises(ProsthesisError, match="toy has 7"):
        reader_card(r, Model("toy", 7, generate), averages(4))
    dead = reading(responses=np.ones((2, N, 3)))
    with pytest.raises(ProsthesisError, match="no site can be scored"):
        reader_card(dead, MODEL, averages(4), permutations=9)


def test_a_file_gives_back_what_was_written(tmp_path):
    r = reading(labels=np.arange(N) % 3)
    save_reading(tmp_path / "r.npz", r)
    again = load_reading(tmp_path / "r.npz")
    assert (again.name, again.training_trials) == (r.name, r.training_trials)
    for name in ("shown", "true_codes", "decoded_codes", "responses", "labels"):
        assert np.array_equal(getattr(again, name), getattr(r, name))
    assert again.null_codes is None


def test_the_model_makes_true_codes_that_the_file_lacks(tmp_path):
    r = reading()
    path = tmp_path / "lab.npz"
    np.savez(path, shown=r.shown, decoded_codes=r.decoded_codes, training_trials=300)
    found = load_reading(path, lambda shown: encode(torch.from_numpy(shown)).numpy())
    assert found.name == "lab"
    assert np.corrcoef(found.true_codes.ravel(), r.true_codes.ravel())[0, 1] > 0.99
    with pytest.raises(ProsthesisError, match="has no encoder"):
        load_reading(path)


def test_files_that_are_refused(tmp_path):
    r = reading()
    good = {"shown": r.shown, "true_codes": r.true_codes, "decoded_codes": r.decoded_codes, "training_trials": 9}

    def refused(match, **changes):
        path = tmp_path / "bad.npz"
        np.savez(path, **{k: v for k, v in (good | changes).items() if v is not None})
        with pytest.raises(ProsthesisError, match=match) as caught:
            load_reading(path)
        assert "bad.npz" in str(caught.value)
        assert "\n" not in str(caught.value)

    refused("missing", shown=None)
    refused("unknown arrays spikes", spikes=np.ones(3))
    refused("not one whole number", training_trials=np.array([1.5, 2]))
    refused("decoded_codes: shape", decoded_codes=r.decoded_codes[1:])
    refused("Object arrays", labels=np.array([{"a": 1}] * N, dtype=object))
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ProsthesisError, match=r"text\.npz: not an \.npz"):
        load_reading(tmp_path / "text.npz")
    np.save(tmp_path / "one.npy", r.shown)
    with pytest.raises(ProsthesisError, match="one array"):
        load_reading(tmp_path / "one.npy")
    with pytest.raises(ProsthesisError, match="cannot be read"):
        load_reading(tmp_path / "none.npz")
    whole = tmp_path / "whole.npz"
    np.savez(whole, **good)
    (tmp_path / "cut.npz").write_bytes(whole.read_bytes()[:-900])
    with pytest.raises(ProsthesisError, match=r"cut\.npz"):
        load_reading(tmp_path / "cut.npz")


def test_the_verb_prints_a_card(tmp_path, capsys):
    pytest.importorskip("onnxruntime", reason="shipped models run in it")
    rng = np.random.default_rng(0)
    shown = np.clip(rng.normal(size=(12, 1, 32, 32)), -1, 1).astype(np.float32)
    path = tmp_path / "lab.npz"
    np.savez(path, shown=shown, decoded_codes=rng.normal(size=(12, 80)).astype(np.float32), training_trials=40)
    assert main(["score", "reader", str(path), "--model", "bigbigan-fashion", "--json"]) == 0
    out = capsys.readouterr()
    content = json.loads(out.out)
    assert content["distance"] == "Frechet classifier distance"
    assert {row["condition"] for row in content["rows"]} >= {"lab", rows.RANDOM, rows.MEAN, rows.BOUND}
    assert "scoring: random code" in out.err
    with pytest.raises(SystemExit) as caught:
        raise SystemExit(main(["score", "reader", str(tmp_path / "none.npz")]))
    assert caught.value.code == 1
    assert "none.npz: cannot be read" in capsys.readouterr().err


def test_geometry_alone_is_not_called_reconstruction():
    """A wrong map of the brain's answers, here turned codes, keeps their geometry and nothing else."""
    r = reading(0.05)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(D, D)))[0]
    found = reader_card(
        reading(decoded_codes=(r.true_codes @ turn).astype(np.float32)), MODEL, averages(4), respond, permutations=99
    ).row("reader")
    assert found.scores["RSA"].null.p == 0.01
    assert found.scores["2AFC codes"].value < 0.55
    assert found.verdict.startswith("brain information, but shared geometry only")
