#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpu_ratios.py RATES.log RESULTS.csv...: what conv-bench measured on a GPU, as ratios against cuDNN in the same run:
the selector's choice over every configuration, and over the framework's way of choosing; our own kernels alone; and for
depthwise layers the share of the copy bandwidth. Above 1 ours is faster; each layer counts once, however often the net
has it. Prints one line a file and one for each layer that falls behind."""
import csv
import math
import re
import sys

TYPE_BYTES = {"f32": 4, "bf16": 2, "f16": 2}
SHAPE = re.compile(r":n(\d+)c(\d+)h(\d+)w(\d+)k(\d+)r(\d+)s(\d+)")


def mean(values):
    """Geometric; NaN of nothing."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def read(path):
    """Layer and problem to its measured rows; those of candidates that were far behind hold a single sample."""
    layers = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["status"] in ("ok", "eliminated") and row["median_ms"]:
                layers.setdefault((row["name"], row["problem"]), []).append(row)
    return layers


def best(rows, of):
    """The least median of the rows whose algorithm passes, or None."""
    times = [float(row["median_ms"]) for row in rows if of(row["algorithm"])]
    return min(times) if times else None


def copy_rate(path):
    """Bytes a second that one byte read and written counts once for; None where it was not measured."""
    with open(path, encoding="utf-8") as file:
        found = re.search(r"^copy in memory\s+([\d.]+)", file.read(), re.M)
    return float(found.group(1)) * 1e9 if found else None


def tensor_bytes(problem):
    """Of x, w and y of a depthwise or other problem with its strides' output size."""
    n, c, h, w, k, r, s = map(int, SHAPE.search(problem).groups())
    stride = int((re.search(r":stride(\d+)", problem) or [0, 1])[1])
    groups = int((re.search(r":g(\d+)", problem) or [0, 1])[1])
    size = TYPE_BYTES[problem.split(":")[1].split("-")[0]]
    return size * (n * c * h * w + k * (c // groups) * r * s + n * k * math.ceil(h / stride) * math.ceil(w / stride))


def is_depthwise(problem):
    groups = re.search(r":g(\d+)", problem)
    return groups is not None and int(groups.group(1)) == int(SHAPE.search(problem).group(2))


def main(rates, paths):
    rate = copy_rate(rates)
    for path in paths:
        chosen, framework, own, depthwise, shares, behind = [], [], [], [], [], []
        for (name, problem), rows in read(path).items():
            exhaustive = best(rows, lambda a: a == "cudnn")
            frame = best(rows, lambda a: a == "cudnn-framework")
            ours = best(rows, lambda a: not a.startswith("cudnn"))
            anyone = best(rows, lambda a: a != "cudnn-framework")
            if anyone and frame:
                framework.append(frame / anyone)
            if not (anyone and exhaustive):
                continue
            chosen.append(exhaustive / anyone)
            if ours:
                own.append(exhaustive / ours)
                if is_depthwise(problem):
                    depthwise.append(exhaustive / ours)
                    if rate:
                        shares.append(tensor_bytes(problem) / 2 / (ours * 1e-3) / rate)
                if exhaustive / ours < 1:
                    behind.append(f"    {name:28} ours {ours:.4f} ms, cuDNN {exhaustive:.4f} ms  {problem}")
        least = min(chosen, default=math.nan)
        print(f"{path}: {len(chosen)} layers; choice over cuDNN {mean(chosen):.3f}, least {least:.3f}; over framework "
              f"{mean(framework):.3f}; ours over cuDNN {mean(own):.3f}; depthwise {mean(depthwise):.3f} at "
              f"{100 * mean(shares):.0f} % of the copy bandwidth")
        print("\n".join(behind) if behind else "    no layer where cuDNN beats our own kernels")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: gpu_ratios.py RATES.log RESULTS.csv...")
    main(sys.argv[1], sys.argv[2:])
