"""Docstrings for the site: examples as code, which Markdown would take for quotations and links."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^>>> .*?(?=\n[ \t]*\n|\Z)", re.M | re.S)


class Examples(griffe.Extension):
    """Puts each example of a docstring into a fence."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Go through everything in a package once it is loaded."""
        _fence(pkg)


def _fence(found: griffe.Object) -> None:
    if found.docstring is not None:
        found.docstring.value = EXAMPLE.sub(lambda match: f"```pycon\n{match.group(0)}\n```", found.docstring.value)
    for member in found.members.values():
        if isinstance(member, griffe.Object):
            _fence(member)
