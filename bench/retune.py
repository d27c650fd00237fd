#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""retune.py [--bench COMMAND] [--net NET] [--threads N] [--times 5] [--layout L] [--fresh] [--mode M] [--keep FOLDER]

Tunes a network from nothing, then tunes it again several times into the same cache (conv-bench --retune), audits what
the cache chooses after each (conv-bench --audit races the stored candidates again, in a process of its own), and prints
how long each tuning took, what its choices lose, and which of them flipped:

- against the tuning before: another candidate is chosen. It is outside the tie band when neither state of the cache
  held the two to be equal (within 2 % of the fastest, or with an overlapping interval): both were sure, and one of them
  was wrong, or the machine has changed.
- in an audit: another process found another candidate to be certainly faster. That counts what was chosen badly, and
  also what differs from process to process, such as where their memory came to lie.

--fresh gives each tuning a cache of its own and compares tunings that know nothing of each other: what differs between
processes. --mode exhaustive, which implies it, tells how much of that is no lack of samples: what flips there, where
every candidate runs every round, no amount of measuring in one process settles.

Exits with 1 when more than --flips percent of the choices flipped outside the tie band, or the mean regret is above
--most percent.
"""
import argparse
import csv
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile

TOTAL = re.compile(r"audited \d+ of \d+ layers; regret (-?[\d.]+) %.*?, (-?[\d.]+) % at worst; (\d+) choices? flipped")


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    return done.stdout


def choices_of(path):
    """{layer: {candidate: its row}} of those that were measured"""
    layers = {}
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["median_ms"]:
                layers.setdefault(row["name"], {})[row["candidate"]] = row
    return layers


def chosen(rows):
    return next((name for name, row in rows.items() if row["chosen"] == "1"), None)


def ties(rows, candidate):
    """Is it one of those that the tuning found to be as fast as the fastest?"""
    return candidate in rows and (rows[candidate]["chosen"] == "1" or rows[candidate]["reason"].startswith("as fast as"))


def times_slower(rows, candidate, other):
    """What it took over what the other took there; not a number: one of them did not run."""
    if candidate not in rows or other not in rows:
        return float("nan")
    return float(rows[candidate]["median_ms"]) / float(rows[other]["median_ms"])


def flips_between(before, after):
    """[(layer, choice before, choice after, their ratio then and now, outside the tie band?)]"""
    flips = []
    for layer, rows in after.items():
        was, now = chosen(before[layer]), chosen(rows)
        if was != now:
            outside = not ties(before[layer], now) and not ties(rows, was)
            flips.append((layer, was, now, times_slower(before[layer], now, was), times_slower(rows, now, was), outside))
    return flips


def tune_and_audit(arguments, folder, number):
    """(choices_of the tuning, flips in the audit, regret in percent)"""
    cache = os.path.join(folder, f"cache{number}" if arguments.fresh else "cache")
    results = os.path.join(folder, f"tuned{number}.csv")
    command = shlex.split(arguments.bench) + ["--net", arguments.net, "--layout", arguments.layout, "--threads",
                                              arguments.threads, "--cache", cache]
    again = ["--retune"] if number > 0 and not arguments.fresh else ["--mode", arguments.mode]
    tuned = run(command + again + ["--csv", results])
    audit = run(command + ["--audit"])
    took = re.search(r"([\d.]+) s: \d+/\d+ layers", tuned)
    regret, worst, flipped = TOTAL.search(audit).groups()
    print(f"{number}: tuned in {took[1] if took else '?'} s, regret {regret} %, {worst} % at worst, {flipped} flips in "
          "the audit", flush=True)
    for line in audit.splitlines():
        if "FLIP" in line:
            print("  ", line, flush=True)
    return choices_of(results), int(flipped), float(regret)


def print_flips(flips):
    for layer, was, now, then, today, outside in flips:
        print(f"   {layer}: {now} after {was}, {then:.3f} of its time then and {today:.3f} now"
              f"{', OUTSIDE the tie band' if outside else ''}", flush=True)


def tune_repeatedly(arguments, folder):
    """(all flips between successive tunings, flips in the audits, regrets, choices compared)"""
    choices, audited, regret = tune_and_audit(arguments, folder, 0)
    flips, regrets, count = [], [regret], 0
    for number in range(1, arguments.times + 1):
        before = choices
        choices, flipped, regret = tune_and_audit(arguments, folder, number)
        changed = flips_between(before, choices)
        print_flips(changed)
        flips += changed
        count += len(choices)
        audited += flipped
        regrets.append(regret)
    return flips, audited, regrets, count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default="build/bench/conv-bench")
    parser.add_argument("--net", default="resnet50")
    parser.add_argument("--layout", default="nchw")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--mode", default="tune", choices=("tune", "exhaustive"))
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--flips", type=float, default=2)
    parser.add_argument("--most", type=float, default=1.5)
    parser.add_argument("--keep", metavar="FOLDER", help="where caches and results are to stay")
    arguments = parser.parse_args()
    arguments.fresh |= arguments.mode == "exhaustive"
    with tempfile.TemporaryDirectory() as folder:
        if arguments.keep:
            os.makedirs(arguments.keep)
        flips, audited, regrets, count = tune_repeatedly(arguments, arguments.keep or folder)
    outside, mean = sum(flip[-1] for flip in flips), statistics.mean(regrets)
    print(f"{outside} of {count} choices flipped outside the tie band, {100 * outside / count:.1f} %; {len(flips)} in "
          f"all; {audited} in audits; mean regret {mean:.2f} %")
    sys.exit(100 * outside > arguments.flips * count or mean > arguments.most)


if __name__ == "__main__":
    main()
