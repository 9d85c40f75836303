#!/usr/bin/env bash
# The end-to-end tests: run.sh [pytest arguments]. Needs bin/penstock, and from
# Debian promtool (package prometheus), victoria-metrics, node, npm, curl and
# chromium.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${PENSTOCK_CACHE:-$root/.cache}

for program in promtool victoria-metrics node npm curl chromium; do
  command -v "$program" >/dev/null || { echo "e2e: $program is not installed (see .ci/run)" >&2; exit 1; }
done
"$here/install.sh" "$cache"

export PENSTOCK_BIN=${PENSTOCK_BIN:-$root/bin/penstock} PENSTOCK_CACHE=$cache
export PYTHONDONTWRITEBYTECODE=1
cd "$here"
exec "$cache/e2e-venv/bin/python" -m pytest "$@"
