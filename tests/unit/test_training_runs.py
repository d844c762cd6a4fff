"""Runs that stop and go on, are killed, lose their disk or their numbers: nothing lost, and said clearly."""

from __future__ import annotations

import json
import math
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_training
import torch

from prosthesis.errors import ConfigError, ProsthesisError
from prosthesis_train.methods import bigbigan, dcgan
from prosthesis_train.training import checkpoint
from prosthesis_train.training.command import train as train_by_command
from prosthesis_train.training.report import write_report
from prosthesis_train.training.run import read_log

torch.set_num_threads(1)  # as the script has, for equal sums


def numbers_of(folder):
    """All tensors of a checkpoint by path."""

    def walk(value, path):
        if isinstance(value, torch.Tensor):
            yield path, value
        elif isinstance(value, dict):
            for key, inner in value.items():
                yield from walk(inner, (*path, key))

    return dict(walk(checkpoint.load(folder / checkpoint.NAME), ()))


def assert_equal_runs(one, two):
    a, b = numbers_of(one), numbers_of(two)
    assert a.keys() == b.keys()
    assert len(a) > 50
    assert [k for k in a if not torch.equal(a[k], b[k])] == []
    for entry, other in zip(read_log(one), read_log(two), strict=True):
        assert {k: v for k, v in entry.items() if k != "seconds"} == {k: v for k, v in other.items() if k != "seconds"}


ALL_TRICKS = {"cycle": 1.0, "diff_augment": 2, "d_steps": 2, "averaging": "epochs", "balance": True}


@pytest.mark.parametrize(("method", "extra"), [("dcgan", {"rotation_deg": 5.0}), ("bigbigan", ALL_TRICKS)])
def test_a_run_that_goes_on_ends_at_the_same_numbers(tmp_path, method, extra):
    tiny_training.train(method, tmp_path / "whole", steps=4, **extra)
    tiny_training.train(method, tmp_path / "parts", steps=2, **extra)
    tiny_training.train(method, tmp_path / "parts", steps=4, **extra)
    assert_equal_runs(tmp_path / "whole", tmp_path / "parts")
    told = json.loads((tmp_path / "parts" / "settings.json").read_text(encoding="utf-8"))
    assert [s["first_step"] for s in told["sessions"]] == [0, 2]
    assert told["settings"]["steps"] == 4


def test_the_balance_rule_lets_d_rest_and_goes_on_so(tmp_path):
    tiny_training.train("dcgan", tmp_path, steps=2, balance=True)
    state = checkpoint.load(tmp_path / checkpoint.NAME)
    checkpoint.save(tmp_path / checkpoint.NAME, {**state, "balance": [True, False]})
    made = tiny_training.train("dcgan", tmp_path, steps=3, balance=True)
    assert read_log(tmp_path)[-1]["rests"] == "D"
    assert torch.equal(made.d.last.weight, state["d"]["last.weight"])
    assert not torch.equal(next(made.g.parameters()), next(iter(state["g"].values())))


