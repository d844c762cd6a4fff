"""Write the lists of the shipped arrays into their YAML files: ``python -m prosthesis_sim.electrodes.write``.

Only points and values that differ between contacts; grids and single numbers are written by hand, with their comments.
A test holds every file against its family's module.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping
from types import MappingProxyType

from prosthesis.config import PointsLayout, config_root
from prosthesis.errors import ConfigError
from prosthesis_sim.electrodes import (
    alpha,
    argus,
    gennaris,
    grids,
    imie,
    orion,
    photovoltaic,
    suprachoroidal,
    threads,
    utah,
    wfma,
)
from prosthesis_sim.electrodes.geometry import Geometry

# file in hardware_configs/implants: its geometry
SHIPPED: Mapping[str, Callable[[], Geometry]] = MappingProxyType(
    {
        "alpha_ams1600": alpha.alpha_ams1600,
        "alpha_ims1500": alpha.alpha_ims1500,
        "argus1": argus.argus1,
        "argus2": argus.argus2,
        "gennaris43": gennaris.gennaris43,
        "grid100": grids.grid100,
        "hex100": grids.hex100,
        "imie256": imie.imie256,
        "orion60": orion.orion60,
        "prima378": photovoltaic.prima378,
        "suprachoroidal33": suprachoroidal.suprachoroidal33,
        "suprachoroidal44": suprachoroidal.suprachoroidal44,
        "thread32": threads.thread,
        "utah64": utah.utah64,
        "utah96": utah.neuroport96,
        "wfma16": wfma.wfma16,
    }
)


def with_lists(text: str, geometry: Geometry) -> str:
    """Return a file's text with the lists as ``geometry`` has them; ``ConfigError`` where it has no place for one.

    A list stands between ``key: [`` and a ``]`` at the key's own indent.
    """
    lists: list[tuple[str, list[str]]] = []
    if isinstance(geometry.layout, PointsLayout):
        lists.append(("xy_um", [f"[{x:g},~{y:g}]" for x, y in geometry.layout.xy_um]))
    for key, values in (("area_um2", geometry.area_um2), ("depth_um", geometry.depth_um)):
        if isinstance(values, tuple):
            lists.append((key, [f"{value:g}" for value in values]))
    for key, items in lists:
        # wrapped between items only: a point's own space is hidden until then
        body = textwrap.fill(", ".join(items), 116, initial_indent="    ", subsequent_indent="    ").replace("~", " ")
        text, found = re.subn(rf"(?ms)^(  {key}: \[[^\n]*\n).*?^(  \])", rf"\g<1>{body}\n\g<2>", text)
        if found != 1:
            raise ConfigError(f"key '{key}': no list to replace; write '  {key}: [', a line break and '  ]'")
    return text


def main() -> None:
    """Rewrite the lists of every shipped array."""
    for name, family in SHIPPED.items():
        path = config_root() / "implants" / f"{name}.yaml"
        path.write_text(with_lists(path.read_text(encoding="utf-8"), family()), encoding="utf-8")


if __name__ == "__main__":
    main()
