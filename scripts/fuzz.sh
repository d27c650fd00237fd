#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fuzz.sh BUILD [SECONDS]: the targets of tests/fuzz under libFuzzer with address and undefined-behaviour sanitizers, so
# many seconds each (30). What it finds stays in BUILD/found-*; the corpus grows in BUILD/corpus-*.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$1
seconds=${2:-30}
rm -rf "$build/meson-private"
CC=clang meson setup "$build" "$root" -Dfuzz=true -Donednn=disabled -Dcuda=disabled >/dev/null
for name in cache problem grid; do
    ninja -C "$build" --quiet "tests/fuzz/libfuzzer_$name"
    mkdir -p "$build/corpus-$name"
    "$build/tests/fuzz/libfuzzer_$name" -max_total_time="$seconds" -max_len=4096 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="$build/found-$name-" "$build/corpus-$name" "$root/tests/fuzz/seeds/$name"
done
