"""The text files of a delivery: requirements, installer, service, power mode and notes for one board."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prosthesis.board.boards import BoardConfig, JetpackConfig
from prosthesis_export.deploy.wheels import Wheel

HOME, STATE = "/opt/prosthesis", "/var/lib/prosthesis"


def requirements(python: str, wheels: Sequence[Wheel]) -> str:
    """Return pip's requirements, each pinned by the hash of its wheel."""
    head = f"# Python {python} on aarch64: pip install --require-hashes --only-binary :all: -r requirements.txt"
    return "\n".join([head, *(wheel.line for wheel in wheels)]) + "\n"


def install(python: str, wheel: str, engine: str, bundles: Sequence[str]) -> str:
    """Return the script that installs the delivery into ``HOME``, verifies it and leaves the service stopped."""
    checks = "\n".join(_verify(name, engine) for name in bundles)
    return f"""#!/usr/bin/env bash
# Installs this delivery into {HOME}; run as root, in this folder, with the network on. Nothing is started.
set -euo pipefail
cd "$(dirname "$0")"
sha256sum --quiet --check SHA256SUMS
command -v python{python} >/dev/null || {{ echo "python{python} is missing; this delivery is for it" >&2; exit 1; }}
id prosthesis >/dev/null 2>&1 || useradd --system --home-dir {STATE} --groups video prosthesis
install -d -o prosthesis -m 0700 {STATE} {STATE}/keys {STATE}/engines
mkdir -p {HOME}
cp -r bundles rig.yaml deploy.json {HOME}/
[ ! -d parts ] || cp -r parts {HOME}/
# the system's packages stay in sight: TensorRT's Python binding is one of them
python{python} -m venv --system-site-packages {HOME}/venv
{HOME}/venv/bin/pip install --require-hashes --only-binary :all: -r requirements.txt
{HOME}/venv/bin/pip install --no-deps --force-reinstall ./{wheel}
{HOME}/venv/bin/prosthesis doctor || true
cd {HOME}
export PROSTHESIS_KEYS={STATE}/keys PROSTHESIS_ENGINES={STATE}/engines
prosthesis() {{ runuser -u prosthesis -- env PROSTHESIS_KEYS="$PROSTHESIS_KEYS" \\
    PROSTHESIS_ENGINES="$PROSTHESIS_ENGINES" HOME={STATE} {HOME}/venv/bin/prosthesis "$@"; }}
prosthesis keys
{checks}
cd - >/dev/null
install -m 0644 prosthesis.service /etc/systemd/system/
systemctl daemon-reload
echo "installed and verified; start it with: systemctl enable --now prosthesis"
"""


def service(address: str, engine: str, bundles: Sequence[str]) -> str:
    """Return the systemd unit: verified at every start, started again when it fails."""
    binary = f"{HOME}/venv/bin/prosthesis"
    checks = "\n".join(f"ExecStartPre={binary} {_verify(name, engine).partition(' ')[2]}" for name in bundles)
    return f"""[Unit]
Description=Visual prosthesis, device (a research simulator, not a medical device)
After=network-online.target nvpmodel.service
Wants=network-online.target

[Service]
User=prosthesis
SupplementaryGroups=video
WorkingDirectory={HOME}
StateDirectory=prosthesis
Environment=PROSTHESIS_KEYS={STATE}/keys PROSTHESIS_ENGINES={STATE}/engines HOME={STATE}
{checks}
ExecStart={binary} run ./rig.yaml --headless --link {address}
Restart=on-failure
RestartSec=2
# engines are built at the first start, which takes minutes
TimeoutStartSec=30min
NoNewPrivileges=true
ProtectSystem=strict
ProtectHome=true
PrivateTmp=true

[Install]
WantedBy=multi-user.target
"""


POWER_MODE = """#!/usr/bin/env bash
# Sets a power mode by name, as /etc/nvpmodel.conf of this board has it: sudo ./power-mode.sh 25W
set -euo pipefail
conf=${NVPMODEL_CONF:-/etc/nvpmodel.conf}
[ -r "$conf" ] || { echo "$conf: not there; is this a Jetson?" >&2; exit 1; }
modes=$(sed -nE 's/^< *POWER_MODEL +ID=([0-9]+) +NAME=([A-Za-z0-9_]+).*/\\1 \\2/p' "$conf")
id=$(awk -v name="${1:-}" '$2 == name { print $1 }' <<<"$modes")
[ -n "$id" ] || { printf 'no mode named "%s"; there are:\\n%s\\n' "${1:-}" "$modes" >&2; exit 1; }
exec nvpmodel -m "$id"
"""


def notes(plan: dict[str, Any], board: BoardConfig, pack: JetpackConfig) -> str:
    """Return the delivery's README: what to do on this board, with this JetPack."""
    modes = ", ".join(f"`{name}`" for name in board.modes)
    verify = "\n".join(f"    prosthesis {_verify(name, plan['engine']).partition(' ')[2]}" for name in plan["bundles"])
    trt = ""
    if plan["engine"] == "tensorrt":
        trt = f"""
## TensorRT

JetPack {pack.name} brings TensorRT {pack.tensorrt}. Its Python binding is a package of its own:

    sudo apt install python3-libnvinfer

Engines are built here, once, in minutes; they are kept in `{STATE}/engines` and built again
when TensorRT, the board or the model changes. Without TensorRT deploy again with `--engine onnx`: slower, on the CPU.
"""
    return f"""# {plan["rig"]} on {board.name}

A research simulator, not a medical device. {board.summary}

| | |
|---|---|
| JetPack | {pack.name} (L4T {pack.l4t}, Ubuntu {pack.ubuntu}, Python {pack.python}, CUDA {pack.cuda}) |
| engine | {plan["engine"]} |
| models | {", ".join(plan["bundles"])} |
| implant at | {plan["address"]} |
| power mode | {plan["mode"]} |

## Install

    sudo ./install.sh

It checks `SHA256SUMS`, installs into `{HOME}`, makes keys and replays every model's recording.
The network is needed once.
{trt}
## Power mode

    sudo ./power-mode.sh {plan["mode"]}

This board has {modes}. Numbers of modes differ from one JetPack to the next, so the script looks the name up.
A mode may want a restart. `sudo jetson_clocks` holds the clocks up: steadier, and warmer.

## Camera

{camera(pack)}

## Keys and start

`{STATE}/keys/device.key` goes to the implant's `allowed/`, its `implant.key` comes here; never a `key_secret`.

    sudo systemctl enable --now prosthesis
    journalctl -fu prosthesis

## Is it right?

    cd {HOME}
{verify}
    prosthesis compare ./bundles/{plan["bundles"][0]}
    prosthesis doctor --report report.json

Please send `report.json` back: this delivery's GPU path has not run on hardware yet. It names no user, key or path.
"""


def camera(pack: JetpackConfig) -> str:
    """Return how a camera is set up under a JetPack."""
    usb = """USB: plug it in; `source: "0"` or `v4l2:///dev/video0` in `rig.yaml`.
The service's user is in group `video`.
"""
    csi = """CSI: `source: "csi://0"`. It needs `sudo apt install gstreamer1.0-tools` and NVIDIA's `nvarguscamerasrc`;
choose the sensor once with `sudo /opt/nvidia/jetson-io/jetson-io.py` and restart. Not tried by us"""
    if pack.name.startswith("7"):
        return f"{usb}\n{csi}; on Thor CSI sensors come over Holoscan's bridge, which we do not read: use USB."
    return f"{usb}\n{csi}."


def _verify(name: str, engine: str) -> str:
    return f"prosthesis verify ./bundles/{name} --engine {engine}"
