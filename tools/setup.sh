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
want=$(cat constraints.txt pyproject.toml tools/setup.sh | cksum)

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
  die "no Python 3.10, 3.11 or 3.12 found. Debian or Ubuntu: sudo apt-get install python3 python3-venv python3-dev"
}

check_machine() {
  "$1" -c 'import ensurepip, venv' 2>/dev/null ||
    die "Python's venv module is missing. Debian or Ubuntu: sudo apt-get install python3-venv"
  "$1" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
    die "Python's headers (Python.h) are missing. Debian or Ubuntu: sudo apt-get install python3-dev"
  command -v "${CXX:-c++}" >/dev/null ||
    die "no C++ compiler found (${CXX:-c++}), and mmcv's ops are compiled here. Debian or Ubuntu: sudo apt-get install g++"
}

# Imports the compiled ops and runs one: a wheel that was built against another torch fails here, at the latest.
ops_work() {
  "$python" - <<'PY' >/dev/null 2>&1
import torch
from mmcv.ops import nms
boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [1.0, 1.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]])
_, kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7]), iou_threshold=0.5)
assert kept.tolist() == [0, 2]
PY
}

install_mmcv() {
  ops_work && return
  # -g0: without debug symbols the build takes half the time.
  CFLAGS="${CFLAGS:-} -g0" MAX_JOBS="${MAX_JOBS:-$(getconf _NPROCESSORS_ONLN)}" \
    pip_install --no-build-isolation "$@" onedl-mmcv
}

if [ -x "$python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then
  exit 0
fi
base_python=$(find_python)
check_machine "$base_python"
rm -f "$stamp"
supported "$python" || { say "1/5 Virtual environment in $venv"; "$base_python" -m venv --clear "$venv"; }

say "2/5 Build tools"
pip_install pip setuptools wheel ninja packaging psutil numpy
say "3/5 PyTorch (about a minute at 50 MB/s; 3 GB with the CUDA libraries of the default Linux build)"
pip_install torch torchvision
say "4/5 mmcv, compiled here (5 to 10 minutes on 2 cores the first time; pip keeps the wheel)"
pip_install onedl-mmengine
install_mmcv
if ! ops_work; then
  say "The cached mmcv wheel does not load with this torch: building it again"
  install_mmcv --force-reinstall --no-deps --no-cache-dir
fi
ops_work || die "mmcv's compiled ops do not load. See why: $python -c 'import mmcv.ops'"
say "5/5 mmdet, mmsegmentation, timm, and effformer_dense itself (editable)"
pip_install --no-build-isolation --editable '.[onedl,test]'
"$python" -c 'import cv2' 2>/dev/null ||
  die "OpenCV does not load: a system library is missing. Debian or Ubuntu: sudo apt-get install libgl1 libglib2.0-0"
"$python" -c 'import mmdet.apis, mmseg.apis, effformer_dense' ||
  die "the installed packages do not import; the lines above say why. To start over: rm -rf $venv"
echo "$want" > "$stamp"
say "Ready: $venv"
