#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_install.sh SOURCE BUILD PREFIX: installs BUILD, compiles the examples against it through pkg-config as a
# stranger would, dynamically and statically, runs them, and checks that the README shows the example that was compiled.
set -eu
source=$1
build=$2
prefix=$3
rm -rf "$prefix"
DESTDIR="$prefix" meson install -C "$build" --quiet
installed=$(dirname "$(find "$prefix" -name cvl.pc)")
export PKG_CONFIG_PATH="$installed"
pc="pkg-config --define-variable=prefix=$prefix/usr/local"
lib=$(dirname "$installed")

XDG_CACHE_HOME=$(mktemp -d)
export XDG_CACHE_HOME
trap 'rm -rf "$XDG_CACHE_HOME"' EXIT
for example in "$source"/examples/*.c; do
    name=$(basename "$example" .c)
    cc -std=c11 -Wall -Wextra -Werror "$example" -o "$prefix/$name" $($pc --cflags --libs cvl)
    LD_LIBRARY_PATH="$lib" "$prefix/$name"
    cc -std=c11 "$example" -o "$prefix/$name-static" $($pc --cflags cvl) "$lib/libcvl.a" $(pkg-config --libs openblas) \
        $(sed -n 's/^Libs.private://p' "$installed/cvl.pc") -lpthread
    "$prefix/$name-static"
done

# The engine with a cache that was tuned with the installed programs, then without it, stale, and damaged: the same sum.
export LD_LIBRARY_PATH="$lib"
PATH="$prefix/usr/local/bin:$PATH"
sh "$source/tests/check_engine.sh" "$source" "$prefix/engine"

# An array of two jobs, and the merge of what they leave.
grid="$XDG_CACHE_HOME/grid.csv"
head -n 1 "$source/bench/nets/convnet-benchmarks.csv" >"$grid"
for size in 5 6 7 8; do
    echo "l$size,1,8,$size,9,8,3,3,1,1,1,1,1,1,1,1" >>"$grid"
done
REMOTE_SHELL="sh $source/tests/run_here.sh" BUDGET=60 \
    sh "$source/examples/slurm/tune-parallel.sh" "$grid" "$XDG_CACHE_HOME/jobs" one two
[ "$(conv-cache show --cache "$XDG_CACHE_HOME/jobs/tuned.cvl" | grep -c '^\*')" -eq 4 ]

readelf -d "$lib/libcvl.so" | grep -q 'SONAME.*libcvl.so.0'
for program in conv-bench conv-cache; do
    LD_LIBRARY_PATH="$lib" "$prefix/usr/local/bin/$program" --version
    test -s "$prefix/usr/local/share/man/man1/$program.1"
done
python3 "$source/tests/check_readme.py" "$source/README.md" "$source/examples/first_plan.c"
