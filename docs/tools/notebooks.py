"""The course's notebooks: ``python docs/tools/notebooks.py`` runs docs/course/*.py and writes each one's .ipynb.

Sources are Python in the percent format, so that they are read and reviewed as text; notebooks are what a forge and the
site show. Nothing else makes them, so the text of both always agrees (a test compares them).
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

COURSE = Path(__file__).resolve().parents[1] / "course"
TIMEOUT_S = 300
COLOURS = 96  # of a picture: it is small in the repository, and its grays are still smooth
Cell = dict[str, Any]


def sources() -> list[Path]:
    """Return the course's sources in order."""
    return sorted(COURSE.glob("[0-9]*.py"))


def run(source: Path) -> Path:
    """Run a source in a fresh kernel and write the notebook beside it; return its path."""
    import jupytext
    import nbformat
    from jupyter_client.manager import KernelManager
    from nbclient import NotebookClient

    notebook = jupytext.read(source, fmt="py:percent")
    # by files rather than ports, which any process of the machine could open
    with tempfile.TemporaryDirectory() as folder:
        kernel = KernelManager(kernel_name="python3", transport="ipc", ip=f"{folder}/kernel")
        try:
            NotebookClient(notebook, km=kernel, timeout=TIMEOUT_S, resources=_in(COURSE)).execute()
        finally:
            kernel.shutdown_kernel(now=True)
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook.metadata |= {"language_info": {"name": "python"}}
    notebook.cells = [_steady(cell, number) for number, cell in enumerate(notebook.cells)]
    path = source.with_suffix(".ipynb")
    nbformat.write(notebook, path)
    return path


def rewrite(source: Path) -> Path:
    """Take a source's prose over into its notebook, whose code must be the same; its outputs stay."""
    import jupytext
    import nbformat

    path = source.with_suffix(".ipynb")
    notebook, meant = nbformat.read(path, as_version=4), jupytext.read(source, fmt="py:percent").cells
    if [_code(cell) for cell in notebook.cells] != [_code(cell) for cell in meant]:
        raise SystemExit(f"{source.name}: its code has changed too; run it without --prose")
    for cell, new in zip(notebook.cells, meant, strict=True):
        cell.source = new.source
    nbformat.write(notebook, path)
    return path


def _code(cell: Any) -> str:
    return str(cell.source) if cell.cell_type == "code" else ""


def _in(folder: Path) -> dict[str, Any]:
    return {"metadata": {"path": str(folder)}}


def _steady(cell: Any, number: int) -> Any:
    """Return a cell without what differs from run to run (id, time stamps), its pictures in few colours."""
    cell.id, cell.metadata = f"cell-{number}", {}
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "image/png" in data:
            output.data = {"image/png": _small(data["image/png"])}
            output.metadata = {}
    return cell


def _small(png: str) -> str:
    from PIL import Image

    out = io.BytesIO()
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(out, "png", optimize=True)
    return base64.b64encode(out.getvalue()).decode()


def as_markdown(notebook: Path) -> str:
    """Return a run notebook as a page: prose, code, and what the code printed or drew."""
    out = []
    for number, cell in enumerate(_cells(notebook)):
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            out.append(text)
            continue
        out.append(f"```python\n{text}\n```")
        for output in cell["outputs"]:
            out += list(_shown(output, notebook, number))
    return "\n\n".join(out) + "\n"


def _shown(output: Cell, notebook: Path, number: int) -> Iterator[str]:
    data = output.get("data", {})
    if "image/png" in data:
        yield f"![figure of the cell above]({_name(notebook, data['image/png'])})"
    elif "text/markdown" in data:
        yield "".join(data["text/markdown"])
    elif text := "".join(output.get("text", data.get("text/plain", ""))).rstrip():
        yield f"```text\n{text}\n```"


def pictures_of(notebook: Path) -> dict[str, bytes]:
    """Return every picture in a run notebook by the name that its page gives it."""
    found = {}
    for cell in _cells(notebook):
        for output in cell.get("outputs", []):
            if png := output.get("data", {}).get("image/png"):
                found[_name(notebook, png)] = base64.b64decode(png)
    return found


def _name(notebook: Path, png: str) -> str:
    return f"{notebook.stem}-{hashlib.sha256(png.encode()).hexdigest()[:10]}.png"


def _cells(notebook: Path) -> list[Cell]:
    cells: list[Cell] = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return cells


def main() -> None:
    """Run the course, or the notebooks that are named."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*", help="beginnings of names, e.g. 00 03 (default: all)")
    parser.add_argument("--prose", action="store_true", help="only take changed prose over; outputs stay")
    asked = parser.parse_args()
    # no debugger's warning, and nothing of the machine's in the outputs
    os.environ |= {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    for source in sources():
        if not asked.names or any(source.name.startswith(name) for name in asked.names):
            start, before = time.perf_counter(), os.times()
            path, after = (rewrite if asked.prose else run)(source), os.times()
            cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
            took = f"{time.perf_counter() - start:.0f} s, {cpu_s:.0f} s of CPU"
            sys.stdout.write(f"{path.name}: {took}, {path.stat().st_size / 1e3:.0f} kB\n")


if __name__ == "__main__":
    main()
