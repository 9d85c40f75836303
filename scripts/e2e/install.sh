#!/usr/bin/env bash
# Installs the clients that the end-to-end tests drive: the openai packages of
# PyPI and npm, clients of WebSockets, and pytest. install.sh CACHE_DIR; does nothing when they are there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${1:?usage: install.sh CACHE_DIR}
mkdir -p "$cache"

stamp=$cache/e2e.stamp
wanted=$(cat "$here/requirements.txt" "$here/package.json" | sha256sum)
[[ -e $stamp && $(<"$stamp") == "$wanted" ]] && exit 0

echo "installing the clients and pytest into $cache"
"${PYTHON:-python3}" -m venv "$cache/e2e-venv"
"$cache/e2e-venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"

mkdir -p "$cache/e2e-node"
cp "$here/package.json" "$cache/e2e-node/"
npm install --silent --no-audit --no-fund --no-package-lock --prefix "$cache/e2e-node"

echo "$wanted" > "$stamp"
