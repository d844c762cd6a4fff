"""The experiment for real raters: a page that needs nothing else, and results read back as a careful person would."""

import base64
import hashlib
import json
import re
import shutil
import subprocess

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="the desk's scores need prosthesis[train]")
pytest.importorskip("torchmetrics", reason="the desk's scores need prosthesis[train]")

from scipy.stats import binomtest

from prosthesis.cli import main
from prosthesis.errors import ProsthesisError
from prosthesis_train.scores.humans import experiment, make_experiment, read_results
from prosthesis_train.scores.humans.results import DAMAGED, INATTENTIVE, OTHER, TWICE, UNFINISHED


def pictures(n=5, seed=0, colours=1):
    return np.random.default_rng(seed).uniform(-1, 1, (n, colours, 8, 8)).astype(np.float32)


@pytest.fixture
def made(tmp_path):
    folder = tmp_path / "experiment"
    return folder, make_experiment(folder, "toy reader", pictures(), pictures(seed=1))


def held(page):
    return json.loads(re.search(r'id="experiment">(.*?)</script>', page, re.S)[1])


def test_the_page_holds_all_that_it_shows_and_asks_no_server(made):
    folder, plan = made
    page = (folder / "index.html").read_text()
    content = held(page)
    assert len(content["shown"]) == len(content["reconstructions"]) == plan.pictures == 5
    assert all(uri.startswith("data:image/png;base64,") for uri in content["shown"] + content["reconstructions"])
    # addresses may be spoken of in the scripts' messages; nothing may be loaded from one
    assert not re.search(r"""(?:src|href|action)\s*=\s*["']?\s*(?:https?:)?//""", page)
    assert not re.search(r"""(?:fetch|import|importScripts|sendBeacon|url)\(\s*["'`]?(?:https?:)?//""", page)
    assert "sourceMappingURL" not in page
    assert "<link" not in page
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert "img-src data:" in policy
    assert "MIT License" in page
    for entry in experiment.vendored():
        script = (experiment.HERE / "vendor" / entry["file"]).read_text()
        assert experiment._no_source_map(script) in page
    assert sorted(path.name for path in folder.iterdir()) == ["experiment.json", "index.html"]


@pytest.mark.parametrize("colours", [1, 3])
def test_pictures_survive_the_way_into_the_page(colours):
    picture = pictures(1, 3, colours)[0]
    png = base64.b64decode(experiment.data_uri(picture).split(",")[1])
    read = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    read = read[None] if colours == 1 else read[..., ::-1].transpose(2, 0, 1)
    assert read / 127.5 - 1 == pytest.approx(picture, abs=1 / 127)


def test_text_cannot_break_out_of_the_page(tmp_path):
    consent = "</script><script>alert(1)</script> & 'quoted'"
    make_experiment(tmp_path / "e", "</script>", pictures(), pictures(seed=1), consent)
    content = held((tmp_path / "e" / "index.html").read_text())
    assert content["consent"] == consent
    assert content["plan"]["reader"] == "</script>"


def test_many_pictures_are_drawn_by_seed_and_pairs_stay_together(tmp_path):
    shown, made = pictures(130), pictures(130, seed=1)
    plans = [make_experiment(tmp_path / str(k), "r", shown, made, seed=k) for k in (0, 1)]
    assert plans[0].id != plans[1].id
    content = held((tmp_path / "0" / "index.html").read_text())
    assert plans[0].pictures == len(content["shown"]) == 100
    at = [[experiment.data_uri(p) for p in shown].index(uri) for uri in content["shown"]]
    assert content["reconstructions"] == [experiment.data_uri(made[k]) for k in at]


def test_a_folder_keeps_its_experiment(made):
    folder, plan = made
    assert make_experiment(folder, "toy reader", pictures(), pictures(seed=1)) == plan
    with pytest.raises(ProsthesisError, match="another experiment"):
        make_experiment(folder, "toy reader", pictures(), pictures(seed=2))


