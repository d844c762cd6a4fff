"""Which machine this is: the board, its JetPack and power mode, by the files that NVIDIA's own tools read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from prosthesis.board.boards import JetpackConfig, identify, load_jetpack
from prosthesis.config import names

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine says of itself: ``board`` and ``jetpack`` are names of ours, ``None`` where none fits.

    ``model`` and ``compatibles`` are the device tree's, empty on a PC; ``l4t`` is Jetson Linux, e.g. ``"36.4.3"``.
    """

    model: str
    compatibles: tuple[str, ...]
    l4t: str
    board: str | None
    jetpack: str | None
    power_mode: str
    processor: str

    @property
    def is_jetson(self) -> bool:
        """Whether this is a Jetson at all, known to us or not."""
        return bool(self.l4t) or any("tegra" in entry for entry in self.compatibles)


def this_machine(root: Path = Path("/")) -> Machine:
    """Return what the files under ``root`` say."""
    tree = root / "proc" / "device-tree"
    model = _text(tree / "model")
    compatibles = tuple(entry for entry in _raw(tree / "compatible").split("\0") if entry.strip())
    l4t = _l4t(_text(root / "etc" / "nv_tegra_release"))
    pack = jetpack_of(l4t) if l4t else None
    return Machine(
        model,
        compatibles,
        l4t,
        identify(model, compatibles) if model or compatibles else None,
        pack.name if pack else None,
        _power_mode(root),
        _processor(root),
    )


def jetpack_of(l4t: str) -> JetpackConfig | None:
    """Return the JetPack line that brings this Jetson Linux, ``None`` when none of ours does.

    A release between two of a line's, or newer than its last of the same major and minor, counts as that line's.
    """
    wanted = _version(l4t)
    for name in names("jetpacks"):
        pack = load_jetpack(name)
        first, _, last = pack.l4t.partition(" to ")
        low, high = _version(first), _version(last or first)
        if low <= wanted and (wanted <= high or wanted[:2] == high[:2]):
            return pack
    return None


def _version(text: str) -> Version:
    return tuple(int(part) for part in re.findall(r"\d+", text))


def _l4t(release: str) -> str:
    """Read e.g. ``# R36 (release), REVISION: 4.3, GCID: ...``."""
    found = re.search(r"R(\d+).*?REVISION: ([\d.]+)", release)
    return f"{found[1]}.{found[2]}" if found else ""


def _power_mode(root: Path) -> str:
    """Return nvpmodel's mode by name, e.g. ``25W``: one file has its number, another the names."""
    number = re.search(r"pmode:0*(\d+)", _text(root / "var" / "lib" / "nvpmodel" / "status"))
    if number is None:
        return ""
    named = re.search(rf"POWER_MODEL\s+ID={number[1]}\s+NAME=(\w+)", _text(root / "etc" / "nvpmodel.conf"))
    return named[1] if named else f"mode {number[1]}"


def _processor(root: Path) -> str:
    named = re.search(r"model name\s*: (.*)", _raw(root / "proc" / "cpuinfo"))
    return named[1].strip() if named else ""


def _raw(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _text(path: Path) -> str:
    return _raw(path).strip("\0 \n")
