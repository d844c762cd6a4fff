"""The documentation: links lead somewhere, the course is what its sources say, the site builds."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
SOURCES = sorted((DOCS / "course").glob("[0-9]*.py"))
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
FENCE = re.compile(r"^ *(```|~~~).*?^ *\1 *$", re.M | re.S)
MOST_KB = 400
# what a notebook needs that no wheel brings; without it, it is not run
FASHION = ("01", "02", "03", "04", "05")


def links(page: Path) -> list[str]:
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text(encoding="utf-8")))
    return [a or b for a, b in LINK.findall(prose)]


def anchors(page: Path) -> set[str]:
    """Return the anchors that a forge gives the page's headings."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def cells(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def text(cell: dict) -> str:
    return "".join(cell["source"])


def wheel(*needed: str) -> None:
    for name in needed:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed; pip install 'prosthesis[docs]'")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_and_picture_of_a_page_is_there(page: Path) -> None:
    missing = []
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            missing.append(link)
    assert missing == []


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_the_start_page_leads_to_every_page(page: Path) -> None:
    assert page.name == "README.md" or f"({page.name})" in (DOCS / "README.md").read_text(encoding="utf-8")


def test_the_menu_names_only_pages_that_exist() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    named = re.findall(r"([\w/-]+)\.md$", menu, re.M)
    assert len(named) > 40
    absent = [name for name in named if not any((DOCS / f"{name}{end}").is_file() for end in (".md", ".ipynb"))]
    assert absent == []


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_notebook_is_its_source_run_without_an_error(source: Path) -> None:
    notebook = source.with_suffix(".ipynb")
    assert notebook.stat().st_size < MOST_KB * 1000
    run = [cell for cell in cells(notebook) if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in run)
    outputs = [output for cell in run for output in cell["outputs"]]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 4
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
    assert str(ROOT.parent) not in notebook.read_text(encoding="utf-8")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_notebook_says_what_its_source_says(source: Path) -> None:
    said = [text(cell) for cell in cells(source.with_suffix(".ipynb"))]
    parts = re.split(r"^# %%(.*)\n", source.read_text(encoding="utf-8"), flags=re.M)[1:]
    meant = []
    for kind, body in zip(parts[::2], parts[1::2], strict=True):
        lines = body.strip().splitlines()
        prose = "markdown" in kind
        meant.append("\n".join(re.sub(r"^# ?", "", line) if prose else line for line in lines))
    assert said == meant


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_notebook_has_exercises_with_answers_and_draws_with_what_a_student_may_use(source: Path) -> None:
    whole = source.read_text(encoding="utf-8")
    tasks, answers = whole.split("## Exercises")[1].split("## Answers")
    assert len(re.findall(r"^# \d\. ", tasks, re.M)) >= 3
    for number in (1, 2, 3):
        assert re.search(rf"{number}\\?\.", answers)
    assert "from prosthesis" in whole


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_notebook_runs(source: Path, tmp_path: Path) -> None:
    wheel("matplotlib", "torch", "onnxruntime")
    if source.stem[:2] in FASHION:
        from prosthesis.errors import ProsthesisError
        from prosthesis_train.data.fashion import fashion

        try:
            fashion()
        except ProsthesisError as error:
            pytest.skip(str(error))
    # as a script: the same code without a kernel; what a notebook shows last is not shown here
    script = re.sub(r"^from IPython.*$", "Markdown = str", source.read_text(encoding="utf-8"), flags=re.M)
    (tmp_path / source.name).write_text(script, encoding="utf-8")
    path = os.pathsep.join([str(source.parent), *sys.path])
    environment = {**os.environ, "MPLBACKEND": "agg", "PYTHONPATH": path}
    command = [sys.executable, str(tmp_path / source.name)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    wheel("mkdocs", "material", "mkdocstrings", "jupytext")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    for page in ("index.html", "concepts/index.html", "course/04_the_bijection/index.html", "gallery/index.html"):
        assert (tmp_path / page).stat().st_size > 5000
    reference = (tmp_path / "reference/prosthesis/safety/index.html").read_text(encoding="utf-8")
    assert "The one place that decides what leaves the device" in reference
    guard = (tmp_path / "guard/index.html").read_text(encoding="utf-8")
    assert "reference/prosthesis/safety/" in guard  # a link to code leads to the reference
