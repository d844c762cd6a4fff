"""People take their time and mistype: what they look for is shown all the same, what they type is checked at once."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from lab import Wired

from prosthesis.calibration.calibrate import Bench, calibrate
from prosthesis.calibration.participant import KeyboardParticipant, RemoteParticipant
from prosthesis.calibration.procedure import Plan, Trial
from prosthesis.errors import LinkError, ProsthesisError
from prosthesis.links.keys import load_keys, make_keys

S = 1_000_000_000


class Slow:
    """Somebody who takes ``pause_s`` over every question, and over looking."""

    def __init__(self, person, clock, pause_s):
        self.person, self.clock, self.pause_s = person, clock, pause_s

    def _after_a_pause(self, answer):
        self.clock.advance(int(self.pause_s * S))
        return answer()

    def attend(self):
        self._after_a_pause(self.person.attend)

    def seen(self):
        return self._after_a_pause(self.person.seen)

    def point(self):
        return self._after_a_pause(self.person.point)

    def rate(self):
        return self._after_a_pause(self.person.rate)


@pytest.mark.parametrize("pause_s", [0.0, 0.3, 0.6, 30.0])
def test_whoever_takes_their_time_is_shown_every_train(hand_rig, pause_s):
    wired = Wired(hand_rig)
    bench = Bench(hand_rig, wired.session, Slow(wired.emulator.participant, wired.clock, pause_s), wired.clock, Plan())
    assert [bench.ask(i, Trial(40.0, "seen")).seen for i in range(4)] == [True] * 4
    assert bench.ask(1, Trial(40.0, "point")).place == pytest.approx((5, 1))
    assert not bench.ask(2, Trial(10.0, "seen")).seen


def test_slow_answers_give_the_thresholds_that_quick_ones_give(hand_rig):
    wired = Wired(hand_rig)
    slow = Slow(wired.emulator.participant, wired.clock, 0.6)
    made = calibrate(hand_rig, wired.session, slow, wired.clock, Plan(recovery_s=0.0), [0, 3])
    assert made.enabled == (True, False, False, True)
    assert [made.threshold_ua[i] for i in (0, 3)] == pytest.approx([26.2] * 2, rel=0.06)


def test_what_is_left_of_the_last_phosphene_is_not_the_answer_to_the_next(hand_rig):
    wired = Wired(hand_rig)
    bench = Bench(hand_rig, wired.session, wired.emulator.participant, wired.clock, Plan())
    assert bench.ask(0, Trial(60.0, "seen")).seen
    assert not bench.ask(1, Trial(10.0, "seen")).seen


def test_an_electrode_rests_between_its_trials(hand_rig):
    wired = Wired(hand_rig)
    person, asked_ns = wired.emulator.participant, []
    quick = Slow(person, wired.clock, 0.0)
    quick.seen = lambda: asked_ns.append(wired.clock.now_ns()) or person.seen()
    calibrate(hand_rig, wired.session, quick, wired.clock, Plan(recovery_s=60.0), [1])
    assert len(asked_ns) > 10
    assert np.diff(asked_ns).min() >= 60 * S


@pytest.fixture
def typed(monkeypatch):
    """Type these lines at the prompt, then close standard input."""

    def say(*lines):
        left = list(lines)

        def read(prompt=""):
            if not left:
                raise EOFError
            return left.pop(0)

        monkeypatch.setattr(builtins, "input", read)
        return left

    return say


@pytest.mark.parametrize("wrong", ["nan nan", "inf 0", "0 -inf", "1e308 0", "181 0", "3", "1 2 3", "a b"])
def test_a_place_that_is_none_is_asked_again(typed, wrong):
    left = typed(wrong, "3 -1.5")
    assert KeyboardParticipant().point() == (3.0, -1.5)
    assert not left


def test_an_empty_place_is_nowhere(typed):
    typed("")
    assert KeyboardParticipant().point() is None


@pytest.mark.parametrize("wrong", ["", "²", "nan", "inf", "-1", "11", "bright"])
def test_a_brightness_that_is_none_is_asked_again(typed, wrong):
    left = typed(wrong, "7.5")
    assert KeyboardParticipant().rate() == 0.75
    assert not left


def test_seen_is_yes_or_no_and_anything_else_is_asked_again(typed):
    left = typed("u", "yes", "N", "")
    assert [KeyboardParticipant().seen() for _ in range(3)] == [True, False, False]
    assert not left


@pytest.mark.parametrize("question", ["attend", "seen", "point", "rate"])
def test_a_closed_input_is_said_in_one_line(typed, question):
    typed()
    with pytest.raises(ProsthesisError, match=r"^standard input ended .* nothing was saved; [^\n]*$"):
        getattr(KeyboardParticipant(), question)()


@pytest.mark.parametrize(
    ("question", "answer"),
    [("point", (True, float("nan"), 0.0)), ("point", (True, 0.0, 1e9)), ("rate", (True, 1.5, 0.0))],
)
def test_a_keypad_that_answers_nonsense_is_named_at_once(monkeypatch, tmp_path, question, answer):
    make_keys(tmp_path)
    monkeypatch.setenv("PROSTHESIS_KEYS", str(tmp_path))
    keypad = RemoteParticipant("127.0.0.1", 1, load_keys("device"))
    monkeypatch.setattr(keypad, "_ask", lambda asked: answer)
    with pytest.raises(LinkError, match=r"the keypad at tcp://127\.0\.0\.1:\d+ answered "):
        getattr(keypad, question)()
    keypad.close()
