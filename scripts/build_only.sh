#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build_only.sh DIRECTORY SETUP-ARGUMENTS...: a configuration that must build without a warning and run its main program.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$1
shift
rm -rf "$build"
meson setup "$build" "$root" -Dwerror=true -Dtests=false "$@"
ninja -C "$build"
"$build/bench/conv-bench" --cache "" --quiet --conv fwd:f32:nchw:n1c8h9w9k8r3s3:pad1 --pass all --layout all --verify
