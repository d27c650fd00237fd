#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Tunes one grid on as many machines as a Slurm array has tasks; each takes a share of about equal cost and leaves one
# file.
#
#     sbatch --array=1-16 tune-array.sh GRID.csv OUT-FOLDER
#     conv-cache merge -o tuned.cvl OUT-FOLDER/*.cvl          (when all are done; in any order, more than once)
#
# Tasks that are cut short keep what they measured; a repeated task goes on from there. With machines of one kind the
# shards are parts of one whole. With several kinds, let each tune the whole grid (one array for each kind of node):
# entries of different processors stand side by side in the merged file, and each machine finds its own.
#SBATCH --job-name=conv-tune
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --exclusive
#SBATCH --time=01:00:00
set -eu
grid=$1
out=$2
task=${SLURM_ARRAY_TASK_ID:-1}
tasks=${SLURM_ARRAY_TASK_COUNT:-1}
mkdir -p "$out"
cache=$out/task-$task.cache
status=0
conv-bench --grid "$grid" --shard "$task/$tasks" --cache "$cache" --budget "${BUDGET:-3000}" --quiet \
    --csv "$out/task-$task.csv" || status=$?
conv-cache export --cache "$cache" "$out/task-$task.cvl"
exit "$status"
