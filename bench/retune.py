#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""retune.py [--bench COMMAND] [--net NET] [--threads N] [--times 5] [--layout L]

Tunes a network several times from nothing, audits each result (conv-bench --audit races the stored candidates again), and
prints how long each tuning took, what it lost and which choices flipped outside the tie band. Exits with 1 when more
than --flips percent of all choices flipped, or the mean regret is above --most percent.
"""
import argparse
import re
import shlex
import subprocess
import sys
import tempfile

TOTAL = re.compile(r"audited (\d+) of \d+ layers; regret (-?[\d.]+) %.*?, (-?[\d.]+) % at worst; (\d+) choices? flipped")


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default="build/bench/conv-bench")
    parser.add_argument("--net", default="resnet50")
    parser.add_argument("--layout", default="nchw")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--flips", type=float, default=2)
    parser.add_argument("--most", type=float, default=1.5)
    arguments = parser.parse_args()
    choices = flips = regrets = 0
    for i in range(arguments.times):
        with tempfile.TemporaryDirectory() as cache:
            command = shlex.split(arguments.bench) + ["--net", arguments.net, "--layout", arguments.layout,
                                                      "--threads", arguments.threads, "--cache", cache]
            tuned = run(command)
            audit = run(command + ["--audit"])
        took = re.search(r"([\d.]+) s: \d+/\d+ layers", tuned)
        layers, regret, worst, flipped = TOTAL.search(audit).groups()
        print(f"{i + 1}: tuned in {took[1] if took else '?'} s, regret {regret} %, {worst} % at worst, {flipped} flips", flush=True)
        for line in audit.splitlines():
            if "FLIP" in line:
                print("  ", line, flush=True)
        choices += int(layers)
        flips += int(flipped)
        regrets += float(regret)
    print(f"{flips} of {choices} choices flipped, {100 * flips / choices:.1f} %; mean regret {regrets / arguments.times:.2f} %")
    sys.exit(100 * flips > arguments.flips * choices or regrets > arguments.most * arguments.times)


if __name__ == "__main__":
    main()
