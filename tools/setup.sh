#!/usr/bin/env bash
# Sets up .venv with everything that demo, training and tests need; does nothing when that is done already.
#
#   tools/setup.sh            PYTHON=python3.12 tools/setup.sh
#
# Order matters: mmcv ships as source and is compiled against the torch that is there, so torch comes first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv
stamp=$venv/.ready
python=$venv/bin/python
# The folder counts too: an editable install points at the place where it was made.
want=$( (pwd; cat constraints.txt pyproject.toml tools/setup.sh) | cksum)

say() { printf '\n== %s\n' "$*"; }
die() { printf 'Set-up stopped: %s\n' "$*" >&2; exit 1; }
pip_install() { "$python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "$@"; }

supported() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; }

find_python() {
  if [ -n "${PYTHON:-}" ]; then
    supported "$PYTHON" || die "PYTHON=$PYTHON is no Python 3.10, 3.11 or 3.12. Name one that is, or leave PYTHON unset."
    echo "$PYTHON"; return
  fi
  for candidate in python3.11 python3.12 python3.10 python3; do
    if supported "$candidate"; then echo "$candidate"; return; fi
  done
  die 'no Python 3.10, 3.11 or 3.12 found. With uv (https://docs.astral.sh/uv): uv python install 3.12, then' \
    'PYTHON=$(uv python find 3.12) make demo. Debian 12 or Ubuntu 22.04 and 24.04: sudo apt-get install python3 python3-venv python3-dev g++'
}

# Everything that is missing, in one line.
check_machine() {
  local version missing=()
  version=$("$1" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
  "$1" -c 'import ensurepip, venv' 2>/dev/null || missing+=("$version-venv")
  "$1" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
    missing+=("$version-dev")
  command -v "${CXX:-c++}" >/dev/null || missing+=(g++)
  [ ${#missing[@]} -eq 0 ] ||
    die "missing: ${missing[*]} (mmcv's ops are compiled here). Debian or Ubuntu: sudo apt-get install ${missing[*]}"
}

# mmcv compiles CUDA ops when torch sees a GPU, and cannot without the toolkit.
check_cuda() {
  "$python" -c 'import torch; raise SystemExit(not torch.cuda.is_available())' || return 0
  command -v nvcc >/dev/null || [ -n "${CUDA_HOME:-}" ] ||
    die "there is a GPU but no CUDA toolkit (nvcc), which mmcv's GPU ops are compiled with. Install CUDA" \
      "$("$python" -c 'import torch; print(torch.version.cuda)') and set CUDA_HOME, or set up and run without the GPU:" \
      "put CUDA_VISIBLE_DEVICES= before every command."
}

# mmcv wants opencv-python, which needs libGL; where that is missing, the headless build takes its place.
check_opencv() {
  "$python" -c 'import cv2' 2>/dev/null || pip_install --force-reinstall --no-deps opencv-python-headless
  "$python" -c 'import cv2' ||
    die "OpenCV does not load; the line above says why. Debian or Ubuntu: sudo apt-get install libgl1 libglib2.0-0"
}

# Imports the compiled ops and runs one, on the GPU if there is one: a wheel that was built against another torch, or
# without CUDA, fails here at the latest.
ops_work() {
  "$python" - <<'PY' >/dev/null 2>&1
import torch
from mmcv.ops import nms
device = 'cuda' if torch.cuda.is_available() else 'cpu'
boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [1.0, 1.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]], device=device)
_, kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7], device=device), iou_threshold=0.5)
assert kept.tolist() == [0, 2]
PY
}

install_mmcv() {
  # -g0: without debug symbols the build takes half the time.
  CFLAGS="${CFLAGS:-} -g0" MAX_JOBS="${MAX_JOBS:-$(getconf _NPROCESSORS_ONLN)}" \
    pip_install --no-build-isolation "$@" onedl-mmcv
}

# Two set-ups at once would write into the same folder: the second waits, and then finds everything done.
if command -v flock >/dev/null; then
  exec 9>.setup.lock
  flock 9
fi
if [ -x "$python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then
  exit 0
fi
base_python=$(find_python)
check_machine "$base_python"
rm -f "$stamp"
if ! supported "$python" || ! "$python" -m pip --version >/dev/null 2>&1; then
  say "1/5 Virtual environment in $venv"
  "$base_python" -m venv --clear "$venv"
fi

say "2/5 Build tools"
pip_install pip setuptools wheel ninja packaging psutil numpy
say "3/5 PyTorch (a download of some GB where the default build brings CUDA)"
pip_install torch torchvision
say "4/5 mmcv, compiled here (5 to 10 minutes on 2 cores the first time; pip keeps the wheel)"
pip_install onedl-mmengine opencv-python
check_opencv
if ! ops_work; then
  check_cuda
  install_mmcv
fi
if ! ops_work; then
  say "The mmcv wheel at hand does not work with this torch: building it again"
  install_mmcv --force-reinstall --no-deps --no-cache-dir
fi
ops_work || die "mmcv's compiled ops do not load. See why: $python -c 'import mmcv.ops'"
say "5/5 mmdet, mmsegmentation, timm, and effformer_dense itself (editable)"
pip_install --no-build-isolation --editable '.[onedl,test]'
check_opencv
"$python" -W ignore -c 'import mmdet.apis, mmseg.apis, effformer_dense' >/dev/null ||
  die "the installed packages do not import; the lines above say why. To start over: rm -rf $venv"
echo "$want" > "$stamp"
say "Ready: $venv"
