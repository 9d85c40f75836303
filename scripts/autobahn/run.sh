#!/usr/bin/env bash
# Autobahn's fuzzing client against the simulator's echo, the same behind the
# router, and the router's own WebSockets: run.sh [run.py's arguments]. Needs
# bin/penstock, Python 3 and, at the first run, Python 2.7 (install.sh) and gcc.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${PENSTOCK_CACHE:-$root/.cache}
mkdir -p "$cache"

"$here/install.sh" "$cache/autobahn-venv"

export PENSTOCK_BIN=${PENSTOCK_BIN:-$root/bin/penstock} PYTHONDONTWRITEBYTECODE=1
exec python3 "$here/run.py" --wstest "$cache/autobahn-venv/bin/wstest" --reports "$cache/autobahn" "$@"
