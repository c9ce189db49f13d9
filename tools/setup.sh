#!/usr/bin/env bash
# Sets up .venv with everything that demo, training and tests need; does nothing when that is done already.
#
#   tools/setup.sh                  PYTHON=python3.12 tools/setup.sh
#   MMCV=compiled tools/setup.sh    with mmcv's own ops, compiled here: many minutes, and a C++ compiler
#   MMCV=stand-in tools/setup.sh    back to torchvision's ops in their place, which a new .venv has anyway
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv
stamp=$venv/.ready
choice=$venv/.mmcv  # what MMCV was last set to
python=$venv/bin/python
# The folder counts too: an editable install points at the place where it was made.
want=$( (pwd; cat constraints.txt pyproject.toml setup.py tools/setup.sh effformer_dense/native/*.{cpp,h,py}) | cksum | tr ' ' '-')

say() { printf '\n== %s\n' "$1"; shift; [ $# -eq 0 ] || printf '   %s\n' "$@"; }
die() { printf 'Set-up stopped: %s\n' "$*" >&2; exit 1; }
# Says what it does as long as torch is to be downloaded, afterwards only what goes wrong.
quiet=
pip_install() {
  "$python" -m pip install --disable-pip-version-check $quiet --constraint constraints.txt "$@"
}
pinned() { sed -n "s/^$1==\([^; ]*\).*/\1/p" constraints.txt; }

supported() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; }

find_python() {
  if [ -n "${PYTHON:-}" ]; then
    supported "$PYTHON" || die "PYTHON=$PYTHON is not Python 3.10, 3.11 or 3.12. Name one that is, or leave PYTHON unset."
    echo "$PYTHON"; return
  fi
  for candidate in python3.11 python3.12 python3.10 python3; do
    if supported "$candidate"; then echo "$candidate"; return; fi
  done
  die 'no Python 3.10, 3.11 or 3.12 found. With uv (https://docs.astral.sh/uv): uv python install 3.12, then' \
    'PYTHON=$(uv python find 3.12) make demo. Debian 12 or Ubuntu 22.04 and 24.04: sudo apt-get install python3 python3-venv'
}

# Everything that is missing, in one line.
check_machine() {
  local version missing=()
  version=$("$1" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
  "$1" -c 'import ensurepip, venv' 2>/dev/null || missing+=("$version-venv")
  if [ "$mmcv" = compiled ]; then
    "$1" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
      missing+=("$version-dev")
    command -v "${CXX:-c++}" >/dev/null || missing+=(g++)
  fi
  [ ${#missing[@]} -eq 0 ] || die "missing: ${missing[*]}. Debian or Ubuntu: sudo apt-get install ${missing[*]}"
}

# A full disk half-way leaves a half-installed environment. A CPU build of torch needs less: hence no stop.
check_disk() {
  local free_gb
  free_gb=$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')
  [ "$free_gb" -ge 9 ] || say "Only $free_gb GB free here. $venv takes 6 GB, pip's cache of downloads 3 GB more."
}

# mmcv compiles CUDA ops when torch sees a GPU, and cannot without the toolkit.
check_cuda() {
  "$python" -c 'import torch; raise SystemExit(not torch.cuda.is_available())' || return 0
  command -v nvcc >/dev/null || [ -n "${CUDA_HOME:-}" ] ||
    die "there is a GPU but no CUDA toolkit (nvcc), which mmcv's GPU ops are compiled with. Install CUDA" \
      "$("$python" -c 'import torch; print(torch.version.cuda)') and set CUDA_HOME, or set up without MMCV=compiled:" \
      "torchvision's ops, which then take their place, come compiled for the GPU."
}

# mmcv wants opencv-python, which needs libGL; where that is missing, the headless build takes its place.
check_opencv() {
  "$python" -c 'import cv2' 2>/dev/null || pip_install --force-reinstall --no-deps opencv-python-headless
  "$python" -c 'import cv2' ||
    die "OpenCV does not load; the line above says why. Debian or Ubuntu: sudo apt-get install libgl1 libglib2.0-0"
}

# Imports the packages that are named, and runs NMS, on the GPU if there is one: ops that were built against another
# torch, or without CUDA, fail here at the latest.
ops_work() {
  "$python" -W ignore - "$@" <<'PY' >/dev/null
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
import torch
from mmcv.ops import nms
device = 'cuda' if torch.cuda.is_available() else 'cpu'
boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [1.0, 1.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]], device=device)
_, kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7], device=device), iou_threshold=0.5)
assert kept.tolist() == [0, 2]
PY
}

# Where the mmcv of constraints.txt lies in .venv; nothing if it is not there.
find_mmcv() {
  "$python" - "$(pinned onedl-mmcv)" <<'PY' 2>/dev/null || true
import importlib.metadata, sys
mmcv = importlib.metadata.distribution('onedl-mmcv')
if mmcv.version == sys.argv[1]:
    print(mmcv.locate_file('mmcv'))
PY
}

