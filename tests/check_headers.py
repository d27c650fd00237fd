#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_headers.py ROOT BUILD COMPILER...: every header compiles alone, without a warning; the public ones with no
other include path than their own, as C11, C99 and, where there is a C++ compiler, as C++11. Headers of what wraps a
vendor's library are counted as left out where the vendor's headers that they include are not installed."""
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wstrict-prototypes", "-Werror", "-fsyntax-only"]
KERNEL = ["-DCVL_ISA_LEVEL=generic", "-DCVL_VEC_BYTES=16", "-Wno-psabi", "-Wno-pedantic", "-Wno-unused-parameter"]
VENDORS = re.compile(r"fatal error: '?(?:cuda\w*|cudnn\w*|library_types|oneapi/dnnl/\w+)\.h'?:? "
                     r"(?:No such file|file not found)")
WRAPPERS = ("base/cuda/", "conv/cuda/", "conv/onednn/")


def headers(root):
    """Paths of all headers from the root, without build folders and hidden ones."""
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith((".", "build"))]
        yield from (os.path.relpath(os.path.join(folder, n), root) for n in sorted(names) if n.endswith(".h"))


def generated_folders(build):
    """Folders of the build that hold generated headers."""
    return sorted({folder for folder, _, names in os.walk(build) if any(n.endswith(".h") for n in names)})


def compile_alone(command, header):
    """What the compiler says of a file that is two times this include; empty when it is content."""
    source = f'#include "{header}"\n#include "{header}"\nint main(void) {{ return 0; }}\n'
    done = subprocess.run(command + ["-"], input=source, capture_output=True, text=True)
    return done.stderr if done.returncode else ""


def jobs(root, build, compiler):
    """(command, header) for every header in every language."""
    cxx = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    inside = [f"-I{root}", f"-I{root}/include"] + [f"-I{folder}" for folder in generated_folders(build)]
    for header in headers(root):
        if not header.startswith("include/"):
            beside = f"-I{os.path.join(root, os.path.dirname(header))}"
            yield compiler + WARNINGS + KERNEL + ["-std=c11", "-D_GNU_SOURCE", "-x", "c", beside] + inside, header
            continue
        public, name = [f"-I{root}/include"], os.path.relpath(header, "include")
        for standard in ("c99", "c11"):
            yield compiler + WARNINGS + [f"-std={standard}", "-x", "c"] + public, name
        if cxx:
            flags = [flag for flag in WARNINGS if flag != "-Wstrict-prototypes"]
            yield [cxx] + flags + ["-std=c++11", "-x", "c++"] + public, name


def main():
    if len(sys.argv) < 4:
        sys.exit("usage: check_headers.py ROOT BUILD COMPILER...")
    work = list(jobs(sys.argv[1], sys.argv[2], sys.argv[3:]))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        said = list(pool.map(lambda job: compile_alone(*job), work))
    faults = left_out = 0
    for (command, header), text in zip(work, said):
        if header.startswith(WRAPPERS) and VENDORS.search(text):
            left_out += 1
        elif text:
            faults += 1
            print(f"{header} does not compile alone ({' '.join(command)}):\n{text}")
    print(f"{len(work)} compilations, {faults} faults, {left_out} left out")
    sys.exit(1 if faults or not work else 0)


main()
