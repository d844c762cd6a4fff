"""The site's hooks for mkdocs: the reference from code, notebooks as pages, links that leave docs/, the menu's rest.

Pages under docs/ are also read on a forge, so they link to code and notebooks by relative path; here such links are
turned to the pages made of them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))
from notebooks import as_markdown, pictures_of

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
ROOMS = {"Device": "prosthesis", "World": "sim/prosthesis_sim", "Desk": "train/prosthesis_train"} | {
    "Delivery": "export/prosthesis_export"
}
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s#]+)(#[^)\s]*)?(\))")
FENCE = re.compile(r"^```(\w+) (?:file=(\S+)|.*)$", re.MULTILINE)  # more words are for the test of guides
LANGUAGES = {".c": "c", ".yaml": "yaml", ".yml": "yaml", ".py": "python", ".toml": "toml"}
Menu = list[Any]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add to the menu: the guides, the pages that it does not name, and the reference."""
    assert config.nav is not None
    config.nav.extend(_section("Guides", sorted(DOCS.glob("guides/*.md"))))
    named = set(_named(config.nav))
    rest = [path for path in _pages() if path.relative_to(DOCS).as_posix() not in named]
    config.nav.extend(_section("More", rest))
    config.nav.append({"Reference": [{title: _modules(room)} for title, room in ROOMS.items()]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every module and notebook, and for every other file that a page links to."""
    for room in ROOMS.values():
        for path in _public(room):
            name = _dotted(path)
            files.append(File.generated(config, _reference(path), content=f"# `{name}`\n\n::: {name}\n"))
    for path in sorted(DOCS.glob("course/*.ipynb")):
        page = path.relative_to(DOCS).with_suffix(".md").as_posix()
        files.append(File.generated(config, page, content=as_markdown(path)))
        for name, png in pictures_of(path).items():
            files.append(File.generated(config, f"course/{name}", content=png))
    for path in sorted(_linked()):
        files.append(File.generated(config, _source(path), content=_listing(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to code, notebooks and other files outside docs/ to the pages made of them; title files in fences."""
    here = (DOCS / page.file.src_uri).parent
    up = "../" * page.file.src_uri.count("/")

    def turned(match: re.Match[str]) -> str:
        before, link, anchor, after = match.groups()
        target = None if "://" in link else _target((here / link).resolve())
        return match.group(0) if target is None else f"{before}{up}{target}{anchor or ''}{after}"

    def titled(match: re.Match[str]) -> str:
        return f"```{match[1]}" + (f' title="{match[2]}"' if match[2] else "")

    return FENCE.sub(titled, LINK.sub(turned, markdown))


def _target(path: Path) -> str | None:
    """Return the page made of a file, or ``None`` when it is on the site as it is."""
    if path.suffix == ".ipynb" and path.is_relative_to(DOCS):
        return path.relative_to(DOCS).with_suffix(".md").as_posix()
    if path.is_relative_to(DOCS) or not path.is_relative_to(ROOT) or not path.exists():
        return None
    if path.is_dir():
        if (path / "__init__.py").is_file():
            return _reference(path / "__init__.py")
        return _source(path / "README.md") if (path / "README.md").is_file() else _source(path)
    return _reference(path) if _in_reference(path) else _source(path)


def _linked() -> Iterator[Path]:
    """Yield every file or folder outside docs/ that a page links to and the reference does not have."""
    found = set()
    for page in _pages():
        for match in LINK.finditer(page.read_text(encoding="utf-8")):
            path = (page.parent / match.group(2)).resolve()
            if "://" in match.group(2) or path.is_relative_to(DOCS) or not path.exists() or _in_reference(path):
                continue
            if path.is_dir():
                if (path / "__init__.py").is_file():
                    continue
                path = path / "README.md" if (path / "README.md").is_file() else path
            found.add(path)
    yield from found


def _listing(path: Path) -> str:
    name = path.relative_to(ROOT).as_posix()
    if path.is_dir():
        inside = sorted(child.name + "/" * child.is_dir() for child in path.iterdir() if child.name[0] not in "._")
        return f"# `{name}/`\n\n" + "\n".join(f"- `{child}`" for child in inside) + "\n"
    text = path.read_text(encoding="utf-8")
    return f"# `{name}`\n\n~~~~{LANGUAGES.get(path.suffix, 'text')}\n{text.rstrip()}\n~~~~\n"


def _source(path: Path) -> str:
    return f"source/{path.relative_to(ROOT).as_posix().replace('.', '-')}.md"


def _pages() -> list[Path]:
    return [path for path in sorted(DOCS.rglob("*.md")) if "tools" not in path.parts]


def _named(menu: Menu) -> Iterator[str]:
    for item in menu:
        if isinstance(item, dict):
            for value in item.values():
                yield from [value] if isinstance(value, str) else _named(value)
        else:
            yield item


def _section(title: str, pages: list[Path]) -> Menu:
    return [{title: [path.relative_to(DOCS).as_posix() for path in pages]}] if pages else []


def _in_reference(path: Path) -> bool:
    return any(path in _public(room) for room in ROOMS.values())


def _public(room: str) -> list[Path]:
    return [path for path in sorted((ROOT / room).rglob("*.py")) if path.stem != "__main__"]


def _dotted(path: Path) -> str:
    room = next(ROOT / room for room in ROOMS.values() if path.is_relative_to(ROOT / room))
    parts = path.relative_to(room.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _reference(path: Path) -> str:
    page = "reference/" + _dotted(path).replace(".", "/")
    return f"{page}/index.md" if path.stem == "__init__" else f"{page}.md"


def _modules(room: str) -> Menu:
    """Return a room's menu: its own modules first, then a section for each package in it."""

    def inside(folder: Path) -> Menu:
        menu: Menu = [_reference(folder / "__init__.py")]
        menu += [
            {path.stem: _reference(path)}
            for path in sorted(folder.glob("*.py"))
            if path.stem not in ("__init__", "__main__")
        ]
        packages = sorted(child.parent for child in folder.glob("*/__init__.py"))
        return menu + [{package.name: inside(package)} for package in packages]

    return inside(ROOT / room)
