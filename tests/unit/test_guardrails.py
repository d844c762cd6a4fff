"""Detectors on made-up histories that must and must not alarm; the balance rule; averages; batches; augmentation."""

from __future__ import annotations

import math
import sys
import types

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from prosthesis.errors import ConfigError
from prosthesis_train.data.augment import Augmentation, augmented, to_unit, translated
from prosthesis_train.training.averaging import Averager
from prosthesis_train.training.batches import Batches, step_random
from prosthesis_train.training.guardrails import (
    Balance,
    Record,
    collapse,
    examine,
    gradient_norm,
    not_finite,
    oscillation,
    spread,
    winning_discriminator,
)
from prosthesis_train.training.progress import Progress


def record(step=0, loss_d=1.0, loss_g=1.0, real=0.7, fake=0.3, grad_g=1.0, diversity=None):
    return Record(step, loss_d, loss_g, real, fake, grad_g, diversity)


def healthy(n, seed=0):
    noise = np.random.default_rng(seed).normal(0, 0.08, (n, 2))
    return [record(i, real=0.7 + a, fake=0.3 + b) for i, (a, b) in enumerate(noise)]


def test_a_healthy_run_alarms_nothing():
    assert examine(healthy(400)) == []
    assert not_finite(record()) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("field", ["loss_d", "loss_g", "grad_g"])
def test_a_number_gone_mad(field, bad):
    seen = not_finite(record(7, **{field: bad}))
    assert (seen.kind, seen.step) == ("not finite", 7)


def test_collapse_needs_two_low_diversities_running():
    low, high, none = record(diversity=0.2), record(diversity=0.9), record()
    assert collapse([high, low, none, low, none]).kind == "mode collapse"
    assert collapse([low, none, high, low]) is None
    assert collapse([low, low, high]) is None
    assert collapse([low]) is None


def test_a_winning_discriminator_also_starves_the_generator():
    course = healthy(200)
    starved = [record(200 + i, real=0.99, fake=0.01, grad_g=0.01) for i in range(20)]
    assert winning_discriminator(course + starved).kind == "winning discriminator"
    fed = [record(200 + i, real=0.99, fake=0.01, grad_g=1.5) for i in range(20)]
    assert winning_discriminator(course + fed) is None
    assert winning_discriminator(course + starved[:19]) is None


def test_oscillation_is_a_slow_swing_and_no_noise():
    swing = [record(i, fake=0.5 + 0.4 * math.sin(i / 4)) for i in range(80)]
    assert oscillation(swing).kind == "oscillation"
    noise = np.random.default_rng(1).uniform(0, 1, 80)
    assert oscillation([record(i, fake=v) for i, v in enumerate(noise)]) is None
    drift = [record(i, fake=i / 80) for i in range(80)]
    assert oscillation(drift) is None
    small = [record(i, fake=0.5 + 0.1 * math.sin(i / 4)) for i in range(80)]
    assert oscillation(small) is None


def test_the_balance_rule_of_shen():
    rule = Balance()
    courses = [
        ((0.5, 0.5, 1.0), (True, True)),
        ((0.01, 0.01, 1.0), (False, True)),  # r = .02: D rests
        ((0.2, 0.2, 1.0), (False, True)),  # r = .4: still
        ((0.3, 0.3, 1.0), (True, True)),  # r = .6: D learns again
        ((6.0, 6.0, 1.0), (True, False)),  # r = 12: G rests
        ((1.0, 1.0, 1.0), (True, True)),
    ]
    for losses, learn in courses:
        rule.weigh(*losses)
        assert rule.learn == learn


def test_spread_and_gradient_norm():
    points = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]])
    assert spread(points) == pytest.approx((5 + 5 + 0) / 3)
    assert float(gradient_norm([torch.tensor([3.0]), None, torch.tensor([[4.0]])])) == pytest.approx(5)
    assert float(gradient_norm([])) == 0


