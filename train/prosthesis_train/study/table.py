"""All rows of a study as one table: a parquet file that every data tool reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prosthesis.errors import MissingExtraError
from prosthesis_train.study.cell import Row

TEXT = ("key", "measure", "of", "encoder", "rig", "link", "error", "machine")
WHOLE = ("patient", "seed")


def tools() -> tuple[Any, Any]:
    """Return pyarrow and its parquet module; raises ``MissingExtraError``."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("tables of studies need pyarrow: pip install 'prosthesis[study]'") from error
    return pyarrow, parquet


def write_table(rows: Sequence[Row], path: Path) -> None:
    """Write rows in their order; a column that a row lacks is null there. Raises ``MissingExtraError``."""
    pyarrow, parquet = tools()
    names = list(dict.fromkeys(name for row in rows for name in row))
    types = {"text": pyarrow.string(), "whole": pyarrow.int64(), "real": pyarrow.float64()}
    schema = pyarrow.schema([(name, types[_kind(name, [row.get(name) for row in rows])]) for name in names])
    half = path.with_suffix(".part")
    parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows], schema=schema), half)
    half.replace(path)


def _kind(name: str, values: Sequence[Any]) -> str:
    if name in TEXT or any(isinstance(value, str) for value in values):
        return "text"
    return "whole" if name in WHOLE else "real"
