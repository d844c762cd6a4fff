"""Changes the guard one small thing at a time, and asks its tests to notice each: ``python tests/mutants.py``.

Every comparison, operator, constant, condition and name of a function of least and most is changed on its own, in a
process of its own. Exit code 1 if a change goes unnoticed that is not listed below as making no difference.
"""

from __future__ import annotations

import ast
import copy
import importlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = {"safety": "tests/unit/test_guard_rules.py", "glance": "tests/property/test_glance.py"}
LIMIT_S = 300
COMPARE = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Is: ast.IsNot, ast.Eq: ast.NotEq}
ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.BitAnd: ast.BitOr,
              ast.BitOr: ast.BitAnd}  # fmt: skip
NAMES = {"minimum": "maximum", "maximum": "minimum", "min": "max", "max": "min", "floor": "ceil"}
# changes that make no difference, by the text of the line and of the change, each with the reason
QUICK = "a first glance only decides whether to look closely, with the same result"
EQUAL = "a value equal to its limit and its slack, which no step of a DAC is"
EQUIVALENT: dict[tuple[str, str], str] = {
    ("if dt_s > driven_s:", "Gt -> GtE"): "no time is left to leak in: times exp(0)",
    ("finite = np.isfinite(amplitude + width + rate)", "Add -> Sub"): "a difference is as finite as a sum",
    ("over = asked > above", "Gt -> GtE"): EQUAL,
    ("slot = np.where(good, p.slot, 0).astype(np.uint8)", "0 -> 1"): "what is silent counts in no slot",
    (
        "self.known = [KnownCap(c, above, float(np.min(above)), not np.ndim(above + c.in_unit)) for c, above in news]",
        "Add -> Sub",
    ): "a difference has as many dimensions as a sum",
    ("return self._round_down(amplitude * np.minimum(scale, 1.0)[slot], amplitude)", "1.0 -> 3.0"): (
        "rounding gives no more than was asked for"
    ),
    (
        "worst = most_nc * cap.in_unit if by_charge and same else (asked * cap.in_unit)[over].max()",
        "if -> if False",
    ): QUICK,
    ('if (by_charge := cap.unit != "uA") and most_nc <= least:', "LtE -> Lt"): QUICK,
    ("if most_of(coming) <= near.average_nc_per_s:", "LtE -> Lt"): QUICK,
    ("if most_of(coming) <= near.average_nc_per_s:", "if -> if False"): QUICK,
    ("if self._seen is None or key != self._seen.key:", "if -> if True"): QUICK,
    ("if self._any_sum:", "if -> if True"): QUICK,
    ("if session_uc > near.session_uc:", "Gt -> GtE"): QUICK,
    ("if not (seen.plain and least_of(p.amplitude_ua) >= 0 and most < NONSENSE):", "GtE -> Gt"): QUICK,
    (
        "fits = most_of(rate) <= self._near.rate_hz and most_of(counts) <= self._near.simultaneous",
        "LtE -> Lt",
    ): QUICK,
    ("self._any_dose = self._any_sum or near.average_nc_per_s < math.inf", "Lt -> LtE"): QUICK,
    ("if amplitude.sum() > near.total_current_ua or coming.sum() > near.array_nc_per_s:", "Gt -> GtE"): QUICK,
    (
        "0 < least_of(width) == most_of(width) < NONSENSE and 0 <= least_of(rate) == most_of(rate) < NONSENSE",
        "0 -> 1",
    ): QUICK,
    ("if not (seen.plain and least_of(p.amplitude_ua) >= 0 and most < NONSENSE):", "Lt -> LtE"): QUICK,
    ("if not (seen.plain and least_of(p.amplitude_ua) >= 0 and most < NONSENSE):", "0 -> 1"): QUICK,
    ("width_us, rate_hz = float(seen.width[0]), float(seen.rate[0])", "0 -> 1"): "all electrodes pulse alike there",
    (
        "0 < least_of(width) == most_of(width) < NONSENSE and 0 <= least_of(rate) == most_of(rate) < NONSENSE",
        "LtE -> Lt",
    ): QUICK,
    (
        "if most * per_nc > self._near_nc or most * per_ua * self._limits.mismatch > near.net_current_na:",
        "Gt -> GtE",
    ): QUICK,
    ("if most_of(np.bincount(seen.slot, allowed)) > near.slot_current_ua:", "Gt -> GtE"): QUICK,
    (
        "self._any_sum = min(near.total_current_ua, near.array_nc_per_s, near.session_uc) < math.inf",
        "Lt -> LtE",
    ): QUICK,
    ("if most * per_nc > self._least_nc:", "Gt -> GtE"): QUICK,
    ("NONSENSE = 1e30  # sums of larger values are not finite in float32", "1e+30 -> 2e+30"): QUICK,
    ("if most * per_nc > self._least_nc:", "if -> if True"): QUICK,
    ("if worst > most * NEWS:", "Gt -> GtE"): EQUAL,
    ("over = values > most * NEWS", "Gt -> GtE"): EQUAL,
    ("return bool(worst > hard * NEWS)", "Gt -> GtE"): EQUAL,
    (
        "amplitude = np.where(coming > self._limits.hard.average_nc_per_s * NEWS, 0.0, amplitude)",
        "Gt -> GtE",
    ): EQUAL,
}