def single(value):
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30))
def test_ema_is_its_recurrence(values):
    average, expected = Averager(single(2.0), "ema", 0.9, 10), 2.0
    for t, value in enumerate(values, 1):
        average.update(single(value), t)
        decay = min(0.9, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * value
    assert average.network.weight.item() == pytest.approx(expected, abs=1e-5)


def test_mean_over_epochs():
    average = Averager(single(9.0), "epochs", 0.0, 3)
    for t in range(1, 10):
        average.update(single(float(t)), t)
        if t < 3:
            assert average.network.weight.item() == t
    assert average.network.weight.item() == pytest.approx((3 + 6 + 9) / 3)


def test_no_average_is_the_network():
    average = Averager(single(9.0), "none", 0.9, 3)
    average.update(single(4.0), 5)
    assert average.network.weight.item() == 4


def pictures(n=20, side=4):
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 1), dtype=np.uint8)


def test_an_epoch_shows_every_picture_once_and_the_next_another_order():
    made = pictures()
    batches = Batches(made, 5, 7, Augmentation())

    def epoch(first):
        return torch.cat([batches.real(first + i, step_random(7, first + i)) for i in range(4)])

    whole = to_unit(torch.from_numpy(made)).flatten(1)
    one, two = epoch(0).flatten(1), epoch(4).flatten(1)
    for seen in (one, two):
        assert torch.equal(seen.sort(0).values, whole.sort(0).values)
    assert not torch.equal(one, two)
    assert torch.equal(batches.real(2, step_random(7, 2)), batches.real(2, step_random(7, 2)))


def test_processes_share_the_global_batch():
    made = pictures()
    one = Batches(made, 6, 7, Augmentation(rotation_deg=10))
    parts = [Batches(made, 6, 7, Augmentation(rotation_deg=10), rank, 2) for rank in range(2)]
    whole = one.real(1, step_random(7, 1))
    assert torch.equal(torch.cat([p.real(1, step_random(7, 1)) for p in parts]), whole)
    assert torch.equal(torch.cat([p.normal(3, step_random(7, 1)) for p in parts]), one.normal(3, step_random(7, 1)))


def test_batches_that_cannot_be():
    with pytest.raises(ConfigError, match="5 cannot be shared by 2"):
        Batches(pictures(), 5, 0, Augmentation(), 0, 2)
    with pytest.raises(ConfigError, match="there are 20"):
        Batches(pictures(), 64, 0, Augmentation())


def test_augmentation_off_is_the_picture_in_the_range_of_tanh():
    made = torch.from_numpy(pictures())
    got = augmented(made, Augmentation(), step_random(0, 0))
    torch.testing.assert_close(got, made.permute(0, 3, 1, 2) / 127.5 - 1)


def test_a_right_angle_turns_the_picture(monkeypatch):
    made = torch.from_numpy(pictures(1, 8))
    monkeypatch.setattr("torch.rand", lambda *shape, generator: torch.ones(*shape))  # the most that may be drawn
    got = augmented(made, Augmentation(rotation_deg=90), step_random(0, 0))
    torch.testing.assert_close(got, torch.rot90(to_unit(made), 1, (2, 3)), atol=1e-4, rtol=0)


@given(st.integers(-3, 3), st.integers(-3, 3))
def test_translation_moves_whole_pixels(down, right):
    x = torch.arange(2 * 25.0).view(2, 1, 5, 5)
    got = translated(x, torch.tensor([[down, right], [0, 0]]))
    for i in range(5):
        for j in range(5):
            inside = 0 <= i + down < 5 and 0 <= j + right < 5
            assert got[0, 0, i, j] == (x[0, 0, i + down, j + right] if inside else -1)
    assert torch.equal(got[1], x[1])


def test_progress_tells_tensorboard_and_the_time_left(monkeypatch, tmp_path, capsys):
    told = []

    class SummaryWriter:
        def __init__(self, folder):
            assert folder == str(tmp_path)

        def add_scalar(self, name, value, step):
            told.append((name, value, step))

        def close(self):
            told.append("closed")

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=SummaryWriter))
    clock = iter([100.0, 110.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    progress = Progress(tmp_path, 3610, 10, as_json=False)
    progress.tell({"step": 20, "loss_d": 0.5})
    progress.close()
    assert told == [("loss_d", 0.5, 20), "closed"]
    assert "step 20/3610  loss_d 0.500  0:59:50 left" in capsys.readouterr().err  # 3,590 steps of a second
