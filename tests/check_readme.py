#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_readme.py README EXAMPLE: the README shows the compiled example, line for line, without its licence line."""
import sys

readme, example = (open(name, encoding="utf-8").read() for name in sys.argv[1:])
shown = example.split("\n", 1)[1]
if "```c\n" + shown + "```" not in readme:
    sys.exit(f"{sys.argv[1]} does not show {sys.argv[2]} as it is compiled")
