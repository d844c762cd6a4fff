"""A study's table as one HTML page with its plots inside, which asks nothing of the network."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from prosthesis.errors import ProsthesisError
from prosthesis_sim.report_page import NOTICE, PAGE, table
from prosthesis_train.study.cell import Row
from prosthesis_train.study.report import AXES, HEADLINES, MOST_ERRORS, draw, grouped, mean_of, said
from prosthesis_train.study.table import tools

TABLE = "table.parquet"


def write_page(study: Path, out: Path | None = None) -> Path:
    """Write the page of a study's folder, or of its ``table.parquet``, as ``out`` (default ``report.html`` beside it).

    Raises ``ProsthesisError`` when there is no table of a study, ``MissingExtraError`` without pyarrow.
    """
    path = study / TABLE if study.is_dir() else study
    rows = _read(path)
    page = out or path.parent / "report.html"
    title, summary = _words(path)
    body = "".join(_sections(rows))
    failed = sum(row["error"] is not None for row in rows)
    subtitle = f"{summary} {len(rows)} cells, {failed} failed.".strip()
    html = PAGE.substitute(title=escape(f"Study: {title}"), subtitle=escape(subtitle), body=body, notice=NOTICE)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(html, encoding="utf-8")
    return page


def _read(path: Path) -> list[Row]:
    pyarrow, parquet = tools()
    try:
        rows: list[Row] = parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        why = " ".join(str(error).split())[:80]
        raise ProsthesisError(f"{path}: no table of a study ({why}); make one with 'prosthesis study'") from error
    missing = {"measure", "of", "patient", "error", *AXES} - set(rows[0] if rows else ())
    if missing:
        raise ProsthesisError(f"{path}: not a study's table, it lacks {', '.join(sorted(missing))}")
    return rows


def _words(path: Path) -> tuple[str, str]:
    """Return the study's name and summary, as the page beside the table has them."""
    beside = path.parent / "summary.md"
    lines = beside.read_text(encoding="utf-8").splitlines() if beside.is_file() else []
    name = lines[0].removeprefix("# Study: ") if lines else path.parent.name
    return name, lines[2] if len(lines) > 2 else ""


def _sections(rows: Sequence[Row]) -> Iterator[str]:
    for (measure, of), group in grouped(rows, ("measure", "of")):
        figures = HEADLINES[measure]
        yield f"<h2>{escape(f'{measure}: {of}')}</h2>{_plot(group, figures[:2], f'{measure}: {of}')}"
        lines = []
        for place, cells in grouped(group, AXES):
            means = [mean_of(cells, figure) for figure in figures]
            named = [escape("world's own" if part is None else str(part) or "none") for part in place]
            lines.append((*named, str(means[0].patients), *(escape(said(mean)) for mean in means)))
        numbers = range(len(AXES), len(AXES) + 1 + len(figures))
        yield table((*AXES, "patients", *figures), lines, numbers=numbers)
        yield "<p>Means over patients, with 95 % bootstrap intervals over them.</p>"
    failed = [row for row in rows if row["error"] is not None]
    if failed:
        told = [(escape(str(row["rig"])), escape(str(row["encoder"])), escape(str(row["error"]))) for row in failed]
        yield f"<h2>Failed</h2>{table(('rig', 'encoder', 'error'), told[:MOST_ERRORS])}"
    made = sorted({f"{row['prosthesis']} (code {row['code']})" for row in rows if row.get("code") is not None})
    yield f"<h2>Made by</h2><p>prosthesis {escape(' and '.join(made))}</p>" if made else ""


def _plot(rows: Sequence[Row], figures: Sequence[str], what: str) -> str:
    shown = [figure for figure in figures if not math.isnan(mean_of(rows, figure).value)]
    if not shown:
        return ""
    picture = io.BytesIO()
    draw(rows, shown).savefig(picture, format="png", dpi=110)
    data = base64.b64encode(picture.getvalue()).decode()
    return f'<img alt="{escape(what)}: {escape(" and ".join(shown))}" src="data:image/png;base64,{data}">'