def test_vendored_files_are_pinned_small_and_licensed(monkeypatch, tmp_path):
    files = experiment.vendored()
    assert {entry["package"] for entry in files} == {"jspsych", "@jspsych/plugin-html-button-response"}
    assert {entry["licence"] for entry in files} == {"MIT"}
    vendor = experiment.HERE / "vendor"
    assert sum(path.stat().st_size for path in vendor.iterdir()) < 200_000
    for entry in files:
        assert hashlib.sha256((vendor / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]
    shutil.copytree(vendor, tmp_path / "vendor")
    (tmp_path / "vendor" / "jspsych.js").write_text("changed")
    monkeypatch.setattr(experiment, "HERE", tmp_path)
    with pytest.raises(ProsthesisError, match=r"jspsych\.js: missing, or not the file"):
        experiment.vendored()


@pytest.mark.skipif(shutil.which("node") is None, reason="node parses the page's scripts")
def test_the_pages_scripts_parse(made, tmp_path):
    page = (made[0] / "index.html").read_text()
    scripts = re.findall(r"<script>\n(.*?)\n</script>", page, re.S)
    assert len(scripts) == 3
    for k, script in enumerate(scripts):
        path = tmp_path / f"{k}.js"
        path.write_text(script)
        found = subprocess.run(["node", "--check", str(path)], capture_output=True, text=True, timeout=30)
        assert found.returncode == 0, found.stderr


def test_the_rule_is_stated_before_anyone_is_tested(made):
    notes = json.loads((made[0] / "experiment.json").read_text())
    assert "fewer than 10 of 12 catch trials" in notes["rule"]
    # 10 of 12: guessing passes in 1.9 % of raters, 9 of 12 in 7.3 %
    assert [experiment.catch_least(n) for n in (5, 8, 12)] == [5, 7, 10]


def session(plan, rater, skill=1.0, catches=None, seed=0, changes=()):
    """Return a results file's content: pairs right with probability ``skill``; so many ``catches`` right."""
    rng, trials = np.random.default_rng(seed), []
    catches = plan.catches if catches is None else catches
    right = [("pair", rng.random() < skill) for _ in range(plan.trials)]
    right += [("catch", k < catches) for k in range(plan.catches)]
    for kind, ok in right:
        target, side = int(rng.integers(plan.pictures)), int(rng.integers(2))
        other = (target + 1) % plan.pictures
        trials.append({
            "kind": kind, "target": target, "other": other, "own_side": side,
            "response_side": side if ok else 1 - side, "rt_ms": 900,
        })  # fmt: skip
    content = {"format": "prosthesis-2afc-1", "plan": {k: getattr(plan, k) for k in plan.__slots__}}
    return content | {"rater": rater, "seed": seed, "trials": trials} | dict(changes)


def save(folder, name, content):
    (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))


def test_raters_are_read_back_and_every_file_is_accounted_for(made):
    folder, plan = made
    good = session(plan, "good")
    save(folder, "a", good)
    save(folder, "b", session(plan, "guesses", 0.5, seed=1))
    save(folder, "c", session(plan, "asleep", 0.5, catches=6, seed=2))
    save(folder, "d", json.dumps(session(plan, "cut"))[:500])
    save(folder, "e", good)
    save(folder, "f", session(plan, "left", changes={"trials": good["trials"][:50]}))
    save(folder, "g", session(plan, "elsewhere", changes={"plan": good["plan"] | {"id": "0"}}))
    save(folder, "h", session(plan, "odd", changes={"trials": [good["trials"][0] | {"target": 99}]}))
    found = read_results([folder])
    assert found.excluded() == {INATTENTIVE: 1, UNFINISHED: 1, DAMAGED: 2, TWICE: 1, OTHER: 1}
    assert found.unusable == {"d.json": DAMAGED, "e.json": TWICE, "g.json": OTHER, "h.json": DAMAGED}
    counted = {rater.code: rater.right for rater in found.raters if not rater.excluded}
    assert counted["good"] == 100
    assert found.right == sum(counted.values())
    assert found.trials == 200
    assert found.share == found.right / 200
    assert found.p == binomtest(found.right, 200, 0.5, alternative="greater").pvalue
    assert (found.low, found.high) == (0, 1)  # two raters so unlike say little of raters
    text = found.text()
    assert "1 too few catch trials right" in text
    assert "fewer than 10 of 12" in text
    assert "| asleep |" in text


def test_one_rater_has_the_exact_interval(made):
    folder, plan = made
    save(folder, "a", session(plan, "one", 0.8))
    found = read_results([folder / "a.json"])
    exact = binomtest(found.right, 100).proportion_ci(0.95)
    assert (found.low, found.high) == (exact.low, exact.high)
    assert "this one rater" in found.interval


def test_a_guessing_crowd_is_at_chance_and_a_good_one_above(made):
    folder, plan = made
    for k in range(8):
        save(folder, f"r{k}", session(plan, f"r{k}", 0.5, seed=k))
    found = read_results([folder])
    assert found.low < 0.5 < found.high
    assert found.p > 0.01
    for k in range(8):
        save(folder, f"r{k}", session(plan, f"r{k}", 0.75, seed=k))
    found = read_results([folder])
    assert found.p < 1e-20
    assert found.low > 0.5
    # no narrower than trials alone would have it
    exact = binomtest(found.right, found.trials).proportion_ci(0.95)
    assert found.low <= exact.low < exact.high <= found.high


