"""A slow network beside the path: newest item only, results kept, errors heard, threads ended."""

import gc
import subprocess
import sys
import threading
import time

import pytest

from prosthesis.background import Background


class Gate:
    """Work that waits to be let through, so that a test decides what is newest when."""

    def __init__(self):
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.seen = []

    def __call__(self, item):
        self.seen.append(item)
        self.begun.release()
        assert self.go.acquire(timeout=5)
        if isinstance(item, Exception):
            raise item
        return f"result of {item}"


def until(ask, wanted):
    end = time.monotonic() + 5
    while (found := ask()) != wanted and time.monotonic() < end:
        time.sleep(0.001)
    assert found == wanted


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def background(gate):
    made = Background(gate)
    yield made
    gate.go.release(10)
    made.close()


def test_only_the_newest_offered_item_is_worked_on(gate, background):
    background.offer(1)
    assert gate.begun.acquire(timeout=5)
    for item in (2, 3, 4):
        background.offer(item)
    assert background.latest() is None
    gate.go.release()
    until(background.latest, "result of 1")
    gate.go.release()
    until(background.latest, "result of 4")
    assert gate.seen == [1, 4]
    assert background.skipped == 2


def test_a_result_stays_until_there_is_a_newer_one(gate, background):
    gate.go.release()
    background.offer("a")
    until(background.latest, "result of a")
    background.offer("b")
    assert gate.begun.acquire(timeout=5)
    assert gate.begun.acquire(timeout=5)
    assert background.latest() == "result of a"


def test_offering_never_waits_for_the_work(gate, background):
    background.offer(0)
    assert gate.begun.acquire(timeout=5)
    start = time.monotonic()
    for item in range(1000):
        background.offer(item)
    assert time.monotonic() - start < 1.0


@pytest.mark.parametrize("ask", ["offer", "latest"])
def test_an_error_is_raised_once_at_the_next_call_and_the_thread_goes_on(gate, background, ask):
    gate.go.release(2)
    background.offer(RuntimeError("the model is ill"))
    until(lambda: background._desk.error is not None, True)
    with pytest.raises(RuntimeError, match="the model is ill"):
        background.offer("lost") if ask == "offer" else background.latest()
    background.offer("fine")
    until(background.latest, "result of fine")


def test_none_is_an_item_like_any_other(gate, background):
    gate.go.release()
    background.offer(None)
    until(background.latest, "result of None")


def test_closing_ends_the_thread_and_refuses_more():
    background = Background(str)
    background.close()
    background.close()
    assert not background._thread.is_alive()
    with pytest.raises(ValueError, match="closed"):
        background.offer(1)


def test_the_thread_ends_when_nobody_holds_the_object():
    background = Background(str)
    thread = background._thread
    del background
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()


def test_a_program_that_forgets_to_close_ends_well():
    program = "from prosthesis.background import Background as B; b = B(lambda n: sum(range(n))); b.offer(10**6)"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=20)
