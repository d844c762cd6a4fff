"""The errors a user can cause and mend; the command line prints each as one line and exits with its code."""

from __future__ import annotations


class ProsthesisError(Exception):
    """Base of every error that is the user's to mend: the message says what was wrong, where, and what to do."""

    exit_code = 1


class ConfigError(ProsthesisError):
    """A rig, part, world or calibration file is wrong; the message names file, key and remedy."""

    exit_code = 2


class CameraError(ProsthesisError):
    """A camera or recording cannot give frames."""

    exit_code = 3


class EngineError(ProsthesisError):
    """A model or its engine cannot run as asked."""

    exit_code = 4


class LinkError(ProsthesisError):
    """The implant cannot be reached, or refuses us."""

    exit_code = 5


class MissingExtraError(ProsthesisError):
    """An optional package is missing; the message gives the exact install line."""

    exit_code = 6
