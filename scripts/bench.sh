#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The main job on a fresh Debian machine: installs what is missing, builds, and runs conv-bench with the arguments given
# (none: every layer of ResNet-50 at batch 1). Further runs answer from the algorithm cache.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/deps.sh"
need $build_packages

build=$root/build
[ -e "$build/build.ninja" ] || meson setup "$build" "$root" --buildtype=release -Dtests=false >"$root/build-setup.log" 2>&1 || {
    cat "$root/build-setup.log" >&2
    exit 1
}
ninja -C "$build" --quiet >&2
exec "$build/bench/conv-bench" "$@"
