#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""estimate_regret.py MEASURED.csv... --estimates ESTIMATED.csv... [--most PERCENT]

What a choice by estimate loses: of each layer that both kinds of conv-bench results hold, the measured time of the
candidate that --mode estimate chose, over the least measured time of all. Prints a line for each file of estimates and
one for all, each layer times its count; exits with 1 when a file's regret is above --most. How the files are made:

    conv-bench --machine --cache constants
    conv-bench --net unet --mode exhaustive --cache "" --csv unet.csv
    conv-bench --net unet --mode estimate --cache constants --csv unet-estimated.csv
"""
import argparse
import csv
import sys


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def measured_times(paths):
    """{(problem, threads, isa): {candidate: ms}} of those that were right; the least of several files, as a disturbance
    during few rounds makes their median longer and never shorter."""
    times = {}
    for path in paths:
        for row in rows(path):
            if row["median_ms"] and row["status"] in ("ok", "eliminated"):
                key = row["problem"], row["threads"], row["isa"]
                known, ms = times.setdefault(key, {}), float(row["median_ms"])
                known[row["candidate"]] = min(ms, known.get(row["candidate"], ms))
    return times


def judge(path, times):
    """(ms of the choices, ms of the best, layers, worst: (regret, layer, choice, best))"""
    chosen_ms = best_ms = layers = 0
    worst = (0, "-", "-", "-")
    for row in rows(path):
        known = times.get((row["problem"], row["threads"], row["isa"]), {})
        if row["chosen"] != "1" or not known:
            continue
        if row["candidate"] not in known:
            print(f"{path}: {row['name']}: {row['candidate']} was not measured, the layer does not count",
                  file=sys.stderr)
            continue
        ms, best = known[row["candidate"]], min(known, key=known.get)
        layers += 1
        chosen_ms += int(row["count"]) * ms
        best_ms += int(row["count"]) * known[best]
        worst = max(worst, (ms / known[best] - 1, row["name"], row["candidate"], best))
    return chosen_ms, best_ms, layers, worst


def put(name, chosen_ms, best_ms, layers, worst):
    print(f"{name}: {layers} layers, regret {100 * (chosen_ms / best_ms - 1):.1f} %, at worst {100 * worst[0]:.1f} % "
          f"({worst[1]}: {worst[2]} for {worst[3]})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", nargs="+")
    parser.add_argument("--estimates", nargs="+", required=True)
    parser.add_argument("--most", type=float, default=float("inf"))
    arguments = parser.parse_args()
    times = measured_times(arguments.measured)
    sums, failed = [0, 0, 0, (0, "-", "-", "-")], False
    for path in arguments.estimates:
        one = judge(path, times)
        if not one[2]:
            sys.exit(f"{path}: no layer that was measured")
        put(path, *one)
        failed |= 100 * (one[0] / one[1] - 1) > arguments.most
        sums = [sums[0] + one[0], sums[1] + one[1], sums[2] + one[2], max(sums[3], one[3])]
    put("all", *sums)
    sys.exit(failed)


if __name__ == "__main__":
    main()
