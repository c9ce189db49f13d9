#!/usr/bin/env bash
# Train in several processes, one per GPU, or on CPUs where there is none.
#
#     tools/dist_train.sh PROCESSES CONFIG [options of train]
#
# Several machines: start it on each, with NNODES, and RDZV=host:port of one of them. A process that dies lets all of
# them start again and go on, up to MAX_RESTARTS times.
set -euo pipefail
if (($# < 2)); then
    sed -n '4s/^# *//p' "$0" >&2
    exit 2
fi
processes=$1
shift
meeting=(--standalone)
if [[ -n ${RDZV:-} ]]; then
    meeting=(--nnodes="${NNODES:-1}" --rdzv-backend=c10d --rdzv-endpoint="$RDZV" --rdzv-id="${RDZV_ID:-effdense}")
fi
exec torchrun "${meeting[@]}" --nproc-per-node="$processes" --max-restarts="${MAX_RESTARTS:-0}" \
    "$(dirname "$0")/${TOOL:-train}.py" "$@" --launcher pytorch
