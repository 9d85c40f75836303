#!/usr/bin/env bash
# The router before two real vLLM on the CPU: vllm.sh [pytest arguments].
# Needs bin/penstock, Python 3.11, 6.5 GB on the disk at the first run and 8 GB of memory.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${PENSTOCK_CACHE:-$root/.cache}

for program in node npm; do # install.sh needs them
  command -v "$program" >/dev/null || { echo "e2e-vllm: $program is not installed (see .ci/run)" >&2; exit 1; }
done
"$here/install.sh" "$cache"
"$here/install_vllm.sh" "$cache/vllm-venv"
if [[ ! $cache/tiny-model/config.json -nt $here/tiny_model.py ]]; then
  "$cache/vllm-venv/bin/python" "$here/tiny_model.py" "$cache/tiny-model"
fi

export PENSTOCK_BIN=${PENSTOCK_BIN:-$root/bin/penstock} PENSTOCK_CACHE=$cache
export PYTHONDONTWRITEBYTECODE=1
cd "$here"
exec "$cache/e2e-venv/bin/python" -m pytest --capture=sys vllm/test_vllm.py "$@"
