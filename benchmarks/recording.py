"""What a recording costs: its size, the time to publish and to write a message, and whether a rerun equals it.

A run of ``--seconds`` (default ten minutes, real time) against a simulated patient is recorded, read again, written
again beside a bare file of the same bytes, and rerun. ``--log`` takes a recording that is there. Costs are processor
time of their thread, so that a busy machine changes them little.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from prosthesis.assembly import run_rig, with_choices
from prosthesis.config import load_rig
from prosthesis.links.keys import load_keys
from prosthesis.processes import free_port, running
from prosthesis.recording.recorder import Recorder, entries, metadata
from prosthesis.recording.rerun import rerun
from prosthesis.schemas import TOPICS, encode
from prosthesis.taps import Tap
from prosthesis_sim.demo import _await_listening
from prosthesis_sim.rerun import Patient

US = 1e-3  # of a ns


def record(rig_name: str, seconds: float, log: Path) -> dict[str, float]:
    load_keys("device")
    port = free_port()
    rig = with_choices(load_rig(rig_name), port=port)
    with running("-m", "prosthesis", "sim", rig_name, "--port", str(port)) as world:
        _await_listening(world, port)
        began, cpu = time.monotonic(), time.process_time()
        summary = run_rig(rig, seconds, log)
        took, cpu = time.monotonic() - began, time.process_time() - cpu
    return {
        "frames": summary.frames,
        "sent": summary.sent,
        "dropped": summary.dropped,
        "s": took,
        "cpu_share": cpu / took,
    }


def holes(log: Path) -> dict[str, int]:
    """Count what the recording lacks of every stream of frames: gaps that the camera's own frames do not have."""
    seen: dict[str, set[int]] = {}
    for entry in entries(log, ["frame", "machine_code", "allowed", "hops", "world_hops"]):
        seen.setdefault(entry.topic, set()).add(entry.message.seq)
    every = set().union(*seen.values())
    return {topic: len(every - numbers) for topic, numbers in seen.items() if topic != "world_hops"}


def costs(log: Path, most: int) -> dict[str, object]:
    """Time publishing, encoding and writing of the first ``most`` messages, beside a bare file."""
    messages = [(entry.topic, entry.message) for entry, _ in zip(entries(log), range(most), strict=False)]
    import zmq

    with zmq.Context() as context, tempfile.TemporaryDirectory(dir=log.parent) as folder:
        tap = Tap(f"tcp://127.0.0.1:{free_port()}", context)
        tap.wanted = frozenset(TOPICS)
        publish_ns = []
        for topic, message in messages[:5000]:
            start = time.thread_time_ns()
            tap.publish(topic, message)
            publish_ns.append(time.thread_time_ns() - start)
        tap.close()
        encoded_ns: dict[str, list[int]] = {}
        encoded = []
        for topic, message in messages:
            start = time.thread_time_ns()
            data = encode(message)
            encoded_ns.setdefault(topic, []).append(time.thread_time_ns() - start)
            encoded.append((topic, data))
        recorder = Recorder(Path(folder) / "again.mcap", [], metadata(log))
        recorder.stop()  # only its writer is wanted
        again = Recorder.__new__(Recorder)
        written = _write(again, Path(folder) / "again.mcap", encoded)
        start = time.thread_time_ns()
        with (Path(folder) / "bare").open("wb") as file:
            for _, data in encoded:
                file.write(data)
        bare_ns = time.thread_time_ns() - start
    return {
        "messages": len(messages),
        "publish_us": [round(float(v) * US, 2) for v in np.percentile(publish_ns, (50, 99))],
        "encode_us": {topic: round(float(np.median(v)) * US, 1) for topic, v in sorted(encoded_ns.items())},
        "encode_mean_us": round(float(np.mean(np.concatenate(list(encoded_ns.values())))) * US, 1),
        "write_mean_us": round(written * US / len(messages), 1),
        "bare_file_mean_us": round(bare_ns * US / len(messages), 1),
        "raw_bytes": sum(len(data) for _, data in encoded),
    }


def _write(recorder: Recorder, path: Path, encoded: list[tuple[str, bytes]]) -> int:
    from mcap.writer import CompressionType, Writer

    from prosthesis.recording.recorder import CHUNK_BYTES, _begin

    with path.open("wb") as file:
        writer = Writer(file, chunk_size=CHUNK_BYTES, compression=CompressionType.ZSTD, enable_data_crcs=True)
        recorder._writer, recorder._channels, recorder.messages = writer, _begin(writer, {}, {}), 0
        recorder._hear_world = lambda data: None  # type: ignore[method-assign]
        recorder._world_heard = type("Event", (), {"set": lambda self: None})()
        start = time.thread_time_ns()
        for topic, data in encoded:
            recorder._write(topic, data)
        writer.finish()
        return time.thread_time_ns() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rig", default="utah96")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--log", type=Path, help="measure this recording instead of making one")
    parser.add_argument("--messages", type=int, default=20_000, help="how many are written again (default 20000)")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = options.log or Path(folder) / "run.mcap"
        told: dict[str, object] = {"machine": platform.machine(), "python": platform.python_version()}
        if not options.log:
            told["run"] = record(options.rig, options.seconds, log)
        about = metadata(log)
        counts = Counter(entry.topic for entry in entries(log))
        told |= {"rig": about["rig"], "bytes": log.stat().st_size, "topics": dict(counts), "missing": holes(log)}
        told["costs"] = costs(log, options.messages)
        start = time.monotonic()
        done = rerun(log, patient=Patient, say=print)
        told["rerun"] = {
            "s": round(time.monotonic() - start, 1),
            "recorded_s": round(done.seconds, 1),
            "holds": done.holds,
            "rows": {row.topic: [row.same, row.within, row.beyond, row.skipped] for row in done.rows},
            "notes": done.notes,
        }
    text = json.dumps(told, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
