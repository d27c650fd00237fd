#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""summary.py [--layers] [--peer NAME] [--only REGEX] [--fastest OUT.csv] CSV...: conv-bench's tables, by network.

For each file, pass, layout and number of threads, and each algorithm at its fastest candidate per layer: how many
layers it took, the geometric means of GFLOP/s and of the share of the peak, the sum of its times (each layer as often
as the network has it; only where it took them all), and the layer where the peer is furthest ahead. --layers shows
every layer as well: percent of the peak by algorithm, and who is fastest. `ours` is the fastest of all algorithms but
the peer and the oracle. --only takes the layers whose name begins with the expression. --fastest writes the rows behind
all that, each algorithm's fastest candidate of every layer, as they were read."""
import argparse
import csv
import math
import re
from collections import OrderedDict


def read(path, only):
    """{(pass, layout, threads): {layer: {algorithm: row of its fastest candidate}}}"""
    groups = OrderedDict()
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["status"] not in ("ok", "eliminated") or not row["median_ms"] \
                    or not re.match(only, row["name"]):
                continue
            layers = groups.setdefault((row["pass"], row["layout"], row["threads"]), OrderedDict())
            best = layers.setdefault((row["name"], row["problem"]), {})
            ours = best.get(row["algorithm"])
            if ours is None or float(row["median_ms"]) < float(ours["median_ms"]):
                best[row["algorithm"]] = row
    return groups


def mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def time_of(row):
    return float(row["median_ms"])


def add_ours(layers, peer):
    for best in layers.values():
        own = [row for algorithm, row in best.items() if algorithm not in (peer, "reference")]
        if own:
            best["ours"] = min(own, key=time_of)


def count_of(row):
    return int(row["count"] or 1)


def summarize(layers, algorithm, peer):
    rows = {layer: best[algorithm] for layer, best in layers.items() if algorithm in best}
    gflops = mean([float(row["gflops"]) for row in rows.values()])
    percent = mean([float(row["percent_peak"]) for row in rows.values()])
    total = sum(time_of(row) * count_of(row) for row in rows.values())
    at_peak = sum(time_of(row) * count_of(row) * float(row["percent_peak"]) / 100 for row in rows.values())
    ratios = [(time_of(layers[layer][peer]) / time_of(row), layer[0])
              for layer, row in rows.items() if peer in layers[layer]]
    worst = "{:.3f} {}".format(*min(ratios)) if ratios and algorithm != peer else ""
    complete = f"{total:10.3f} {total / at_peak:7.3f}" if len(rows) == len(layers) else " " * 18
    return f"  {algorithm:<10} {len(rows):>6} {gflops:>8.1f} {percent:>7.1f} {complete}  {worst}"


def show_layers(layers, algorithms):
    print("  " + "layer".ljust(22) + "".join(a[:9].rjust(10) for a in algorithms) + "  fastest")
    for (name, _), best in layers.items():
        cells = [f"{float(best[a]['percent_peak']):10.1f}" if a in best else " " * 10 for a in algorithms]
        fastest = min((row for a, row in best.items() if a != "ours"), key=time_of)
        print("  " + name.ljust(22) + "".join(cells) + f"  {fastest['candidate']} {time_of(fastest):.4g} ms")


def write_fastest(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", action="store_true")
    parser.add_argument("--peer", default="onednn")
    parser.add_argument("--only", default="", metavar="REGEX")
    parser.add_argument("--fastest", metavar="OUT.csv")
    parser.add_argument("csv", nargs="+")
    options = parser.parse_args()
    fastest = []
    for path in options.csv:
        for key, layers in read(path, options.only).items():
            fastest += [row for best in layers.values() for row in best.values()]
            add_ours(layers, options.peer)
            present = {a for best in layers.values() for a in best}
            algorithms = sorted(present - {"ours"}) + sorted(present & {"ours"})
            print(f"{path}: {key[0]} {key[1]}, {key[2]} thread{'s' if key[2] != '1' else ''}, {len(layers)} layers")
            print("  algorithm  layers  GFLOP/s  % peak   total ms / peak  "
                  f"worst time of {options.peer} over its own, and where")
            for algorithm in algorithms:
                print(summarize(layers, algorithm, options.peer))
            if options.layers:
                show_layers(layers, algorithms)
    if options.fastest and fastest:
        write_fastest(options.fastest, fastest)


main()
