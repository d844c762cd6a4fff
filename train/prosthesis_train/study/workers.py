"""Who measures the cells: this process, some processes of this machine, or a Dask cluster. All return the same rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TYPE_CHECKING, TypeAlias

from prosthesis.errors import LinkError, MissingExtraError, ProsthesisError
from prosthesis_train.study.cell import Row, row_of
from prosthesis_train.study.plan import Cell

if TYPE_CHECKING:
    from distributed import Client

# (key, cell) in, rows out as they come
Work: TypeAlias = Sequence[tuple[str, Cell]]
Say: TypeAlias = Callable[[str], None]
ANSWER_S = 10
# numerical libraries would take a thread for each core in each worker
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def here(work: Work) -> Iterator[Row]:
    """Measure in this process, one after the other."""
    for key, cell in work:
        yield row_of(cell.encode(), key)


def processes(work: Work, count: int) -> Iterator[Row]:
    """Measure in ``count`` processes of this machine; ``ProsthesisError`` when one of them dies."""
    for name in THREADS:
        os.environ.setdefault(name, "1")
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        pending = [pool.submit(row_of, cell.encode(), key) for key, cell in work]
        try:
            for future in as_completed(pending):
                yield future.result()
        except BrokenProcessPool as error:
            raise ProsthesisError("a worker process died; what was finished is kept, run again to go on") from error
        finally:
            for future in pending:
                future.cancel()


def cluster(work: Work, scheduler: str, say: Say) -> Iterator[Row]:
    """Measure on the workers of the Dask ``scheduler``; the cells of a worker that dies are measured by another.

    Raises ``LinkError`` when the scheduler does not answer.
    """
    try:
        from distributed import as_completed as finished
    except ImportError as error:
        raise MissingExtraError("--scheduler needs Dask distributed: pip install 'prosthesis[study]'") from error
    with _client(scheduler) as client:
        count = len(client.scheduler_info(n_workers=-1)["workers"])
        say(f"{count} workers at {scheduler}" + ("; waiting for the first" if not count else ""))
        keys = {f"study-{key}": (key, cell) for key, cell in work}
        pending = [client.submit(row_of, cell.encode(), key, key=name) for name, (key, cell) in keys.items()]
        for future in finished(pending, loop=client.loop):
            key, cell = keys[future.key]
            if future.status == "finished":
                yield future.result()
            else:
                problem = future.exception()
                yield {"key": key} | cell.described() | {"error": f"{type(problem).__name__}: {problem}"}
            # kept by now: a worker that dies later need not measure it again
            future.release()


def _client(scheduler: str) -> Client:
    from distributed import Client

    try:
        return Client(scheduler, timeout=ANSWER_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise LinkError(f"no Dask scheduler answers at {scheduler}; start one with 'dask scheduler'") from error
