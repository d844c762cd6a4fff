"""Every fault of the catalogue, end to end: who must notice it, by which words, how soon, and what electrodes do."""

from __future__ import annotations

import pytest
from helpers import HAND

from prosthesis.config import load_rig
from prosthesis.errors import ConfigError
from prosthesis_sim.drill import Drill, standard
from prosthesis_sim.faults import CATALOGUE, Kind, load_faults, parse_fault
from prosthesis_sim.faults.board import FaultBoard
from prosthesis_sim.simulate import obey


@pytest.fixture(scope="module")
def rig():
    return load_rig(HAND)


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.value)
def test_it_is_noticed_in_time_and_ends_as_it_must(rig, kind):
    record, wanted = Drill(rig, standard(kind)).run(), CATALOGUE[kind]
    assert record.outcome is wanted.outcome
    assert record.as_expected, f"noticed after {record.noticed_ms} ms, must be within {wanted.within_ms} ms"


def test_every_kind_is_in_the_catalogue():
    assert set(CATALOGUE) == set(Kind)


def test_the_same_fault_twice_is_the_same_story(rig):
    records = [Drill(rig, standard(Kind.MISALIGNMENT), seed=3).run() for _ in range(2)]
    assert records[0] == records[1]


def test_words_and_yaml_say_the_same(tmp_path):
    file = tmp_path / "faults.yaml"
    file.write_text("faults:\n  - {kind: open, electrodes: [3, 4], onset_s: 1, duration_s: 0.5}\n")
    assert load_faults(file) == (parse_fault("open electrodes=3,4 onset_s=1 duration_s=0.5"),)


@pytest.mark.parametrize("words", ["nothing", "open electrodes", "open colour=red", "open onset_s=-1"])
def test_a_fault_that_is_none_is_said_in_one_line(words):
    with pytest.raises(ConfigError, match="fault '"):
        parse_fault(words)


def test_faults_come_and_go_while_it_runs():
    board = FaultBoard((), 0)
    assert "begins in 1 s" in obey("dead electrodes=0 onset_s=1 duration_s=1", board, 5_000_000_000)
    assert [len(board.active(t * 1_000_000_000)) for t in (5, 6, 7)] == [0, 1, 0]
    assert board.next_change_ns(5_000_000_000) == 6_000_000_000
    obey("clear", board, 0)
    assert not board.active(6_500_000_000)
    assert "fault 'nonsense'" in obey("nonsense", board, 0)