# Of that mmcv: absent, stand-in (no compiled ops), compiled, or broken.
mmcv_state() {
  local where
  where=$(find_mmcv)
  if [ -z "$where" ]; then echo absent
  elif ! ls "$where"/_ext* >/dev/null 2>&1; then echo stand-in
  elif ops_work mmcv 2>/dev/null; then echo compiled
  else echo broken; fi
}

# mmcv comes as source. Its build compiles the ops when it sees torch: in pip's isolated build environment it sees none.
# pip's cache files a wheel under its source, whatever is compiled into it: it is left out both times.
install_mmcv() {
  local state where options=(--no-deps --no-cache-dir)
  [ "$mmcv" = stand-in ] || pip_install torch torchvision onedl-mmengine opencv-python  # the ones they must work with
  state=$(mmcv_state)
  [ "$state" != "$mmcv" ] || return 0
  if [ "$state" = broken ]; then
    say "mmcv's compiled ops in $venv do not work:" "$(ops_work mmcv 2>&1 | tail -n 1)"
  fi
  where=$(find_mmcv)
  # What pip does not know of, it leaves behind.
  [ -z "$where" ] || { rm -f "$where"/_ext*; options+=(--force-reinstall); }
  if [ "$mmcv" = compiled ]; then compile_mmcv "${options[@]}"
  else pip_install --build-constraint constraints.txt "${options[@]}" onedl-mmcv; fi
}

compile_mmcv() {
  pip_install ninja psutil
  check_opencv
  check_cuda
  say "mmcv's ops are compiled here: some 10 minutes on 2 cores"
  # CFLAGS takes the place of Python's own flags, -O3 among them. -g0: debug symbols cost time and are of no use here.
  local flags
  flags=$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("CFLAGS") or "-O3")')
  CFLAGS="${CFLAGS:-$flags} -g0" MAX_JOBS="${MAX_JOBS:-$(getconf _NPROCESSORS_ONLN)}" \
    pip_install --no-build-isolation "$@" onedl-mmcv ||
    die "mmcv's ops do not compile; the lines above say why. With less memory: MAX_JOBS=1. Without them: MMCV=stand-in make setup"
  ops_work mmcv || die "mmcv's compiled ops do not work; the lines above say why. Without them: MMCV=stand-in make setup"
}

case "${MMCV:-}" in
  '' | compiled | stand-in) ;;
  *) die "MMCV=$MMCV is neither compiled nor stand-in. Unset, $venv keeps what it has; a new one gets the stand-in." ;;
esac
# Two set-ups at once would write into the same folder: the second waits, and then finds everything done.
if command -v flock >/dev/null; then
  exec 9>.setup.lock
  flock 9
fi
if [ -x "$python" ]; then
  case "$(cat "$stamp" 2>/dev/null)" in
    "$want ${MMCV:-}"*) exit 0 ;;
  esac
fi
# Without MMCV, an environment keeps what it has.
mmcv=${MMCV:-$(cat "$choice" 2>/dev/null || true)}
if [ -z "$mmcv" ]; then
  mmcv=stand-in
  [ ! -x "$python" ] || [ "$(mmcv_state)" != compiled ] || mmcv=compiled
fi
base_python=$(find_python)
check_machine "$base_python"
rm -f "$stamp"
if "$python" -c "import torch, torchvision, sys; sys.exit(torch.__version__.partition('+')[0] != '$(pinned torch)')" 2>/dev/null; then
  quiet=--quiet
else
  check_disk
fi
say "1/4 Virtual environment in $venv, 6 GB in the end"
if ! supported "$python" || ! "$python" -m pip --version >/dev/null 2>&1; then
  "$base_python" -m venv --clear "$venv"
fi
echo "$mmcv" > "$choice"
say '2/4 pip and setuptools: 3 MB to download'
pip_install pip setuptools wheel packaging
say '3/4 mmcv, whose Python part is built from its source'
install_mmcv
if [ -n "$quiet" ]; then say '4/4 mmdet, mmsegmentation, timm, and effformer_dense itself (editable)'
else
  say '4/4 torch, mmdet, mmsegmentation, timm, and effformer_dense itself (editable)' \
    '3 GB to download where the default build of torch brings CUDA; then pip unpacks it, a minute or more without a word'
fi
pip_install --no-build-isolation --editable '.[onedl,test]'
say 'Checking that everything imports: half a minute'
check_opencv
ops_work effformer_dense mmdet.apis mmseg.apis ||
  die "the installed packages do not work; the lines above say why. To start over: rm -rf $venv"
"$python" -W ignore -c 'import sys; from effformer_dense.native.library import library; sys.exit(library() is None)' ||
  say 'Attention is computed by operators of torch: on a CPU, large pictures take half as long again.' \
    'Its own C++ wants Linux, a 64-bit Arm or an x86 processor with AVX2, and g++ (Debian or Ubuntu: sudo apt-get install g++).' \
    "Afterwards: rm $stamp; make setup"
echo "$want $mmcv" > "$stamp"
say "Ready: $venv"
