#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the grids named on the command line as one C file: embed_nets.py OUT.c GRID.csv..."""
import json
import pathlib
import sys

out, *grids = map(pathlib.Path, sys.argv[1:])
lines = ['/* Made by bench/embed_nets.py from bench/nets/. */', '#include "bench/nets.h"', '',
         'const struct net_text net_texts[] = {']
for grid in grids:
    lines.append('    { %s,' % json.dumps(grid.stem))
    lines += ['      ' + json.dumps(line) for line in grid.read_text(encoding='ascii').splitlines(keepends=True)]
    lines.append('    },')
lines.append('    { 0, 0 },')
lines.append('};')
out.write_text('\n'.join(lines) + '\n', encoding='ascii')
