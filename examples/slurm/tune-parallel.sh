#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The same without a scheduler: tune-parallel.sh GRID.csv OUT-FOLDER HOST... tunes a share on each host over ssh, which
# must see the same folders, and merges what they leave.
set -eu
grid=$1
out=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
task=0
for host; do
    task=$((task + 1))
    ${REMOTE_SHELL:-ssh} "$host" \
        "SLURM_ARRAY_TASK_ID=$task SLURM_ARRAY_TASK_COUNT=$# sh '$here/tune-array.sh' '$grid' '$out'" &
done
wait
conv-cache merge -o "$out/tuned.cvl" "$out"/task-*.cvl
