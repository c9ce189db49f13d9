#!/usr/bin/env bash
# Test in several processes, one per GPU, or on CPUs where there is none.
#
#     tools/dist_test.sh PROCESSES CONFIG CHECKPOINT [options of test]
set -euo pipefail
if (($# < 3)); then
    sed -n '4s/^# *//p' "$0" >&2
    exit 2
fi
TOOL=test exec "$(dirname "$0")/dist_train.sh" "$@"
