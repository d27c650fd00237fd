#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_engine.sh SOURCE ENGINE: examples/engine.c with a cache that was tuned, with none, with a stale and with a
# damaged one. It always answers, from the cache where that is good, by estimate where not; conv-bench and conv-cache
# are in PATH.
set -eu
source=$1
engine=$2
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

tune=
for text in $(grep -o 'fwd:[^"]*' "$source/examples/engine.c"); do
    tune="$tune --conv $text"
done
conv-bench $tune --threads 1 --cache "$place/tuned" --quiet
conv-cache export --cache "$place/tuned" "$place/tuned.cvl"

# The lines of another revision, with their checksums made anew; and some with one byte changed.
python3 - "$place" <<'EOF'
import re, sys, zlib
place = sys.argv[1]
lines = open(place + "/tuned.cvl", encoding="utf-8").read().splitlines()
def stale(line):
    text = re.sub(r" rev=\d+ ", " rev=12345 ", line).rsplit(" crc=", 1)[0]
    return "%s crc=%08x" % (text, zlib.crc32(text.encode()))
open(place + "/stale.cvl", "w").write("\n".join([lines[0]] + [stale(line) for line in lines[1:]]) + "\n")
damaged = [lines[0]] + [line.replace("ms=", "ns=", 1) for line in lines[1:]]
open(place + "/damaged.cvl", "w").write("\n".join(damaged) + "\n")
EOF

# expect CACHE SOURCE COUNT: so many of the four layers are answered from there.
expect() {
    "$engine" "$1" >"$place/out"
    cat "$place/out"
    [ "$(grep -c " $2 " "$place/out")" -eq "$3" ] || { echo "$1: expected $3 answers by $2" >&2; exit 1; }
    grep -q '^3 threads, 5 images each: [-0-9.]*$' "$place/out"
}
expect "$place/tuned.cvl" cache 4
expect "$place/nothing-there" estimate 4
expect "$place/stale.cvl" estimate 4
expect "$place/damaged.cvl" estimate 4
CVL_CACHE="$place/stale.cvl:$place/tuned.cvl" "$engine" | grep -c ' cache ' | grep -qx 4
CVL_CACHE="$place/tuned.cvl" CVL_MODE=frozen "$engine" | grep -c ' cache ' | grep -qx 4
if CVL_CACHE="$place/nothing-there" CVL_MODE=frozen "$engine" 2>"$place/error"; then
    echo "frozen without a cache must fail" >&2
    exit 1
fi
grep -q 'no record of fwd:f32:nhwc:n1c3h32w32k16r3s3' "$place/error"
CVL_VERBOSE=1 "$engine" "$place/tuned.cvl" 2>&1 >"$place/out" | grep -c '^cvl: fwd:' | grep -qx 4
