#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_install.sh SOURCE BUILD PREFIX: installs BUILD, compiles the examples against it through pkg-config as a stranger
# would, dynamically and statically, runs them, and checks that the README shows the example that was compiled.
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

readelf -d "$lib/libcvl.so" | grep -q 'SONAME.*libcvl.so.0'
for program in conv-bench conv-cache; do
    LD_LIBRARY_PATH="$lib" "$prefix/usr/local/bin/$program" --version
    test -s "$prefix/usr/local/share/man/man1/$program.1"
done
python3 "$source/tests/check_readme.py" "$source/README.md" "$source/examples/first_plan.c"
