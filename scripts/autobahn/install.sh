#!/usr/bin/env bash
# Installs Autobahn's test suite: install.sh VENV; does nothing when it is there.
# It is written for Python 2.7, which Debian has no more: pyenv's, or PYTHON2.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${1:?usage: install.sh VENV}

stamp=$venv/installed
wanted=$(sha256sum <"$here/requirements.txt")
[[ -e $stamp && $(<"$stamp") == "$wanted" ]] && exit 0

# The newest 2.7 of pyenv, where a shim of that name stands for several.
of_pyenv() {
  command -v pyenv >/dev/null || return 0
  local version
  version=$(pyenv versions --bare | grep '^2\.7' | sort -V | tail -1) || return 0
  PYENV_VERSION=$version pyenv which python2.7
}

python=
for candidate in "${PYTHON2:-}" python2.7 "$(of_pyenv)"; do
  if [[ -n $candidate ]] && "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [[ -z $python ]]; then
  echo "autobahn: no Python 2.7: pyenv install 2.7.18, or set PYTHON2" >&2
  exit 1
fi

echo "installing Autobahn's test suite for $("$python" --version 2>&1)"
rm -rf "$venv"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONWARNINGS=ignore
# it has no venv of its own, and virtualenv may not be in the place of anything else
maker=$(mktemp -d)
trap 'rm -rf "$maker"' EXIT
"$python" -m pip install --quiet --target "$maker" 'virtualenv==20.15.1'
PYTHONPATH=$maker "$python" -m virtualenv --quiet "$venv"
"$venv/bin/pip" install --quiet -r "$here/requirements.txt"

echo "$wanted" >"$stamp"
