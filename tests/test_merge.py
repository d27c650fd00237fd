#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_merge.py CONV-CACHE: files of records that compete are merged in random orders, and in two steps, into the same
bytes. CVL_MERGE=FILESxRECORDSxORDERS (20x100x4) says how many."""
import os
import random
import subprocess
import sys
import tempfile
import time
import zlib

PROGRAM = os.path.abspath(sys.argv[1])
FILES, RECORDS, ORDERS = map(int, os.environ.get("CVL_MERGE", "20x100x4").split("x"))
SEED = int(os.environ.get("CVL_TEST_SEED", str(time.time_ns() % 10**9)))


def seal(text):
    return f"{text} crc={zlib.crc32(text.encode()):08x}\n"


def record(chance):
    """Few different keys and ranks: most of them compete, many in everything but their bytes."""
    environment = f"{chance.randrange(4):016x}"
    problem = f"fwd:f32:nchw:n1c{8 * chance.randint(1, 40)}h{chance.randint(7, 14)}w7k64r3s3:pad1:const"
    fields = (f"rev={chance.randint(1, 2)} n={chance.choice((3, 6, 15))} when={1763900000 + chance.randrange(4)} "
              f"outcome=ok ms={chance.randint(1, 9)}.5 err=1e-07 det=1")
    state, rows = chance.choice(("hot", "cold")), chance.randint(1, 3)
    return seal(f"rec {environment} {state} {problem} im2col:rows={rows} {fields}")


def write(name, chance):
    lines = [record(chance) for _ in range(RECORDS)]
    lines += [seal(f"env {i:016x} cpu=CPU%20{i} isa=avx2 threads=2 l3={chance.randrange(3)}") for i in range(4)]
    lines += [seal(f"rates {i:016x} when={chance.randrange(3)} f32={chance.randint(1, 9)}e+10") for i in range(4)]
    lines += [seal(f"want {0:016x} hot fwd:f32:nchw:n1c{chance.randrange(9)}h8w8k8r1s1")]
    lines += [seal(f"later {chance.randrange(5)} thing")]
    with open(name, "w", encoding="utf-8", newline="") as file:
        file.write("convlab-cache 1\n" + "".join(lines))
    return name


def merge(out, names):
    subprocess.run([PROGRAM, "merge", "-o", out, *names], check=True)
    with open(out, "rb") as file:
        return file.read()


def main():
    print("seed", SEED, flush=True)
    chance = random.Random(SEED)
    names = [write(f"{i}.cvl", chance) for i in range(FILES)]
    results = set()
    for i in range(ORDERS):
        chance.shuffle(names)
        cut = chance.randint(1, FILES - 1)
        results.add(merge("once.cvl", names))
        merge("left.cvl", names[:cut])
        merge("right.cvl", names[cut:])
        results.add(merge("twice.cvl", ["right.cvl", "left.cvl", names[0], "right.cvl"]))
    assert len(results) == 1, f"{len(results)} different results"
    lines = results.pop().decode().splitlines()
    assert lines[1:] == sorted(lines[1:]) and len(set(lines)) == len(lines)
    print(f"{FILES} files of {RECORDS} records, {ORDERS} orders in one and in two steps: {len(lines)} lines each time")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        main()
        os.chdir("/")
