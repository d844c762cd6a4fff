#!/usr/bin/env bash
# Proves the device package on emulated aarch64: an arm64 Debian 12 (Python 3.11, no torch, no GUI libraries) under
# qemu-user. It resolves and installs the committed wheel list, imports, examines itself, replays recordings and runs a
# rig against a simulated patient on this machine. Run as root, with qemu-user-static and mmdebstrap installed:
#   export/aarch64.sh WHEEL [FOLDER]      (FOLDER keeps the root: about 600 MB)
set -euo pipefail
wheel=$(realpath "$1")
work=$(realpath -m "${2:-/tmp/prosthesis-aarch64}")
here=$(cd "$(dirname "$0")/.." && pwd)
root=$work/root
port=5790
mkdir -p "$work"

step() { printf '== %s\n' "$*"; }
took() { local began=$SECONDS; "$@"; printf '   %s s\n' "$((SECONDS - began))"; }
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/root LANG=C.UTF-8 "${pass[@]}" "$@"; }

# the package client inside is set up as the one outside
pass=(PROSTHESIS_KEYS=/keys)
while IFS= read -r line; do pass+=("$line"); done < <(env | grep -E '^(PIP_|https?_proxy|HTTPS?_PROXY|no_proxy|SSL_CERT|REQUESTS_CA)' || true)

step "an arm64 root"
if [ ! -x "$root/usr/bin/python3.11" ]; then
    mmdebstrap --mode=root --variant=extract --arch=arm64 \
        --include=python3,python3-pip,libstdc++6,bash,coreutils bookworm "$root" >"$work/root.log" 2>&1
fi
for path in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/xdg/pip /etc/ssl/certs; do
    [ ! -e "$path" ] || { mkdir -p "$root$(dirname "$path")"; cp -rL --remove-destination "$path" "$root$(dirname "$path")/"; }
done
mkdir -p "$root/proc" "$root/dev" "$root/tmp" "$root/keys" "$root/usr/local/lib"
for name in null urandom random zero; do
    [ -e "$root/dev/$name" ] || cp -a "/dev/$name" "$root/dev/"
done
mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
trap 'umount "$root/proc" 2>/dev/null || true' EXIT

step "emulation"
formats=/proc/sys/fs/binfmt_misc
[ -e "$formats/register" ] || mount -t binfmt_misc none "$formats"
[ -e "$formats/qemu-aarch64" ] || cat /usr/lib/binfmt.d/qemu-aarch64.conf >"$formats/register"
inside uname -m

step "install the list"
PYTHONPATH=$here:$here/sim:$here/train:$here/export python3 - >"$root/tmp/requirements.txt" <<'P'
from prosthesis_export.deploy.texts import requirements
from prosthesis_export.deploy.wheels import load_wheels

print(requirements("3.11", load_wheels("3.11")))
P
before=$(du -sm "$root/usr/local/lib" | cut -f1)
took inside python3 -m pip install --quiet --break-system-packages --root-user-action=ignore --no-compile \
    --require-hashes --only-binary :all: -r /tmp/requirements.txt
listed=$(du -sm "$root/usr/local/lib" | cut -f1)
cp "$wheel" "$root/tmp/"
took inside python3 -m pip install --quiet --break-system-packages --root-user-action=ignore --no-compile \
    --no-deps --force-reinstall "/tmp/$(basename "$wheel")"
all=$(du -sm "$root/usr/local/lib" | cut -f1)
echo "installed: $((listed - before)) MB of wheels, $((all - listed)) MB of prosthesis"

step "import"
inside python3 - <<'P'
import sys, time, platform
began = time.monotonic()
import prosthesis.assembly
took = time.monotonic() - began
assert "torch" not in sys.modules
print(f"prosthesis.assembly on {platform.machine()} in {took:.1f} s")
import onnxruntime, numpy, cv2
print("onnxruntime", onnxruntime.__version__, "numpy", numpy.__version__, "cv2", cv2.__version__)
P

step "doctor"
inside prosthesis doctor || true

step "verify: recorded here, replayed there"
for name in luminance-32 edges-32 learned-letters-32 objects; do
    PYTHONPATH=$here python3 -m prosthesis verify "$name" --record "$root/tmp/reference-$name"
    took inside prosthesis verify "$name" --reference "/tmp/reference-$name"
done

step "ten frames of the demo rig, the patient on this machine"
export PROSTHESIS_KEYS=$work/keys
PYTHONPATH=$here python3 -m prosthesis keys --dir "$work/keys" >/dev/null
cp -r "$work/keys/." "$root/keys/"
PYTHONPATH=$here:$here/sim python3 -m prosthesis sim utah96 --port $port >"$work/sim.log" 2>&1 &
patient=$!
trap 'kill $patient 2>/dev/null || true; umount "$root/proc" 2>/dev/null || true' EXIT
sleep 15
took inside prosthesis run utah96 --headless --seconds 20 --link 127.0.0.1:$port | tee "$work/run.log"
frames=$(sed -nE 's/.* ([0-9]+) sent,.*/\1/p' "$work/run.log" | tail -1)
[ "${frames:-0}" -ge 10 ] || { echo "fewer than ten frames were sent" >&2; exit 1; }
step "done: $frames frames sent from aarch64"
