#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""verify_nets.py CONV-BENCH NETS: every layer of every network, all passes and layouts, all candidates, all outputs held
against the oracle. Images are cut to a few pixels and channels to some dozens, so that minutes suffice; filters, strides,
pads, dilations and groups stay as they are."""
import csv
import os
import subprocess
import sys
import tempfile

IMAGE, CHANNELS, BATCH = 12, 40, 2


def effective(layer, taps, dilation):
    return (int(layer[taps]) - 1) * int(layer[dilation]) + 1


def reduced(layer):
    """The layer with a small image that its filter still fits, and few channels that its groups still divide."""
    layer = dict(layer)
    layer["n"] = min(int(layer["n"]), BATCH)
    for side, pad, taps, dilation in (("h", "pad_h", "r", "dil_h"), ("w", "pad_w", "s", "dil_w")):
        least = effective(layer, taps, dilation) - 2 * int(layer[pad])
        layer[side] = min(int(layer[side]), max(IMAGE, least + 3))
    groups = int(layer["groups"])
    kept = min(groups, CHANNELS // 8 if groups < int(layer["c"]) else CHANNELS)
    for channels in ("c", "k"):
        of_group = int(layer[channels]) // groups
        layer[channels] = min(of_group, max(1, CHANNELS // kept)) * kept
    layer["groups"] = kept
    return layer


def main(bench, nets):
    failures = 0
    for name in sorted(n for n in os.listdir(nets) if n.endswith(".csv")):
        with open(os.path.join(nets, name), newline="", encoding="utf-8") as file:
            layers = [reduced(layer) for layer in csv.DictReader(file)]
        with tempfile.TemporaryDirectory() as folder:
            grid = os.path.join(folder, name)
            with open(grid, "w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, layers[0].keys())
                writer.writeheader()
                writer.writerows(layers)
            passes = [] if "pass" in layers[0] else ["--pass", "all"]
            command = [bench, "--grid", grid, *passes, "--layout", "all", "--mode", "estimate", "--verify", "--quiet",
                       "--cache", ""]
            result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        print(f"{name}: {len(layers)} layers, exit {result.returncode}")
        if result.returncode != 0:
            failures += 1
            print(result.stdout[-4000:])
    sys.exit(1 if failures else 0)


main(*sys.argv[1:])
