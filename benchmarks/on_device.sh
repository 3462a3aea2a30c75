#!/usr/bin/env bash
# What a machine with an accelerator can tell in eight minutes: the exact tests, an update and its
# parts beside the device's limits, and the rehearsal of a whole brain.
#
#   bash benchmarks/on_device.sh [FILE]      from the top of the repository; FILE is on_device.json
#
# It needs the extras [test,jax]. A step that fails or takes too long leaves its last lines in FILE.
set -uo pipefail
cd "$(dirname "$0")/.."
file=${1:-on_device.json}
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

step() { # name, seconds, command
  local name=$1 seconds=$2 began=$SECONDS
  shift 2
  echo "$name: at most $seconds s"
  timeout "$seconds" "$@" >"$logs/$name.out" 2>&1
  echo "$? $((SECONDS - began))" >"$logs/$name.end"
  tail -n 3 "$logs/$name.out"
}

step tests 150 python -m pytest tests/training/accelerator -q -p no:cacheprovider
step update 120 python -m benchmarks.jax_update
step rehearsal 200 python -m benchmarks.rehearsal jax

python - "$file" "$logs" <<'END'
import json, sys
from pathlib import Path

import jax

file, logs = map(Path, sys.argv[1:])
device = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
found = {"device": device, "jax": jax.__version__}
for name in ("tests", "update", "rehearsal"):
    status, seconds = map(int, (logs / f"{name}.end").read_text().split())
    lines = (logs / f"{name}.out").read_text().splitlines()
    found[name] = {"exit status": status, "seconds": seconds, "last lines": lines[-40:]}
update = Path("benchmarks/results/jax_update.json")
found["update"]["measured"] = json.loads(update.read_text()).get(device)
file.write_text(json.dumps(found, indent=1) + "\n")
print(f"{device}: everything is in {file}")
END
