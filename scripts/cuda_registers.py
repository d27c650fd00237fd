#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cuda_registers.py BUILD [FILE.cu]...: registers, spills, stack and static shared memory of every CUDA kernel, as
ptxas tells them, one line a kernel. Compiles each .cu of a configured build once more, for sm_90a alone."""
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

COMMAND = re.compile(r"^build (\S+\.cu\.o):.*\n(?: .*\n)*? COMMAND = (.*)$", re.M)
ENTRY = re.compile(r"Compiling entry function '(\w+)'.*?\n(?:.*?\n)*?\s*(\d+) bytes stack frame, "
                   r"(\d+) bytes spill stores, (\d+) bytes spill loads\n.*?Used (\d+) registers(.*)")
SHARED = re.compile(r"(\d+) bytes smem")


def commands(build):
    """The nvcc command lines of a build folder, as lists, by their .cu."""
    with open(os.path.join(build, "build.ninja"), encoding="utf-8") as file:
        for _, command in COMMAND.findall(file.read()):
            words = shlex.split(command.replace("$ ", " ").replace("$:", ":"))
            yield words[words.index("-c") + 1], words


def verbose(words):
    """The same for one architecture, with ptxas talking and the object thrown away."""
    kept = [word for word in words if "compute_80" not in word]
    kept[kept.index("-o") + 1] = os.devnull
    for flag, values in (("-MF", 1), ("-MD", 0)):
        at = kept.index(flag)
        del kept[at:at + 1 + values]
    at = kept.index("-c")
    kept[at] = "-cubin"
    return kept + ["-Xptxas=-v"]


def compile_verbosely(words, build):
    return subprocess.run(verbose(words), cwd=build, capture_output=True, text=True)


def demangle(names):
    try:
        done = subprocess.run(["c++filt", "-p"], input="\n".join(names), capture_output=True, text=True, check=True)
        return done.stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return names


def main(build, only):
    print(f"{'registers':>9} {'spilled':>8} {'stack':>6} {'static shared':>13}  kernel")
    failed = False
    work = [pair for pair in commands(build) if not only or os.path.basename(pair[0]) in only]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        said = list(pool.map(lambda pair: compile_verbosely(pair[1], build), work))
    for (source, _), done in zip(work, said):
        if done.returncode:
            print(f"{source}: {done.stderr.strip()[-400:]}")
            failed = True
            continue
        entries = ENTRY.findall(done.stderr)
        for entry, name in zip(entries, demangle([entry[0] for entry in entries])):
            _, stack, stores, loads, registers, rest = entry
            shared = SHARED.search(rest)
            print(f"{registers:>9} {int(stores) + int(loads):>8} {stack:>6} {shared.group(1) if shared else 0:>13}  "
                  f"{os.path.basename(source)}: {name}")
    return failed


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: cuda_registers.py BUILD [FILE.cu]...")
    sys.exit(main(sys.argv[1], sys.argv[2:]))
