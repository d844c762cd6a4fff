"""The command line ``prosthesis VERB``: every room brings its verbs, an error is one line, an exit code says which."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points, requires

from prosthesis import __version__, commands
from prosthesis.commands import Verbs
from prosthesis.errors import MissingExtraError, ProsthesisError

USAGE, INTERRUPTED, BROKEN_PIPE = 2, 130, 141
GROUP = "prosthesis.commands"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code: 0 done, 1 found a problem, 2 wrong usage or configuration, 3 camera.

    Further 4 model or engine, 5 link, 6 missing package (``prosthesis/errors.py``), 130 interrupted, 141 closed pipe.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run(given)
        sys.stdout.flush()
    except ProsthesisError as error:
        sys.stderr.write(f"prosthesis: {error}\n")
        return error.exit_code
    except ModuleNotFoundError as missing:
        name = (missing.name or "").partition(".")[0]
        if not name or name.startswith("prosthesis"):
            raise
        sys.stderr.write(f"prosthesis: this verb needs {name}; {_remedy(name)}\n")
        return MissingExtraError.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # whoever read us has gone (`| head`); the interpreter's own flush at exit must not complain either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return code


def _remedy(package: str) -> str:
    """Return the command that installs a package: the first extra for users that asks for it, or itself."""
    for line in requires("prosthesis") or ():
        extra = re.match(rf"{re.escape(package)}\b[^;]*;.*extra == ['\"](\w[\w-]*)", line, re.IGNORECASE)
        if extra and extra[1] not in ("dev", "docs", "peers"):  # those are not for users
            return f"pip install 'prosthesis[{extra[1]}]'"
    return f"pip install {package}"


def _run(arguments: list[str]) -> int:
    parser, known = _parser()
    verb = next((word for word in arguments if not word.startswith("-")), None)
    if verb is not None and verb not in known:
        near = difflib.get_close_matches(verb, known, 1)
        meant = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(known)}"
        parser.error(f"no verb '{verb}'; {meant}")
    parsed = parser.parse_args(arguments)
    if verb is None:
        parser.print_help()
        return USAGE
    return int(parsed.handler(parsed) or 0)


def _parser() -> tuple[argparse.ArgumentParser, list[str]]:
    parser = argparse.ArgumentParser(
        prog="prosthesis",
        description="The whole path of a visual prosthesis, from camera to percept. A research simulator, "
        "not a medical device.",
        epilog="'prosthesis VERB --help' shows a verb's options and an example.",
    )
    parser.add_argument("--version", action="version", version=f"prosthesis {__version__}")
    verbs: Verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    commands.register(verbs)
    for room in entry_points(group=GROUP):
        try:
            register = room.load()
        except ImportError as error:
            # one room that is not whole must not take the others' verbs away
            sys.stderr.write(f"prosthesis: no verbs from '{room.value}' ({error}); reinstall prosthesis\n")
            continue
        register(verbs)
    return parser, sorted(verbs.choices)
