#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""retune.py [--bench COMMAND] [--net NET] [--threads N] [--times 5] [--layout L]

Tunes a network several times from nothing, audits each result (conv-bench --audit races the stored candidates again), and
prints how long each tuning took, what it lost, and which choices flipped outside the tie band:

- between tunings: a choice that is not the layer's usual one, and by the median of the ratios that all tunings measured
  is more than 2 % faster or slower than it;
- in an audit: another process found another candidate to be certainly faster. That counts what each tuning chose badly,
  and also what differs from process to process, such as where their memory came to lie.

Exits with 1 when more than --flips percent of all choices flipped between tunings, or the mean regret is above --most
percent.
"""
import argparse
import collections
import csv
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile

TIE = 0.02
TOTAL = re.compile(r"audited (\d+) of \d+ layers; regret (-?[\d.]+) %.*?, (-?[\d.]+) % at worst; (\d+) choices? flipped")


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    return done.stdout


def choices_of(path):
    """{layer: (chosen candidate, {candidate: ms})}"""
    layers = {}
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            chosen, times = layers.get(row["name"], (None, {}))
            if row["median_ms"]:
                times[row["candidate"]] = float(row["median_ms"])
            layers[row["name"]] = (row["candidate"] if row["chosen"] == "1" else chosen, times)
    return layers


def flips_between(runs):
    """[(layer, run, choice, usual choice, ratio of their times)] of those outside the tie band."""
    flips = []
    for layer in runs[0]:
        usual = collections.Counter(run[layer][0] for run in runs).most_common(1)[0][0]
        for number, one in enumerate(runs, 1):
            choice = one[layer][0]
            ratios = [times[choice] / times[usual] for _, times in (run[layer] for run in runs)
                      if choice in times and usual in times]
            ratio = statistics.median(ratios) if ratios else float("inf")
            if choice != usual and not 1 / (1 + TIE) <= ratio <= 1 + TIE:
                flips.append((layer, number, choice, usual, ratio))
    return flips


def retune(arguments, number):
    """(choices_of the tuning, audited layers, flips in the audit, regret in percent)"""
    with tempfile.TemporaryDirectory() as folder:
        command = shlex.split(arguments.bench) + ["--net", arguments.net, "--layout", arguments.layout, "--threads",
                                                  arguments.threads, "--cache", os.path.join(folder, "cache")]
        results = os.path.join(folder, "tuned.csv")
        tuned = run(command + ["--csv", results])
        audit = run(command + ["--audit"])
        choices = choices_of(results)
    took = re.search(r"([\d.]+) s: \d+/\d+ layers", tuned)
    layers, regret, worst, flipped = TOTAL.search(audit).groups()
    print(f"{number}: tuned in {took[1] if took else '?'} s, regret {regret} %, {worst} % at worst, {flipped} flips in the "
          "audit", flush=True)
    for line in audit.splitlines():
        if "FLIP" in line:
            print("  ", line, flush=True)
    return choices, int(layers), int(flipped), float(regret)


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
    runs, layers, audited, regrets = zip(*[retune(arguments, i + 1) for i in range(arguments.times)])
    flips, choices, regret = flips_between(runs), sum(layers), statistics.mean(regrets)
    for layer, number, choice, usual, ratio in flips:
        print(f"   {layer}: {choice} in tuning {number}, usually {usual}, {ratio:.3f} of its time")
    print(f"{len(flips)} of {choices} choices flipped between tunings, {100 * len(flips) / choices:.1f} %; {sum(audited)} "
          f"in audits; mean regret {regret:.2f} %")
    sys.exit(100 * len(flips) > arguments.flips * choices or regret > arguments.most)


if __name__ == "__main__":
    main()