def sites(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Yield (number of the node, what to do with it, what is said of it) for every possible change."""
    for number, node in enumerate(ast.walk(tree)):
        match node:
            case ast.Compare(ops=[op, *_]) if type(op) in COMPARE:
                yield number, "compare", f"{type(op).__name__} -> {COMPARE[type(op)].__name__}"
            case ast.BinOp(op=op) if type(op) in ARITHMETIC and not isinstance(op, ast.BitOr):  # nor annotations
                yield number, "operator", f"{type(op).__name__} -> {ARITHMETIC[type(op)].__name__}"
            case ast.AugAssign(op=op) if type(op) in ARITHMETIC:
                yield number, "operator", f"{type(op).__name__}= -> {ARITHMETIC[type(op)].__name__}="
            case ast.BoolOp(op=op):
                yield number, "bool", f"{type(op).__name__} -> the other"
            case ast.Constant(value=value) if isinstance(value, (int, float)) and not isinstance(value, bool):
                yield number, "constant", f"{value} -> {value * 2 + 1}"
            case ast.Attribute(attr=name) | ast.Name(id=name) if name in NAMES:
                yield number, "name", f"{name} -> {NAMES[name]}"
            case ast.If() | ast.IfExp():
                yield number, "never", "if -> if False"
                yield number, "always", "if -> if True"
            case ast.UnaryOp(op=ast.Not() | ast.Invert() | ast.USub()):
                yield number, "unary", f"{type(node.op).__name__} dropped"
            case _:
                pass


def changed(tree: ast.Module, number: int, what: str) -> tuple[ast.Module, int]:
    """Return a copy of ``tree`` with node ``number`` changed, and the node's line."""
    tree = copy.deepcopy(tree)
    node = list(ast.walk(tree))[number]
    match what, node:
        case "compare", ast.Compare():
            node.ops[0] = COMPARE[type(node.ops[0])]()
        case "operator", ast.BinOp() | ast.AugAssign():
            node.op = ARITHMETIC[type(node.op)]()
        case "bool", ast.BoolOp():
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case "constant", ast.Constant():
            node.value = node.value * 2 + 1
        case "name", ast.Attribute():
            node.attr = NAMES[node.attr]
        case "name", ast.Name():
            node.id = NAMES[node.id]
        case "never" | "always", ast.If() | ast.IfExp():
            node.test = ast.Constant(what == "always")
        case "unary", ast.UnaryOp():
            for parent in ast.walk(tree):
                for name, value in ast.iter_fields(parent):
                    if value is node:
                        setattr(parent, name, node.operand)
                    elif isinstance(value, list) and node in value:
                        value[value.index(node)] = node.operand
    return ast.fix_missing_locations(tree), getattr(node, "lineno", 0)


def noticed(name: str, tree: ast.Module) -> bool:
    """Run the tests in a child process whose module ``name`` is ``tree``; tell whether any failed or none ended."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.chdir(ROOT)
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            module = importlib.import_module(f"prosthesis.{name}")
            exec(compile(tree, str(module.__file__), "exec"), module.__dict__)
            code = int(run_tests(name))
        finally:
            os._exit(code)
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) != 0
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return True


def run_tests(name: str) -> int:
    """Run the tests without any plugin that costs time."""
    import pytest

    plugins = ["-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    return int(pytest.main(["-x", "-q", *plugins, TESTS[name]]))


def main() -> int:
    """Change, test, and tell; arguments name the modules to change, all by default."""
    import numpy  # noqa: F401 - loaded once, for all children
    import pytest  # noqa: F401

    import prosthesis.config  # noqa: F401

    results = [campaign(name) for name in sys.argv[1:] or TESTS]
    return max(results)


def campaign(name: str) -> int:
    """Try every change of one module."""
    source = (ROOT / "prosthesis" / f"{name}.py").read_text()
    tree, lines = ast.parse(source), source.splitlines()
    if noticed(name, tree):
        print(f"{name}: the tests fail without any change")
        return 2
    found, survivors, excused = list(sites(tree)), [], 0
    for index, (number, what, said) in enumerate(found):
        mutant, line = changed(tree, number, what)
        key = (lines[line - 1].strip() if line else "", said)
        if noticed(name, mutant):
            continue
        if key in EQUIVALENT:
            excused += 1
            continue
        survivors.append(key)
        print(f"{name}: {index + 1} of {len(found)}: unnoticed, line {line}: {key!r}", flush=True)
    caught = len(found) - len(survivors) - excused
    print(f"{name}: {len(found)} changes: {caught} noticed, {excused} make no difference, {len(survivors)} unnoticed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