def test_a_run_killed_with_9_goes_on_to_the_same_numbers(tmp_path):
    folder = tmp_path / "killed"
    script = Path(tiny_training.__file__)
    run = subprocess.Popen([sys.executable, script, "dcgan", folder, "100000", "1", "1"], stderr=subprocess.PIPE)
    until = time.monotonic() + 90
    while len(read_log(folder)) < 5 and time.monotonic() < until:
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    run.communicate(timeout=20)
    steps = len(read_log(folder)) + 3
    tiny_training.train("dcgan", folder, steps=steps)
    tiny_training.train("dcgan", tmp_path / "whole", steps=steps)
    assert_equal_runs(folder, tmp_path / "whole")


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, {"step": 1, "x": torch.ones(3)})
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))  # a disk on which no file grows beyond this
    try:
        with pytest.raises(ProsthesisError, match=r"cannot write the checkpoint .* the last checkpoint is kept"):
            checkpoint.save(path, {"step": 2, "x": torch.ones(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text"])
def test_a_damaged_checkpoint_is_named_and_left_alone(tmp_path, damage):
    tiny_training.train("dcgan", tmp_path, steps=2)
    path = tmp_path / "checkpoint.pt"
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes(b ^ 255 for b in whole[middle : middle + 64]) + whole[middle + 64 :]
    bad = {"cut": whole[:middle], "flipped": flipped, "empty": b"", "text": b"hello"}[damage]
    path.write_bytes(bad)
    with pytest.raises(ProsthesisError, match=r"checkpoint\.pt: .*damaged.*start anew"):
        tiny_training.train("dcgan", tmp_path, steps=4)
    assert path.read_bytes() == bad


def test_no_checkpoint_and_the_wrong_one(tmp_path):
    with pytest.raises(ProsthesisError, match="no checkpoint; train first"):
        dcgan.load(tmp_path)
    checkpoint.save(tmp_path / checkpoint.NAME, {"other": 1})
    with pytest.raises(ProsthesisError, match="not a checkpoint of ours"):
        dcgan.load(tmp_path)
    tiny_training.train("dcgan", tmp_path / "d", steps=1)
    with pytest.raises(ProsthesisError, match="not a BigBiGAN's"):
        bigbigan.load(tmp_path / "d")


def test_other_settings_or_pictures_do_not_go_on(tmp_path):
    tiny_training.train("dcgan", tmp_path, steps=1)
    with pytest.raises(ConfigError, match=r"lr 0.0002 \(now 0.1\)"):
        tiny_training.train("dcgan", tmp_path, steps=2, lr=0.1)
    fewer = tiny_training.made_up_images(n=32)
    with pytest.raises(ConfigError, match="other pictures"):
        dcgan.train(tiny_training.settings_of("dcgan"), tmp_path, images=fewer)


def test_numbers_gone_mad_stop_the_run_and_keep_the_last_good_checkpoint(tmp_path):
    tiny_training.train("dcgan", tmp_path, steps=2)
    state = checkpoint.load(tmp_path / checkpoint.NAME)
    state["d"]["last.weight"][0, 0, 0, 0] = math.nan
    checkpoint.save(tmp_path / checkpoint.NAME, state)
    before = (tmp_path / checkpoint.NAME).read_bytes()
    with pytest.raises(ProsthesisError, match=r"no longer finite at step 3; the last good checkpoint is"):
        tiny_training.train("dcgan", tmp_path, steps=6)
    assert (tmp_path / checkpoint.NAME).read_bytes() == before
    assert [e["alarm"] for e in read_log(tmp_path) if "alarm" in e] == ["not finite"]


def test_what_was_trained_can_be_loaded(tmp_path):
    made = tiny_training.train("bigbigan", tmp_path, steps=2)
    g, e, settings = bigbigan.load(tmp_path)
    assert settings.batch == 8
    x = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(e(x)[0], made.mean_e.network(x)[0])
    torch.testing.assert_close(g(torch.ones(2, 80)), made.mean_g.network(torch.ones(2, 80)))


def test_accumulated_parts_of_a_batch_teach_what_the_batch_does(monkeypatch):
    """Where no batch norm sees a part for the whole."""
    monkeypatch.setattr(bigbigan, "_pair", lambda _nets, batch: (0.5 * batch.real, batch.noise))
    random = torch.Generator().manual_seed(1)
    batch = bigbigan.Batch(torch.randn(8, 1, 32, 32, generator=random), *torch.randn(2, 8, 80, generator=random), None)
    grads = []
    for parts in (1, 4):
        settings = tiny_training.settings_of("bigbigan", accumulate=parts, spectral_norm="none")
        nets = bigbigan.build(settings, torch.device("cpu"), 1)
        bigbigan._update_d(nets, settings, batch, shared=False, learns=True)
        grads.append(torch.cat([p.grad.flatten() for p in nets.d.parameters()]))
    assert grads[0].norm() > 0
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-3, atol=1e-5)


def test_the_verb_trains_on_a_folder_and_reports(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("prosthesis_train.methods.dcgan.open_images", lambda *_: tiny_training.made_up_images())
    words = ["--run", str(tmp_path), "--steps", "4", "--batch", "8", "--width", "4", "--log-every", "2", "--json"]
    page = train_by_command("dcgan", [*words, "--watch-every", "4", "--save-every", "2", "--balance"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    assert lines[1]["diversity"] > 0
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/png;base64,") == 3  # curves, two grids
    assert "http" not in text
    saved = json.loads((tmp_path / "settings.json").read_text(encoding="utf-8"))
    assert saved["settings"]["balance"] is True
    assert saved["data_sha256"] == tiny_training.made_up_images().digest


def test_the_report_tells_of_alarms(tmp_path):
    tiny_training.train("dcgan", tmp_path, steps=2)
    with (tmp_path / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": 2, "alarm": "mode collapse", "seen": "0.1 <as> diverse", "remedy": "x"}) + "\n")
        file.write('{"step": 3, "los')  # cut off by a power cut
    text = write_report(tmp_path).read_text(encoding="utf-8")
    assert "mode collapse" in text
    assert "&lt;as&gt;" in text


def test_an_unknown_method_names_the_known():
    with pytest.raises(ConfigError, match="dcgan, bigbigan"):
        train_by_command("vae", [])
