"""Whether TensorRT's own importer and builder take a graph, asked with no GPU of ``tensorrt-rtx`` (an optional extra).

It has the same ONNX importer and the same rules of types and of Q/DQ as TensorRT 11, and builds for desktop GPUs; its
engines are not for Jetsons and are thrown away. It proves that a graph is legal, not that it is fast, and cannot ask
about DLA.
"""

from __future__ import annotations

import importlib
from typing import Any

from prosthesis.bundles.delivered import Legality

TARGET = "SM86"  # Ampere, as Orin's SM87, which it cannot build for
ABSENT = "not asked: pip install 'prosthesis[tensorrt-check]'"
MOST_ERRORS = 8


def legality(content: bytes, name: str) -> Legality:
    """Return whether a graph is legal and, if not, each error with its node; nobody is asked without the package."""
    try:
        trt = importlib.import_module("tensorrt_rtx")
    except (ImportError, OSError):
        return Legality(checker=ABSENT, legal=None)
    log = _log(trt)
    builder = trt.Builder(log)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, log)
    checker = f"tensorrt-rtx {trt.__version__}, {TARGET}"
    if not parser.parse(content):
        errors = [_told(parser.get_error(k)) for k in range(parser.num_errors)]
        return Legality(checker=checker, legal=False, errors=tuple(f"{name}: {text}" for text in errors[:MOST_ERRORS]))
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, TARGET), 0)
    built = builder.build_serialized_network(network, config)
    if built is None:
        return Legality(
            checker=checker, legal=False, errors=tuple(f"{name}: {text}" for text in log.errors[:MOST_ERRORS])
        )
    return Legality(checker=checker, legal=True)


def together(parts: list[Legality]) -> Legality:
    """Return one answer for all graphs of a bundle."""
    known = [part.legal for part in parts]
    legal = None if None in known else all(known)
    return Legality(checker=parts[0].checker, legal=legal, errors=tuple(text for part in parts for text in part.errors))


def _told(error: Any) -> str:
    """Return one line of a parser's error: the node, the operator, why, and where in the importer."""
    node, operator = error.node_name() or f"node {error.node()}", error.node_operator() or "?"
    reason = " ".join(str(error.desc()).split())
    return f"{node} ({operator}): {reason} [{error.file().rpartition('/')[2]}:{error.line()}]"


def _log(trt: Any) -> Any:
    class Log(trt.ILogger):  # type: ignore[misc]
        """Keeps errors, prints nothing."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors.append(" ".join(msg.split()))

    return Log()
