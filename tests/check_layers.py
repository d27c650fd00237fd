#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_layers.py ROOT: every file includes leftwards only, base < gemm < conv < tuner < bench, tests, examples; a
backend conv/A includes nothing of another conv/B, and of a backend the layers to the right see only
conv/reference/oracle.h, and tests what of conv/cuda runs without a GPU; the public headers include only each other. File
names are unique, and none has over 600 lines."""
import os
import re
import sys

LAYERS = ["base", "gemm", "conv", "tuner", "ops", "graph", "bench", "tests", "examples"]
PROGRAMS = {"tests", "examples"}                   # side by side: none includes another
ORACLE = "conv/reference/oracle.h"                 # what of a backend all may see
# What tests may see of a backend, to run it where there is no GPU: index maps and the descriptions that cuDNN is given.
TESTED = {"conv/cuda/" + name for name in ("cuda_depthwise_filter.h", "cuda_depthwise_lists.h", "cuda_igemm_cores.h",
                                           "cuda_igemm_lists.h", "cuda_mma_lanes.h", "cuda_stem_lists.h",
                                           "cudnn_graph.h")}
LINES_MAX = 600
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)
GENERATED = re.compile(r"output: *'([^']+\.h)'")   # by meson.build
SYSTEM = re.compile(r"^\s*#\s*include\s*<(?:cvl|base|gemm|conv|tuner|bench|tests)/", re.M)
CODE = (".c", ".h", ".cu", ".cuh")
NAMED = CODE + (".py", ".sh")


def sources(root):
    """Paths of all files of the tree, from the root, without build folders and hidden ones."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "build", "__")))
        for name in sorted(names):
            yield os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/")


def layer(path):
    """Place of a file's folder among the layers; None outside of them."""
    top = path.split("/")[0]
    return LAYERS.index(top) if top in LAYERS else None


def backend(path):
    """winograd of conv/winograd/tile.c; None of conv/plan.c."""
    parts = path.split("/")
    return parts[1] if parts[0] == "conv" and len(parts) > 2 else None


def resolve(path, target, files):
    """The file of the tree that an include means: from the root, from include/, or beside the including file."""
    beside = os.path.normpath(os.path.join(os.path.dirname(path), target))
    for candidate in (target, "include/" + target, beside):
        if candidate in files:
            return candidate
    return None


def wrong(path, target, files, generated=()):
    """Why this file may not include that, or None."""
    if os.path.basename(target) in generated:
        return "a public header may not include it" if path.startswith("include/") else None
    found = resolve(path, target, files)
    if found is None:
        return "there is no such file in the tree"
    if found.startswith("include/cvl/"):
        return None
    if path.startswith("include/"):
        return "a public header includes only cvl/"
    here, there = layer(path), layer(found)
    if here is None or there is None:
        return "it is in no layer"
    if there > here or (LAYERS[there] in PROGRAMS and there != here):
        return f"{LAYERS[there]} is not to the left of {LAYERS[here]}"
    seen = found == ORACLE or (found in TESTED and LAYERS[here] == "tests")
    if backend(found) and backend(found) != backend(path) and not seen:
        return f"it belongs to the backend {backend(found)} alone"
    return None


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def check(root):
    """All sentences about what is wrong, and how many includes and files were looked at."""
    files = set(sources(root))
    builds = [read(root, path) for path in files if os.path.basename(path) == "meson.build"]
    generated = {name for build in builds for name in GENERATED.findall(build)}
    faults, seen, arrows = [], {}, 0
    for path in sorted(path for path in files if path.endswith(NAMED)):
        other = seen.setdefault(os.path.basename(path), path)
        if other != path:
            faults.append(f"{path}: the name is taken by {other}, expected a unique one")
    for path in sorted(path for path in files if path.endswith(CODE)):
        text = read(root, path)
        lines = text.count("\n")
        if lines > LINES_MAX:
            faults.append(f"{path}: {lines} lines, expected at most {LINES_MAX}")
        if SYSTEM.search(text) and not path.startswith("examples/"):
            faults.append(f"{path}: includes a file of the tree in angle brackets")
        for target in INCLUDE.findall(text):
            arrows += 1
            why = wrong(path, target, files, generated)
            if why:
                faults.append(f'{path}: includes "{target}": {why}')
    if arrows == 0:
        faults.append(f"{root}: no include was found, expected the root of the tree")
    return faults, arrows, len(files)


def check_the_check():
    """Arrows of every kind that must be allowed or refused."""
    files = {"include/cvl/conv.h", "include/cvl/base.h", "base/ctx.h", "gemm/pack.h", "conv/desc.h", ORACLE,
             "conv/fft/fft.h", "conv/winograd/tile.h", "tuner/record.h", "bench/nets.h", "tests/guard.h",
             "conv/cuda/cudnn_graph.h", "conv/cuda/cudnn_run.h"}
    allowed = [("conv/plan.c", "base/ctx.h"), ("tuner/measure.c", ORACLE), ("conv/fft/fft.c", "conv/fft/fft.h"),
               ("base/cpu.c", "cvl/base.h"), ("tests/guard.c", "guard.h"), ("include/cvl/conv.h", "cvl/base.h"),
               ("bench/report.c", "tuner/record.h"), ("conv/fft/fft.c", "gemm/pack.h"),
               ("tests/guard.c", "conv/cuda/cudnn_graph.h")]
    refused = [("base/ctx.c", "conv/desc.h"), ("gemm/pack.c", "conv/desc.h"), ("conv/plan.c", "tuner/record.h"),
               ("conv/winograd/winograd.c", "conv/fft/fft.h"), ("conv/plan.c", "conv/fft/fft.h"),
               ("tuner/tuner.c", "conv/fft/fft.h"), ("include/cvl/conv.h", "base/ctx.h"),
               ("bench/report.c", "tests/guard.h"), ("base/ctx.c", "base/lost.h"),
               ("bench/report.c", "conv/cuda/cudnn_graph.h"), ("tests/guard.c", "conv/cuda/cudnn_run.h"),
               ("conv/plan.c", "conv/cuda/cudnn_graph.h")]
    assert not [pair for pair in allowed if wrong(*pair, files)]
    assert not [pair for pair in refused if not wrong(*pair, files)]


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: check_layers.py ROOT")
    check_the_check()
    faults, arrows, files = check(sys.argv[1])
    for fault in faults:
        print(fault)
    print(f"{files} files, {arrows} includes, {len(faults)} faults")
    sys.exit(1 if faults else 0)


main()
