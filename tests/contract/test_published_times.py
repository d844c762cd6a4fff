"""The estimator against what others measured; fit and hold-out are apart."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest

from prosthesis_export.estimate.fit import (
    BLACKWELL,
    CORES,
    JETSON,
    expected,
    fit_blackwell,
    fit_cores,
    fit_jetson,
    ratios,
)
from prosthesis_export.estimate.published import CPU, CPU_TEST, FIT, LANES, SEEN, THOR, THOR_TEST, UNSEEN, Measured
from prosthesis_export.estimate.resources import JOULE_PER_OPERATION, fit_energy

HELD_OUT = (*SEEN, *UNSEEN, *THOR_TEST, *CPU_TEST)


def key(item: Measured) -> tuple[str, str, str, str, float]:
    return item.network, item.board, item.mode, item.precision, item.ms


def named(item: Measured) -> str:
    return f"{item.network} {item.board} {item.precision}"


def test_fit_and_hold_out_share_nothing() -> None:
    fitted = {key(item) for item in (*FIT, *LANES, *THOR, *CPU)}
    assert len(fitted) == 12 + 2 + 3 + 5
    assert not fitted & {key(item) for item in HELD_OUT}
    # other networks, or boards that were not fitted to
    fit_pairs = {(item.network, item.board) for item in (*FIT, *LANES, *THOR, *CPU)}
    assert not fit_pairs & {(item.network, item.board) for item in HELD_OUT}


def test_the_twelve_are_within_a_quarter() -> None:
    assert len(FIT) == 12
    assert np.abs(ratios(FIT) - 1).max() < 0.25


@pytest.mark.parametrize(
    ("kept", "found"), [(JETSON, fit_jetson), (BLACKWELL, fit_blackwell), (CORES, fit_cores)], ids=["j", "b", "c"]
)
def test_the_constants_are_what_the_fit_gives(kept: object, found: object) -> None:
    np.testing.assert_allclose(astuple(found()), astuple(kept), rtol=0.01)  # type: ignore[operator, call-overload]


def test_the_energies_are_what_the_fit_gives() -> None:
    for precision, joule in fit_energy().items():
        assert joule == pytest.approx(JOULE_PER_OPERATION[precision], rel=0.05)


@pytest.mark.parametrize("item", [*UNSEEN, *THOR_TEST], ids=named)
def test_times_that_nothing_was_chosen_by_are_inside(item: Measured) -> None:
    assert item.ms in expected(item)


@pytest.mark.parametrize("item", SEEN, ids=named)
def test_times_of_other_networks_and_boards_are_inside_but_for_mobilenets(item: Measured) -> None:
    found = expected(item)
    if "mobilenet" not in item.network:
        assert item.ms in found
    else:
        # what the notes say of depthwise networks
        assert 0.35 < found.middle / item.ms < 1.6


def test_seven_mobilenets_are_outside_as_the_page_says() -> None:
    outside = [item for item in SEEN if item.ms not in expected(item)]
    assert len(outside) == 7
    assert all("mobilenet" in item.network for item in outside)


@pytest.mark.parametrize("item", HELD_OUT[::5], ids=lambda item: item.board)
def test_ranges_are_no_wider_than_said(item: Measured) -> None:
    found = expected(item)
    assert found.high / found.low == pytest.approx(4.0 if item.board == "laptop_cpu" else 2.0)


def test_the_naive_division_would_be_far_off() -> None:
    """Operations over the sparse headline is what vendors' figures suggest; it is off by a factor of ten and more."""
    from prosthesis.board.boards import load_board
    from prosthesis_export.estimate.layers import total_operations
    from prosthesis_export.estimate.networks import NETWORKS

    off = [
        item.ms / (1e3 * total_operations(NETWORKS[item.network]()) / (load_board(item.board).headline_tops() * 1e12))
        for item in FIT
        if item.precision == "int8"
    ]
    assert math.exp(np.mean(np.log(off))) > 10
