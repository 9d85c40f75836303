#!/usr/bin/env bash
# The simulator beside a real vLLM on the CPU: realism.sh [arguments of bench/realism].
# Needs bin/penstock, Python 3.11, 6.5 GB on the disk at the first run and 8 GB of memory.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cache=${PENSTOCK_CACHE:-$root/.cache}

"$root/scripts/e2e/install_vllm.sh" "$cache/vllm-venv"
if [[ ! $cache/tiny-model/config.json -nt $root/scripts/e2e/tiny_model.py ]]; then
  "$cache/vllm-venv/bin/python" "$root/scripts/e2e/tiny_model.py" "$cache/tiny-model"
fi
cd "$root"
exec "${GO:-go}" run ./bench/realism --vllm "$cache/vllm-venv/bin/vllm" --model "$cache/tiny-model" --penstock bin/penstock "$@"
