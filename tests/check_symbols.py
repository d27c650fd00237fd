#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_symbols.py ROOT SHARED STATIC: the shared library exports what include/cvl declares as CVL_API and nothing
else; every global of the static library begins with cvl_, so that no name of a program that links it is taken."""
import os
import re
import subprocess
import sys

DECLARED = re.compile(r"^CVL_API[^;{]*?\b(cvl_\w+)\s*\(", re.M)
# What the compilers' sanitizers and coverage put into every object.
INSTRUMENTED = re.compile(r"^(__asan|__ubsan|__odr_asan|_ZN|__gcov|__llvm|__start_|__stop_|_init$|_fini$|\.)")


def declared(root):
    """Functions that the public headers promise."""
    names = set()
    folder = os.path.join(root, "include", "cvl")
    for header in os.listdir(folder):
        with open(os.path.join(folder, header), encoding="utf-8") as file:
            names.update(DECLARED.findall(file.read()))
    return names


def defined(library, *flags):
    """Global symbols that a library defines."""
    command = ["nm", "-g", "--defined-only", *flags, library]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    symbols = {line.split()[-1].split("@")[0] for line in lines if len(line.split()) == 3}
    return {symbol for symbol in symbols if not INSTRUMENTED.match(symbol)}


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: check_symbols.py ROOT SHARED STATIC")
    root, shared, static = sys.argv[1:]
    promised, exported, globals_ = declared(root), defined(shared, "-D"), defined(static)
    faults = [f"{name} is declared as CVL_API and not exported" for name in sorted(promised - exported)]
    faults += [f"{name} is exported and no public header declares it" for name in sorted(exported - promised)]
    faults += [f"{name} is a global of {os.path.basename(static)}, expected a name that begins with cvl_"
               for name in sorted(globals_) if not name.startswith("cvl_")]
    if not promised or not globals_:
        faults.append("no symbol was found at all")
    print("\n".join(faults + [f"{len(exported)} exported, {len(globals_)} globals, {len(faults)} faults"]))
    sys.exit(1 if faults else 0)


main()
