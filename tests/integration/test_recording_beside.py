"""A recorder in a process of its own, beside a device that runs something else than its rig says."""

from __future__ import annotations

import subprocess
import sys

from helpers import HAND, wait_for

from prosthesis.assembly import run_rig, with_choices
from prosthesis.config import load_rig
from prosthesis.recording.identity import measured_rig
from prosthesis.recording.recorder import entries, metadata
from prosthesis.recording.rerun import rerun


def test_it_holds_what_the_device_ran_and_what_it_measured(sim, port, tmp_path):
    sim()
    log, rig = tmp_path / "beside.mcap", with_choices(load_rig(HAND), source="synthetic:bar", port=port)
    command = [sys.executable, "-m", "prosthesis", "record", HAND, str(log), "--link", f"127.0.0.1:{port}"]
    with subprocess.Popen([*command, "--seconds", "6"], stdout=subprocess.PIPE, text=True) as recorder:
        wait_for(log.exists, 30)
        run_rig(rig, 4, tasks=("edges-32",))
        recorder.communicate(timeout=30)
    found = metadata(log)
    assert (found["tasks"], found["source"]) == ("edges-32", "synthetic:bar")
    measured = [message for message in (e.message for e in entries(log, ["about"])) if measured_rig(rig, message)]
    assert len(measured) >= 3  # twice a second, so that one who comes late knows them too
    done = rerun(log, "encoder", "modulator")
    assert done.rows[0].same > 20
    assert not any(row.beyond for row in done.rows)