def test_raters_who_differ_widen_the_interval(made):
    folder, plan = made
    for k in range(6):
        save(folder, f"r{k}", session(plan, f"r{k}", 0.55 if k % 2 else 0.95, seed=k))
    found = read_results([folder])
    exact = binomtest(found.right, found.trials).proportion_ci(0.95)
    assert found.high - found.low > 2 * (exact.high - exact.low)


def test_what_the_file_claims_of_itself_does_not_count(made):
    folder, plan = made
    content = session(plan, "liar", 0.5)
    for trial in content["trials"]:
        trial["right"] = True
    save(folder, "a", content)
    assert read_results([folder]).right < 70


def test_nothing_to_count_is_an_error(made, tmp_path):
    folder, plan = made
    with pytest.raises(ProsthesisError, match="no results files"):
        read_results([folder])
    save(folder, "a", session(plan, "asleep", catches=2))
    with pytest.raises(ProsthesisError, match="1 too few catch trials right"):
        read_results([folder])
    with pytest.raises(ProsthesisError, match="not there"):
        read_results([tmp_path / "nowhere"])
    (folder / "experiment.json").write_text("{")
    with pytest.raises(ProsthesisError, match=r"experiment\.json: damaged"):
        read_results([folder])


def test_the_verbs_make_and_read(tmp_path, capsys):
    pytest.importorskip("onnxruntime", reason="shipped models run in it")
    rng = np.random.default_rng(0)
    reading = tmp_path / "lab.npz"
    shown = np.clip(rng.normal(size=(6, 1, 32, 32)), -1, 1).astype(np.float32)
    codes = rng.normal(size=(6, 80)).astype(np.float32)
    np.savez(reading, shown=shown, true_codes=codes, decoded_codes=codes, training_trials=40)
    (tmp_path / "consent.txt").write_text("We ask you to ...")
    out = tmp_path / "experiment"
    arguments = ["score", "humans", "make", str(reading), "--out", str(out), "--consent", str(tmp_path / "consent.txt")]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "index.html" in said
    assert "ethics approval" in said
    assert held((out / "index.html").read_text())["consent"] == "We ask you to ..."
    plan = experiment.Plan(**json.loads((out / "experiment.json").read_text())["plan"])
    save(out, "r", session(plan, "one", 0.9))
    assert main(["score", "humans", "read", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trials"] == 100
    assert main(["score", "reader", str(reading), "--humans", str(out)]) == 0
    assert "Real raters, 2AFC of lab" in capsys.readouterr().out


PLAYED = """
globalThis.window = globalThis;
globalThis.document = { getElementById: () => ({ textContent: EXPERIMENT }) };
globalThis.jsPsychHtmlButtonResponse = "html-button-response";
let timeline = null;
globalThis.initJsPsych = () => ({ run: (t) => { timeline = t; } });
eval(RUN);
for (const screen of timeline.filter((t) => t.data)) {
  const own = screen.choices[screen.data.own_side];
  const wanted = screen.data.kind === "catch" ? experimentOf().shown : experimentOf().reconstructions;
  if (!own.includes(wanted[screen.data.target])) throw new Error("the own picture is on the other side");
  if (screen.choices[1 - screen.data.own_side].includes(wanted[screen.data.target])) throw new Error("twice the same");
  screen.on_finish({ response: screen.data.own_side, rt: 500.4 });
}
function experimentOf() { return JSON.parse(EXPERIMENT); }
console.log(window.prosthesisResults());
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node plays the page's own script")
def test_a_session_as_the_page_draws_it_is_read_back(made, tmp_path):
    folder, plan = made
    page = (folder / "index.html").read_text()
    run = re.findall(r"<script>\n(.*?)\n</script>", page, re.S)[-1]
    script = f"const EXPERIMENT = {json.dumps(json.dumps(held(page)))};\nconst RUN = {json.dumps(run)};\n{PLAYED}"
    (tmp_path / "play.js").write_text(script)
    sides = []
    for k in range(2):
        found = subprocess.run(["node", str(tmp_path / "play.js")], capture_output=True, text=True, timeout=30)
        assert found.returncode == 0, found.stderr
        save(folder, f"r{k}", found.stdout)
        trials = json.loads(found.stdout)["trials"]
        sides.append([trial["own_side"] for trial in trials])
        assert 25 < sum(sides[-1]) < 87  # of 112, drawn
        kinds = [trial["kind"] for trial in trials]
        assert kinds != sorted(kinds)  # catch trials hide among the others
        # every picture is asked as often as every other
        asked = [trial["target"] for trial in trials if trial["kind"] == "pair"]
        assert {asked.count(k) for k in range(plan.pictures)} == {20}
    assert sides[0] != sides[1]
    read = read_results([folder])
    assert (read.right, read.trials, read.excluded()) == (200, 200, {})
